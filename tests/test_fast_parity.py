"""The fast way through `status`, `jobs` and `wait` says what typer's way says, byte by byte, or leaves it to that.

Nothing is the fast way's own: the grammar, the texts and the codes are typer's. Both run the same argument lists
over the same homes, in one process whose clock stands still (``support/parity_child.py``); some again with streams
that go wrong, and as the processes they are (``test_fast_streams.py``).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent import sealed, sealing
from support import parity_homes as homes
from support import parity_words as lists
from support.home import clean_environ
from support.parity import Both, Compared, Said, both_ways, check, check_taken
from support.parity_homes import Jobs
from support.parity_words import Words


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with both_ways() as made:
        yield made


def environ(root: Path, home: Path, **more: str) -> dict[str, str]:
    return {**clean_environ(), "HOME": str(root), "CODEX_AGENT_HOME": str(home), "LC_ALL": "C.UTF-8", **more}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parity")


@pytest.fixture(scope="module")
def sound(root: Path) -> Iterator[Jobs]:
    """Jobs of every kind, none of them broken; the living ones live."""
    jobs = homes.fill(root / "sound", homes.healthy())
    with homes.held(jobs):
        yield jobs


@pytest.fixture(scope="module")
def many(root: Path) -> Iterator[Jobs]:
    """More jobs than are listed by default."""
    jobs = homes.fill(root / "many", homes.many())
    with homes.held(jobs):
        yield jobs


def compare(both: Both, jobs: Jobs, calls: list[Words], **more: str) -> list[Compared]:
    root = jobs.path.parent
    return both.compare(calls, environ(root, jobs.path, **more), root, jobs.path / "jobs")


def test_every_argument_list(both: Both, sound: Jobs, root: Path) -> None:
    """Those of `jobs` over fewer jobs: each is read each time."""
    every = lists.everything()
    check(compare(both, sound, [words for words in every if words[:1] != ("jobs",)]))
    few = homes.fill(root / "few", homes.healthy()[::5])
    with homes.held(few):
        check(compare(both, few, [words for words in every if words[:1] == ("jobs",)]))


def test_what_is_called_all_day_is_taken(both: Both, sound: Jobs) -> None:
    found = compare(both, sound, lists.plain_calls(sound.ended, sound.alive))
    check(found)
    check_taken(found)


def test_names_and_prefixes_are_taken(both: Both, sound: Jobs) -> None:
    refs = (lists.NAME, lists.TWICE, lists.SPACED, lists.ODD_NAME, "abcdef", "at-work")
    found = compare(both, sound, [("status", ref, *more) for ref in refs for more in ((), ("--json",))])
    check(found)
    check_taken(found)


def test_every_verdict(both: Both, root: Path) -> None:
    jobs = homes.fill(root / "verdicts", homes.verdicts())
    with homes.held(jobs):
        found = compare(both, jobs, lists.looks(jobs.ended, jobs.alive))
    check(found)
    check_taken(found)


def test_nothing_there(both: Both, root: Path) -> None:
    """No home; one without a jobs folder; an empty one: then a list is still the fast way's."""
    (root / "empty").mkdir()
    homes.fill(root / "bare", [])
    for name in ("none", "empty", "bare"):
        calls = [*lists.looks(("abcd0001", "till", "")), ("wait", "x", "y"), ("status", "x", "--fields", "x")]
        check(compare(both, Jobs(root / name), calls))
    assert not (root / "none").exists()
    found = compare(both, Jobs(root / "bare"), [("jobs",), ("jobs", "--json")])
    check_taken(found)


LIMITS = (
    "3",
    "1",
    "0",
    "-1",
    "",
    " ",
    " 5",
    "\uff15",
    "+3",
    "1_0",
    "05",
    "1.5",
    "abc",
    "1e1",
    "\udcff",
    "9" * 30,
    "27",
)
JOBS_CALLS: list[Words] = [
    *(("jobs", *more) for more in ((), ("--json",), ("--all",), ("--limit", "2"), ("--limit=4", "--json"))),
    *(("jobs", *more) for more in (("--status", "completed"), ("--json", "--fields", "id"), ("--limit", "0"))),
    *(("jobs", *more) for more in (("--status", "bogus"), ("--limit", "x"), ("--fields", "id"))),
    ("status", "000001a0"),
    ("wait", "000001a0"),
]


def test_the_limit_of_the_environment(both: Both, many: Jobs) -> None:
    for limit in LIMITS:
        check(compare(both, many, JOBS_CALLS, CODEX_AGENT_JOBS_LIMIT=limit))
    check_taken(compare(both, many, lists.plain_calls(["000001a0", "000002a0"], many.alive)))


