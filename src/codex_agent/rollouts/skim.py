"""Owns the fast way over a rollout's lines: a few steps in Python for each.

Nearly all of a rollout says nothing (what was asked, said and printed), or says what the next line of its
kind says again. What a line is stands at the same place in it as in the line before, as long as ordinals have as
many digits; so one look into a table tells. A line that does not fit is left to ``reader.py``, which knows all.

A step is a slice and a comparison wherever they will do: ``find`` and ``startswith`` take three times as long in
Python 3.11, however little there is to look at.

Totals only grow, so of a run of requests that are billed alike (one day, model and tier, no long input, no counter
that began again) the last says what all of them used. Must never let a request into a run that would not be billed
as the others.
"""

from __future__ import annotations

from .kinds import EVENT, ITEM_AT, LINE_END, PLAN_WITHIN, RESPONSE, TYPE
from .pending import Pending
from .run import ID_IS, LAST_IS
from .taking import STAMPED, take_end, take_files, take_start
from .turns import Turns
from .usage import LONG_INPUT, NOTHING
from .values import without_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

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
    TYPE + RESPONSE + b'reasoning","id': PASSED,
    TYPE + RESPONSE + b'reasoning","su': PASSED,
    TYPE + RESPONSE + b"custom_tool_ca": CALL,
    TYPE + EVENT + b'item_completed","t': ITEM,
    TYPE + EVENT + b'task_started","tur': STARTED,
    TYPE + EVENT + b'task_complete","ro': ENDED,
    TYPE + EVENT + b'task_complete","tu': ENDED,
    TYPE + EVENT + b"thread_settings_ap": b"thread_settings_applied",
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
_ITEM = _WORD + ITEM_AT
_NAMED = b'"name":"'  # of a call
_PLANS = _NAMED + b"u"
_THREAD_AT = len(RECORD_HEAD[:_SHORT])
_USED = b',"usage":{"input_tokens":'
_USED_AFTER = _THREAD_AT + 4 * 36
_LEAST, _MOST, _LONG = _USED + b"1", _USED + b"9~", _USED + b"%d," % LONG_INPUT
_TOTALS_AT = _WORD + len(EVENT + b'token_count","info":{"total_token_usage":')
_LIMITED = b'_percent":'
_LIMITS = b',"rate_limits":'
_INPUT = b'{"input_tokens":'
_LONG_COUNT = b"%d," % LONG_INPUT
_COMMA, _CLOSE, _ZERO = b",}0"
_END, _COUNT_END = b"}}\n", b"}}}\n"


