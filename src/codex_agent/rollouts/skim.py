"""Owns the fast way over a rollout's lines: a few steps in Python for each.

Nearly all of a rollout says nothing (what was asked, said and printed), or says what the next line of its
kind says again. What a line is stands at the same place in it as in the line before, as long as ordinals have as
many digits; so one look into a table tells. A line that does not fit is left to ``reader.py``, which knows all.

Totals only grow, so of a run of requests that are billed alike (one day, model and tier, no long input, no counter
that began again) the last says what all of them used. Must never let a request into a run that would not be billed
as the others.
"""

from __future__ import annotations

from .kinds import EVENT, ITEM_AT, LINE_END, PLAN, PLAN_WITHIN, RESPONSE, TYPE
from .run import ID_IS, LAST_IS
from .taking import TAKEN, call_id, take_end, take_files, take_output, take_start
from .turns import Turns
from .usage import LONG_INPUT, NOTHING
from .values import without_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .fold import Fold

_WORD = len(TYPE)  # of a place in a line where the type begins, to its word
_HEAD = _WORD + len(RESPONSE) + 14  # bytes by which kinds are told apart
_SHORT = _HEAD - 10  # so many do where keys stand in another order
# What is done with a line. By identity: nothing is compared sooner.
PASSED, CALL, OUTPUT, ITEM, COUNT, RECORD, STARTED, ENDED, FILES = (object() for _ in range(9))
WORDS = b"last_words"

RECORD_HEAD = TYPE + b'token_usage_record","payload":{"thread_id":"'
_HEADS: dict[bytes, object] = {
    TYPE + RESPONSE + b"function_call_": OUTPUT,
    TYPE + RESPONSE + b'function_call"': CALL,
    TYPE + RESPONSE + b'message","id":': PASSED,
    TYPE + RESPONSE + b'message","role': PASSED,
    TYPE + EVENT + b'item_completed","t': ITEM,
    TYPE + EVENT + b'token_count","info': COUNT,
}
_SHORT_HEADS: dict[bytes, object] = {
    **dict.fromkeys((TYPE + RESPONSE + word for word in (b"mess", b"reas")), PASSED),
    **dict.fromkeys((TYPE + RESPONSE + word for word in (b"func", b"cust", b"loca")), CALL),
    TYPE + EVENT + b"item_com": ITEM,
    TYPE + EVENT + b"token_co": COUNT,
    TYPE + EVENT + b"task_sta": STARTED,
    TYPE + EVENT + b"task_com": ENDED,
    TYPE + EVENT + b"agent_re": PASSED,
    TYPE + EVENT + b"agent_me": b"agent_message",
    TYPE + EVENT + b"patch_ap": FILES,
    TYPE + EVENT + b"thread_s": b"thread_settings_applied",
    RECORD_HEAD[:_SHORT]: RECORD,
}
# By their first eight letters; the rest of these heads is another in each line.
_OTHERS: dict[bytes, object] = {b"world_st": PASSED, b"turn_con": b"turn_context"}
_ITEMS: dict[bytes, object] = {
    b"FileChan": FILES,
    b"AgentMes": b"AgentMessage",
    **dict.fromkeys((b"CommandE", b"Reasonin", b"UserMess", b"McpToolC", b"WebSearc"), PASSED),
}
_TOTALS = b'token_count","info":{"total_token_usage":'
_TOTALS_AT = _WORD + len(EVENT) + len(_TOTALS)
_THREAD_AT = len(RECORD_HEAD[:_SHORT])
_USED = b',"usage":{"input_tokens":'
_USED_AFTER = _THREAD_AT + 4 * 36
_LIMITED = b'_percent":'
_LIMITS = b',"rate_limits":'
_OUTPUT = b'_output"'
_INPUT = b'{"input_tokens":'
_COMMA, _CLOSE, _ZERO = b",}0"
_LONG = b"%d" % LONG_INPUT
_ITEM = _WORD + ITEM_AT