@pytest.mark.parametrize(
    "name", ["CODEX_AGENT_TIMEOUT", "CODEX_AGENT_NOTIFY", "CODEX_AGENT_SANDBOX", "CODEX_AGENT_GATES"]
)
def test_another_variable_that_is_wrong(both: Both, many: Jobs, name: str) -> None:
    check(compare(both, many, JOBS_CALLS, **{name: "\x1b not so"}))


SETTINGS: dict[str, bytes | None] = {
    "none": None,
    "empty": b"",
    "a limit": b"jobs_limit = 4\n",
    "a limit and more": b'# mine\nmodel = "gpt-5-codex"\njobs_limit = 5 # few\n\n[gates.gpu]\nslots = 1\n',
    "no limit": b'model = "gpt-5-codex"\n',
    "a limit in a table": b"[mcp]\njobs_limit = 4\n",
    "0": b"jobs_limit = 0\n",
    "a text": b'jobs_limit = "4"\n',
    "true": b"jobs_limit = true\n",
    "not whole": b"jobs_limit = 4.0\n",
    "in hexadecimal": b"jobs_limit = 0x4\n",
    "with a line of digits": b"jobs_limit = 1_0\n",
    "twice": b"jobs_limit = 4\njobs_limit = 5\n",
    "in quotes": b'"jobs_limit" = 6\n',
    "in a text": b'model = """\njobs_limit = 3\n"""\n',
    "commented out": b"#jobs_limit = 3\n",
    "unknown key": b"jobs_limit = 4\njob_limit = 5\n",
    "another key is wrong": b'jobs_limit = 4\ntimeout = "soon"\n',
    "not TOML": b"jobs_limit 4\n",
    "not UTF-8": b'jobs_limit = 4\nmodel = "\xff"\n',
    "with a mark of order": b"\xef\xbb\xbfjobs_limit = 4\n",
    "line ends of another system": b"jobs_limit = 4\r\n",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_file(both: Both, many: Jobs, tmp_path: Path, name: str) -> None:
    text = SETTINGS[name]
    config = tmp_path / "codex-agent" / "config.toml"
    config.parent.mkdir()
    if text is not None:
        config.write_bytes(text)
    for more in ({}, {"CODEX_AGENT_JOBS_LIMIT": "2"}, {"CODEX_AGENT_JOBS_LIMIT": ""}):
        found = compare(both, many, JOBS_CALLS, XDG_CONFIG_HOME=str(tmp_path), **more)
        check(found)
        if found[0].typer.code == 0:
            # What it says was worked out just now.
            check_taken(found[1:3])
    if text is not None:
        config.write_bytes(b"jobs_limit = 7\n")
        check(compare(both, many, JOBS_CALLS, XDG_CONFIG_HOME=str(tmp_path)))
        config.unlink()
        check(compare(both, many, JOBS_CALLS, XDG_CONFIG_HOME=str(tmp_path)))


def test_a_settings_file_that_is_none(both: Both, many: Jobs, tmp_path: Path) -> None:
    config = tmp_path / "codex-agent" / "config.toml"
    config.mkdir(parents=True)
    check(compare(both, many, JOBS_CALLS, XDG_CONFIG_HOME=str(tmp_path)))
    config.rmdir()
    config.symlink_to("nowhere")
    check(compare(both, many, JOBS_CALLS, XDG_CONFIG_HOME=str(tmp_path)))
    config.unlink()
    config.parent.rmdir()
    config.parent.write_text("")
    check(compare(both, many, JOBS_CALLS, XDG_CONFIG_HOME=str(tmp_path)))
    below = many.path.parent / ".config" / "codex-agent"
    below.mkdir(parents=True)
    (below / "config.toml").write_text("jobs_limit = 2\n")
    for folder in ("", "relative", str(tmp_path / "none")):
        check(compare(both, many, JOBS_CALLS, XDG_CONFIG_HOME=folder))
    shutil.rmtree(below.parent)


def test_where_the_home_is(both: Both, sound: Jobs) -> None:
    """CODEX_AGENT_HOME relative, with a tilde, empty; HOME relative, empty or absent."""
    root = sound.path.parent
    (root / ".codex-agent").symlink_to(sound.path)
    calls: list[Words] = [
        *(("jobs",), ("jobs", "--json"), ("status", lists.ID), ("status", lists.TWICE, "--json"), ("status", "z")),
        *(("wait", lists.ID), ("wait", "z", "--json"), ("status", lists.ID, "--fields", "x")),
    ]
    whole = environ(root, sound.path)
    for more in (
        *({"CODEX_AGENT_HOME": home} for home in ("sound", "./sound/", "../" + root.name + "/sound", "~/sound")),
        *(
            {"CODEX_AGENT_HOME": home}
            for home in ("", "~", "~nobody-at-all/x", "$HOME/sound", " ", "nowhere", "/")
        ),
        *({"CODEX_AGENT_HOME": home} for home in (f"{root}//sound/./x/..", "\udcff", "soun\u0064", "sound/jobs")),
        *({"CODEX_AGENT_HOME": "", "HOME": home} for home in ("", "relative", "/nowhere", f"{root}/")),
    ):
        check(both.compare(calls, whole | more, root, sound.path / "jobs"))
    for without in ({"HOME"}, {"HOME", "CODEX_AGENT_HOME"}, {"CODEX_AGENT_HOME"}):
        env = {name: value for name, value in whole.items() if name not in without}
        check(both.compare(calls, env, root, sound.path / "jobs"))
    (root / ".codex-agent").unlink()


@pytest.mark.parametrize(
    "columns", ["", "0", "1", "20", "60", "200", "-5", "abc", "1_0", " 70 ", "\uff18\uff10", "9" * 40]
)
def test_how_wide_it_is(both: Both, sound: Jobs, columns: str) -> None:
    calls: list[Words] = [("jobs", "--all"), ("jobs",), ("status", lists.ASKING), ("status", "abcdef03")]
    for more in ({}, {"LINES": "5"}, {"NO_COLOR": "1"}):
        check(compare(both, sound, calls, COLUMNS=columns, **more))


def test_other_peoples_variables(both: Both, sound: Jobs) -> None:
    """What makes typer complete a word, or Python behave in another way."""
    calls = [*lists.looks([lists.ID], [lists.LIVE]), (), ("--version",)]
    for more in (
        {"_CODEX_AGENT_COMPLETE": "complete_bash", "COMP_WORDS": "codex-agent st", "COMP_CWORD": "1"},
        {"_CODEX_AGENT_COMPLETE": "source_bash"},
        {"_CODEX_AGENT_COMPLETE": ""},
        {"_CODEX_AGENT_COMPLETE": "bogus"},
        {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "dumb", "PAGER": "false"},
        {"LC_ALL": "C", "LANG": "C", "TZ": "Pacific/Apia"},
    ):
        check(compare(both, sound, calls, **more))


def test_records_that_were_edited_by_hand(both: Both, root: Path) -> None:
    """Whatever was kept of what they said before, nobody hears it."""
    jobs = homes.edited(root / "edited", homes.EDITED)
    check(compare(both, jobs, lists.looks((*jobs.ended, "till", "sound", "0000"))))


def test_records_without_a_seal(both: Both, root: Path) -> None:
    """As older versions wrote them; and among sealed ones."""
    older = homes.fill(root / "older", homes.healthy(), seal=False)
    with homes.held(older):
        check(compare(both, older, lists.looks(older.ended[::2], older.alive[::2])))
    newer = homes.fill(root / "newer", homes.healthy()[:3])
    homes.seal_anew(newer, sealed.VIEW + 1)
    check(compare(both, newer, lists.looks([*newer.ended, "till"])))
    mixed = homes.fill(root / "mixed", homes.many())
    for job_id in mixed.ended[::5]:
        mixed.store.save(mixed.store.load(job_id))
    with homes.held(mixed):
        found = compare(both, mixed, [*lists.looks(mixed.ended[:6], mixed.alive), ("status", mixed.ended[1][:6])])
    check(found)
    check_taken(one for one in found if one.words[:2] == ("status", mixed.ended[1]))


def test_a_job_whose_lock_file_is_gone(both: Both, root: Path) -> None:
    jobs = homes.without_lock(root / "no-lock")
    found = compare(both, jobs, lists.looks(["dddddddd", "sound"], ["11110001", "no lock"]))
    check(found)
    assert b"running/working" in found[0].typer.out


def test_a_job_that_has_ended_but_for_its_lock(both: Both, root: Path) -> None:
    """Its supervisor has one line of events to write yet, for which `wait` waits."""
    jobs = homes.fill(root / "ending", [(homes.record("11110001"), True), (homes.record("dddddddd"), False)])
    with homes.held(jobs):
        calls = [*lists.looks([], jobs.alive), ("wait", "11110001", "dddddddd", "--timeout", "0")]
        found = compare(both, jobs, [*calls, ("wait", "--any", "11110001", "dddddddd")])
    check(found)
    assert ("wait", "11110001", "--timeout", lists.SHORT) in [one.words for one in found if one.typer.code == 124]


def test_many_jobs(both: Both, root: Path) -> None:
    """Of many there is a roster. Whatever becomes of them, the fast way says what is true without one."""
    jobs = homes.fill(root / "crowd", homes.crowd())
    names: list[Words] = [("status", ref) for ref in ("worker 101", "live 1", "001", jobs.ended[33][:6], "gone")]
    calls = [*JOBS_CALLS[:2], ("jobs", "--status", "failed"), ("jobs", "--limit", "300"), *names]

    def same() -> list[Compared]:
        compare(both, jobs, [("jobs",)])  # typer's way makes a roster
        return [bare(both, jobs, words) for words in calls]

    with homes.held(jobs):
        found = same()
        check_taken(one for one in found if one.words in (("jobs",), ("jobs", "--json"), ("status", "live 1")))
        check(found)
        jobs.store.delete(jobs.ended[-1])
        jobs.store.delete(jobs.ended[100])
        renamed = jobs.store.load(jobs.ended[101])
        renamed.name = "gone"
        sealing.save(jobs.store, renamed)
        new = homes.record("ffff0001", "worker 101", exit_code=1, started_at=homes.T, ended_at=homes.LATER)
        sealing.save(jobs.store, new)
        jobs.store.save(homes.record("ffff0002", None))
        check(same())
        jobs.end(jobs.alive[0])
        jobs.file(jobs.ended[3]).write_text("{")
        (jobs.path / "jobs" / "other").touch()
        check(same())


def bare(both: Both, jobs: Jobs, words: Words) -> Compared:
    """The fast way as it is, beside typer's way without what is kept."""
    root, cache = jobs.path.parent, jobs.path / "cache"
    env = environ(root, jobs.path)
    said = both.ask(words, env, root, jobs.path / "jobs", ways=("fast",))
    cache.rename(jobs.path / "kept")
    said |= both.ask(words, env, root, jobs.path / "jobs", ways=("typer",))
    shutil.rmtree(cache, ignore_errors=True)
    (jobs.path / "kept").rename(cache)
    return Compared(words, said["fast"], said["typer"])


def test_records_that_cannot_be_read(both: Both, root: Path) -> None:
    jobs = homes.broken(root / "broken")
    odd = ("eeeeeee1", "eeeeeee2", "eeeeeee3", "eeeeeee4", "EEEEEEE5", "notes", "eeeeeee", "e", "sound", "till")
    check(compare(both, jobs, lists.looks((*jobs.ended, *odd))))
    # One sound job among them is as quick to ask for as ever.
    check_taken(
        compare(both, jobs, [("status", "dddddddd"), ("status", "dddddddd", "--json"), ("wait", "dddddddd")])
    )


@pytest.mark.parametrize("name", homes.BROKEN)
def test_one_record_that_cannot_be_read(both: Both, tmp_path: Path, name: str) -> None:
    jobs = homes.edited(tmp_path / "home", {name: homes.BROKEN[name]})
    calls: list[Words] = [("jobs",), ("jobs", "--json"), ("jobs", "--json", "--fields", "id"), ("status", "till")]
    check(compare(both, jobs, [*calls, ("jobs", "--status", "failed"), ("wait", "dddddddd", "00000000")]))


def test_a_folder_that_is_none(both: Both, root: Path) -> None:
    (root / "file").write_text("")
    (root / "no-folder").mkdir()
    (root / "no-folder" / "jobs").write_text("")
    (root / "loop").symlink_to("loop")
    for name in ("file", "no-folder", "loop"):
        check(compare(both, Jobs(root / name), lists.looks(("abcd0001", "x"))))


def test_jobs_whose_supervisor_is_gone(both: Both, tmp_path: Path) -> None:
    """Who finds them writes down their end. Each way finds them as they were."""
    found = []
    calls = [*lists.looks(("00000000", "00000001", "ddddddde")), ("status", "sound"), ("wait", "00000002")]
    env = environ(tmp_path, tmp_path / "home")
    for words in calls:
        said: dict[str, Said] = {}
        for way in ("fast", "typer"):
            shutil.rmtree(tmp_path / "home", ignore_errors=True)
            jobs = homes.lost(tmp_path / "home")
            said |= both.ask(words, env, tmp_path, jobs.path / "jobs", ways=(way,))
        found.append(Compared(words, said["fast"], said["typer"]))
    check(found)