def skim(fold: Fold, lines: Iterator[bytes]) -> bytes:
    """Goes over lines with their ends; hands back the first that is none of these, empty when there is no more.

    The last may have no end yet: then it is handed back, or nothing was done with it.
    """
    # Names of the module take longer to look up than those of a function, and slices longer to make than to use.
    run = fold.run
    if not run.heads and run.own:
        run.heads = {**_HEADS, (RECORD_HEAD + run.own[len(ID_IS) :])[:_HEAD]: RECORD}
    kind_of, item_of = (run.heads or _HEADS).get, _ITEMS.get
    passed, call, output, item, a_record, a_count = PASSED, CALL, OUTPUT, ITEM, RECORD, COUNT
    place, own, total, totals, most = run.place, run.own, run.total, run.totals, run.most
    head, which_item = slice(place, place + _HEAD), slice(place + _ITEM, place + _ITEM + 8)
    name_is, plans = _NAMED, _PLANS
    named = before = slice(0, 0)  # where the last two kinds of calls had their names
    day, next_day = b"%b%bT" % (STAMPED, run.day), b"%b%bU" % (STAMPED, run.day)  # how lines of the run begin
    thread = slice(place + _THREAD_AT, place + _THREAD_AT + len(own))
    used, least, highest, long = slice(0, 0), _LEAST, _MOST, _LONG  # where the last record had what was used
    tail, its_totals = slice(-len(total) - 1, -1), slice(-len(totals) - 3, -3)
    totals_at = place + _TOTALS_AT
    counted = slice(totals_at, totals_at + len(totals))
    silent, rest = b"~", slice(-2, None)  # how a count ends that tells of no limits
    comma, close, newline = _COMMA, _CLOSE, LINE_END
    recorded = fold.usage.recorded
    overflowed = fold.usage.before_overflow != NOTHING  # then Codex's two kinds of counters are not the same
    items, changed = fold.has_items, fold.settings_wait
    carried = changed  # settings of lines before these wait
    settings: list[tuple[bytes, bytes]] = []
    pending, turns = Pending(fold), Turns(fold)
    marks: dict[bytes, bytes] = {}  # the last line of each kind of which only that counts, as they came
    quiet = pending.quiet
    count = record = limits = b""
    counted_last = False
    for line in lines:
        what = kind_of(line[head])
        if what is passed:
            continue
        if what is None:
            what = _other(line, place)
            if what is passed:
                continue
        if what is output:
            if quiet:
                continue
            if line[-1] != newline:
                break
            pending.output(line[:-1])
            quiet = pending.quiet
        elif what is item:
            if not items:
                break
            which = item_of(line[which_item])
            if which is passed:
                continue
            if which is FILES:
                if line[-1] != newline or not take_files(fold, line):
                    break
            elif isinstance(which, bytes) and line.endswith(_END):
                marks.pop(which, None)
                marks[which] = line
            else:
                break
        elif what is call:
            if quiet and (name_is <= line[named] < plans or name_is <= line[before] < plans):
                continue
            if line[-1] != newline or (changed and not items):  # a patch asks for the folder
                break
            pending.call(line[:-1], place)
            quiet = pending.quiet
            if (at := line.find(name_is, place, place + PLAN_WITHIN)) >= 0 and at != named.start:
                named, before = slice(at, at + len(plans)), named
        elif what is a_record or what is a_count:
            if changed:
                if carried or settings != fold.settled:
                    _keep(fold, marks)
                    fold.keep_run(record, count, counted_last=counted_last)
                    record = count = b""
                    fold.settle_settings()
                else:  # the turn runs with what the one before ran with
                    for kind, _ in settings:
                        del marks[kind]
                    fold.changes += 1
                changed = carried = False
                settings.clear()
            if what is a_record:
                given = line[used]
                if not least <= given <= highest:
                    at = line.find(_USED, place + _USED_AFTER)
                    used = slice(at, at + len(long))
                    given = line[used]
                    if not least <= given <= highest:
                        break
                now = line[tail]
                if (
                    not total <= now <= most
                    or line[-2] != close
                    or not day <= line < next_day
                    or line[thread] != own
                    or not (given[-2] == comma or (given[-1] == comma and given <= long) or comma in given[-7:-2])
                ):
                    break
                total = now
                record = line
                totals = line[its_totals]
                counted_last = False
            elif recorded:
                if overflowed:
                    break
                if line[counted] != totals:
                    if not record:
                        break
                    # The counters have a digit more than those of the last record.
                    totals = record[record.rfind(b"{") : -3]
                    its_totals = slice(-len(totals) - 3, -3)
                    counted = slice(totals_at, totals_at + len(totals))
                    if line[counted] != totals:
                        break
                if line[rest] != silent:
                    if not line.endswith(_COUNT_END):
                        break
                    if line.find(_LIMITED, totals_at) >= 0:
                        limits = line
                    elif (at := line.find(_LIMITS, totals_at)) >= 0:
                        silent, rest = line[at:], slice(at - len(line), None)
                count = line
                counted_last = True
            else:
                at = line.find(LAST_IS, totals_at) + len(LAST_IS)
                now, given = line[at - len(total) : at], line[at : at + len(_LONG_COUNT)]
                if (
                    not total <= now <= most
                    or not line.endswith(_COUNT_END)
                    or not day <= line < next_day
                    or not line.startswith(_INPUT, totals_at)
                    or line[totals_at + len(_INPUT)] == _ZERO  # the context overflowed
                    or not (comma in given[:-1] or (given.endswith(b",") and given <= _LONG_COUNT))
                ):
                    break
                total, count = now, line
                if line.find(_LIMITED, at) >= 0:
                    limits = line
        elif what is STARTED:
            if not turns.begin(line):
                turns.settle()
                if line[-1] != newline or not take_start(fold, line[:-1]):
                    break
        elif what is ENDED:
            said: bool | None = turns.end(line)
            if said:
                marks[WORDS] = line
            else:
                turns.settle()
                said = take_end(fold, line[:-1]) if line[-1] == newline else None
                if said is None:
                    break
                if said:
                    marks.pop(WORDS, None)
            if said:
                marks.pop(b"AgentMessage", None)
                marks.pop(b"agent_message", None)
        elif what is FILES:
            if line[-1] != newline or not _has(line, place, b"patch_apply_end") or not take_files(fold, line):
                break
        elif isinstance(what, bytes) and line.endswith(_END) and _has(line, place, what):
            marks.pop(what, None)
            marks[what] = line
            if what != b"agent_message":
                settings.append((what, without_ids(line[:-1])))
                changed = True
        else:
            break
    else:
        line = b""
    run.total, run.totals = total, totals
    turns.settle()
    pending.settle()
    _keep(fold, marks)
    fold.keep_run(record, count, counted_last=counted_last)
    if limits:
        fold.keep_limits(limits[:-1])
    return line


def _other(line: bytes, place: int) -> object:
    """What is done with a line of a rarer kind; None if it is none of these."""
    what = _SHORT_HEADS.get(line[place : place + _SHORT])
    if what is None and line.startswith(TYPE, place):
        what = _OTHERS.get(line[place + _WORD : place + _WORD + 8])
    return what


def _has(line: bytes, place: int, kind: bytes) -> bool:
    """Whether the word whose beginning was looked at is this one."""
    return line.find(kind + b'"', place, place + _SHORT + len(kind)) >= 0


def _keep(fold: Fold, marks: dict[bytes, bytes]) -> None:
    """Hand on the lines that were marked."""
    for kind, line in marks.items():
        if kind == WORDS:
            fold.said_last(line[:-1])
        else:
            fold.keep(kind, line[:-1])
    marks.clear()