def skim(fold: Fold, chunk: bytes, at: int) -> int:
    """Goes over the lines from ``at`` on; where the first begins that is none of these, or has no end yet."""
    # Names of the module take longer to look up than those of a function.
    run = fold.run
    if not run.heads and run.own:
        run.heads = {**_HEADS, (RECORD_HEAD + run.own[len(ID_IS) :])[:_HEAD]: RECORD}
    find, starts, kind_of, item_of = chunk.find, chunk.startswith, run.heads.get, _ITEMS.get
    passed, call, output, item, a_record, a_count = PASSED, CALL, OUTPUT, ITEM, RECORD, COUNT
    newline, head, a_plan, plan_within, item_at, item_end = LINE_END, _HEAD, PLAN, PLAN_WITHIN, _ITEM, _ITEM + 8
    limited, used, used_size, used_after = _LIMITED, _USED, len(_USED), _USED_AFTER
    used_at = 0  # where the last record had it
    comma, close, zero, long, totals_at, thread_at = _COMMA, _CLOSE, _ZERO, _LONG, _TOTALS_AT, _THREAD_AT
    silent, ends_with = b"~", chunk.endswith  # how a count ends that tells of no limits
    place, day, own, total, totals = run.place, run.day, run.own, run.total, run.totals
    recorded, tail, most, size = fold.usage.recorded, len(total), run.most, len(totals)
    thread_end = thread_at + len(own)
    overflowed = fold.usage.before_overflow != NOTHING  # then Codex's two kinds of counters are not the same
    items, changed = fold.has_items, fold.settings_wait
    carried = changed  # settings of a chunk before this one wait
    settings: list[tuple[bytes, bytes]] = []
    awaited, patched = fold.planned is not None, not fold.has_items and bool(fold.calls)
    plan, plan_id = b"", b""  # a call of which is not known yet what came of it
    marks: dict[bytes, int] = {}
    turns = Turns(fold)
    count = record = limits = -1
    while (end := find(newline, at)) >= 0:
        kind = at + place
        what = kind_of(chunk[kind : kind + head])
        if what is None:
            what = _SHORT_HEADS.get(chunk[kind : kind + _SHORT])
            if what is None and starts(TYPE, kind):
                what = _OTHERS.get(chunk[kind + _WORD : kind + _WORD + 8])
            if what is None:
                break
        if what is output or what is call:
            if what is call and 0 <= find(a_plan, kind, kind + plan_within) < end:
                if plan:
                    fold.put(b"call", plan)
                plan, awaited = chunk[at:end], True
                plan_id = call_id(plan)
                if not items or not plan_id:
                    fold.put(b"call", plan)
                    plan, awaited = b"", fold.planned is not None
            elif items and not awaited and not patched:
                pass
            elif what is call and find(_OUTPUT, kind, kind + _SHORT + 24) < 0:
                if not items and find(b"apply_patch", kind, end) >= 0:
                    if changed:  # perhaps the folder
                        _keep(fold, chunk, marks)
                        fold.keep_run(chunk, record, count)
                        record = count = -1
                        fold.settle_settings()
                        changed = carried = False
                        settings.clear()
                    fold.put(b"call", chunk[at:end])
                    patched = bool(fold.calls)
            elif plan and not fold.calls and chunk[end - 2 : end] == b"}}" and find(TAKEN, kind, end) < 0:
                if find(plan_id, kind, end) >= 0:
                    fold.planned, plan, awaited = None, b"", False
            elif awaited or patched:
                if plan:
                    fold.put(b"call", plan)
                    plan = b""
                take_output(fold, chunk[at:end])
                awaited, patched = fold.planned is not None, patched and bool(fold.calls)
            at = end + 1
            continue
        if what is a_record or what is a_count:
            if changed:
                if carried or settings != fold.settled:
                    _keep(fold, chunk, marks)
                    fold.keep_run(chunk, record, count)
                    record = count = -1
                    fold.settle_settings()
                else:  # the turn runs with what the one before ran with
                    for name, _ in settings:
                        del marks[name]
                    fold.changes += 1
                changed = carried = False
                settings.clear()
            if what is a_record:
                now, after = chunk[end - tail : end], kind + used_at
                if chunk[after - used_size : after] != used:
                    after = find(used, kind + used_after, end) + used_size
                    used_at = after - kind
                if (
                    now < total
                    or now > most
                    or chunk[end - 1] != close
                    or chunk[at + 14 : at + 24] != day
                    or chunk[kind + thread_at : kind + thread_end] != own
                    or after < kind
                    or chunk[after] <= zero
                    or not (
                        chunk[after + 5] == comma  # five digits
                        or (chunk[after + 6] == comma and chunk[after : after + 6] <= long)
                        or comma in chunk[after : after + 5]
                    )
                ):
                    break
                total, record, totals = now, at, chunk[end - 2 - size : end - 2]
            elif recorded:
                if overflowed:
                    break
                if not starts(totals, kind + totals_at):
                    if record < 0:
                        break
                    # The counters have a digit more than those of the last record.
                    ends = find(newline, record)
                    totals = chunk[chunk.rfind(b"{", record, ends) : ends - 2]
                    size = len(totals)
                    if not starts(totals, kind + totals_at):
                        break
                if not ends_with(silent, at, end):
                    if chunk[end - 3 : end] != b"}}}":
                        break
                    if find(limited, kind + totals_at, end) >= 0:
                        limits = at
                    elif (told := find(_LIMITS, kind + totals_at, end)) >= 0:
                        silent = chunk[told:end]
                count = at
            else:
                begin = kind + totals_at + len(_INPUT)
                after = find(LAST_IS, begin, end) + len(LAST_IS)
                now = chunk[after - tail : after]
                if (
                    now < total
                    or now > most
                    or chunk[end - 3 : end] != b"}}}"
                    or chunk[at + 14 : at + 24] != day
                    or after < kind
                    or not starts(_INPUT, begin - len(_INPUT))
                    or chunk[begin] == zero  # the context overflowed
                    or not (
                        comma in chunk[after : after + 6]
                        or (chunk[after + 6] == comma and chunk[after : after + 6] <= long)
                    )
                ):
                    break
                total = now
                count = at
                if find(limited, after, end) >= 0:
                    limits = at
            at = end + 1
            continue
        if what is item:
            if not items:
                break
            which = item_of(chunk[kind + item_at : kind + item_end])
            if which is passed:
                at = end + 1
                continue
            if which is FILES:
                if not take_files(fold, chunk[at:end]):
                    break
            elif not isinstance(which, bytes):
                break
            else:
                if chunk[end - 2 : end] != b"}}":
                    break
                marks[which] = at
            at = end + 1
            continue
        if what is passed:
            at = end + 1
            continue
        if what is STARTED:
            if not turns.begin(chunk, at, end):
                turns.settle(chunk)
                if not take_start(fold, chunk[at:end]):
                    break
            at = end + 1
            if not fold.plain:
                break
            continue
        if what is FILES:
            if find(b'patch_apply_end"', kind, kind + _SHORT + 8) < 0 or not take_files(fold, chunk[at:end]):
                break
            at = end + 1
            continue
        if what is ENDED:
            words = turns.end(chunk, at, end)
            if words is None:
                turns.settle(chunk)
                words = take_end(fold, chunk[at:end])
                if words is None:
                    break
                if words:
                    marks.pop(WORDS, None)
            else:
                marks[WORDS] = at
            if words:
                marks.pop(b"AgentMessage", None)
                marks.pop(b"agent_message", None)
            at = end + 1
            continue
        if isinstance(what, bytes):
            if chunk[end - 2 : end] != b"}}" or find(what + b'"', kind, kind + _SHORT + len(what)) < 0:
                break
            marks[what] = at
            if what != b"agent_message":
                settings.append((what, without_ids(chunk[at:end])))
                changed = True
        at = end + 1
    run.total, run.totals = total, totals
    turns.settle(chunk)
    if plan:
        fold.put(b"call", plan)
    if marks:
        _keep(fold, chunk, marks)
    fold.keep_run(chunk, record, count)
    if limits >= 0:
        fold.keep_limits(chunk[limits : find(LINE_END, limits)])
    return at


def _keep(fold: Fold, chunk: bytes, marks: dict[bytes, int]) -> None:
    """Hand on the last line of each kind that was marked, in their order."""
    for at, name in sorted((at, name) for name, at in marks.items()):
        line = chunk[at : chunk.find(LINE_END, at)]
        if name == WORDS:
            fold.said_last(line)
        else:
            fold.keep(name, line)
    marks.clear()
