"""Recognising test runs: the table of commands and of outputs. Outputs were printed by the runners named."""

from __future__ import annotations

import pytest

from codex_agent.testruns import Seen, judge

# A command, the runner in it, and whether its exit status is the tests' own.
COMMANDS: list[tuple[str, str | None, bool]] = [
    ("pytest", "pytest", True),
    ("python3 -m pytest -q tests/a.py", "pytest", True),
    ("python3.11 -B -W error -m pytest", "pytest", True),
    ("python -c 'import pytest'", None, False),
    ("python pytest.py", None, False),
    (".venv/bin/pytest -x", "pytest", True),
    ("cd sub && pytest", "pytest", True),
    ("(cd sub; pytest)", "pytest", True),
    ("FOO=1 BAR='a b' timeout 60 uv run --with x pytest -x", "pytest", True),
    ("poetry run python -m pytest", "pytest", True),
    ("coverage run -m pytest", "pytest", True),
    ("sudo -u bob env -u X pytest", "pytest", True),
    ("bash -lc 'cd x && pytest'", "pytest", True),
    ("bash -lc 'pytest | tail'", "pytest", False),
    ("pytest 2>&1", "pytest", True),
    ("pytest &> log", "pytest", True),
    ("set -o pipefail; pytest 2>&1 | tee log", "pytest", True),
    ("pytest && echo fine", "pytest", True),
    ("pytest | tail -5", "pytest", False),
    ("pytest || true", "pytest", False),
    ("pytest; echo $?", "pytest", False),
    ("pytest\necho done", "pytest", False),
    ("echo first\npytest\n", "pytest", True),
    ("pytest &", "pytest", False),
    ("if pytest; then echo ok; fi", "pytest", False),
    ("python -m unittest discover -s tests", "unittest", True),
    ("cargo +nightly test --all", "cargo", True),
    ("cargo nextest run", "cargo", True),
    ("go test ./...", "go", True),
    ("npx jest --ci", "jest", True),
    ("npx vitest run", "vitest", True),
    ("npm test", "npm", True),
    ("npm run test:unit -- --watch=false", "npm", True),
    ("yarn test", "yarn", True),
    ("node --test", "node", True),
    ("make -j4 check", "make", True),
    ("cargo build", None, False),
    ("cargo test --no-run", None, False),
    ("go vet ./...", None, False),
    ("npm install", None, False),
    ("pytest --version", None, False),
    ("pytest --collect-only -q", None, False),
    ("pip install pytest", None, False),
    ("cat pytest.ini", None, False),
    ("grep -rn pytest .", None, False),
    ("echo 'now run pytest'", None, False),
    ("ls test", None, False),
    ("# pytest\nls", None, False),
    ("cat > run.sh <<'EOF'\npytest\nEOF\n", None, False),
    ("git commit -m 'run: pytest && go test'", None, False),
    ("echo 'unfinished && pytest", None, False),
    ("", None, False),
]


@pytest.mark.parametrize(("command", "runner", "decides"), COMMANDS, ids=[row[0] for row in COMMANDS])
def test_commands(command: str, runner: str | None, decides: bool) -> None:
    for code, outcome in ((0, "passed"), (1, "failed")):
        seen = judge(command, code, "", ended=True)
        if runner is None:
            assert seen is None
        else:
            expected = (outcome, "exit_code") if decides else ("unknown", "none")
            assert seen is not None and (seen.runner, seen.outcome, seen.basis) == (runner, *expected)


# Output of a runner, and what it says: passed, failed, skipped.
OUTPUTS: list[tuple[str, str, tuple[int, int, int] | None]] = [
    ("pytest", "...\n=== 1 failed, 3 passed, 1 skipped, 2 warnings, 2 errors in 0.12s ===\n", (3, 3, 1)),
    ("pytest", "..\n2 passed in 0.01s\n", (2, 0, 0)),
    ("pytest", "=== 5 passed, 1 xfailed in 75.31s (0:01:15) ===\n", (5, 0, 0)),
    ("pytest", "E   assert '1 passed in 2s' == ''\n", None),
    ("pytest", "no tests ran in 0.00s\n", None),
    ("python -m unittest", "..\n-----\nRan 2 tests in 0.000s\n\nOK\n", (2, 0, 0)),
    ("python -m unittest", "Ran 1 test in 0.1s\n\nOK (skipped=1)\n", (0, 0, 1)),
    ("python -m unittest", "Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=1)\n", (1, 3, 1)),
    (
        "cargo test",
        "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n"
        "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured\n",
        (7, 3, 1),
    ),
    (
        "go test -v ./...",
        "--- PASS: TestA (0.00s)\n    --- PASS: TestA/x (0.00s)\n--- FAIL: TestB (0.1s)\n",
        (2, 1, 0),
    ),
    ("go test ./...", "ok  \texample/a\t0.002s\n", None),
    ("npx jest", "Tests:       1 failed, 1 skipped, 2 passed, 4 total\nTime: 1 s\n", (2, 1, 1)),
    ("npx vitest", " Test Files  1 failed | 1 passed (2)\n      Tests  1 failed | 5 passed (6)\n", (5, 1, 0)),
    ("node --test", "# tests 5\n# pass 3\n# fail 1\n# cancelled 0\n# skipped 1\n", (3, 1, 1)),
    ("npm test", "\n  5 passing (10ms)\n  1 pending\n  2 failing\n", (5, 2, 1)),
    ("npm test", "Tests:       2 passed, 2 total\n", (2, 0, 0)),
    ("make check", "3 passed in 0.10s\n", (3, 0, 0)),
    ("npm test", "all good, 12 passed\n", None),
]


@pytest.mark.parametrize(("command", "output", "counts"), OUTPUTS, ids=[row[1][-40:] for row in OUTPUTS])
def test_outputs(command: str, output: str, counts: tuple[int, int, int] | None) -> None:
    seen = judge(command, 0, output, ended=True)
    assert seen is not None
    assert (seen.passed, seen.failed, seen.skipped) == (counts or (None, None, None))
    # Behind a pipe the output alone tells.
    piped = judge(f"{command} | cat", 0, output, ended=True)
    assert piped is not None
    if counts is None:
        assert (piped.outcome, piped.basis) == ("unknown", "none")
    elif counts[0] or counts[1]:
        assert (piped.outcome, piped.basis) == ("failed" if counts[1] else "passed", "output")


@pytest.mark.parametrize(
    ("command", "code", "ended"),
    [
        ("pytest", None, False),  # it still runs, or was interrupted
        ("pytest", 0, False),
        ("pytest", None, True),
        ("pytest", 127, True),  # there is no pytest
        ("timeout 5 pytest", 124, True),
        ("pytest", 137, True),
        ("pytest", 5, True),  # it found none
        ("pytest", 4, True),
    ],
)
def test_what_nobody_knows(command: str, code: int | None, ended: bool) -> None:
    assert judge(command, code, "", ended=ended) == Seen("pytest", "unknown", "none", None, None, None)


def test_the_exit_status_stands_above_the_words() -> None:
    assert judge("pytest", 1, "3 passed in 0.1s\n", ended=True) == Seen("pytest", "failed", "exit_code", 3, 0, 0)
    assert judge("npm test", 0, "  1 failing\n  2 passing (3ms)\n", ended=True) == Seen(
        "npm", "passed", "exit_code", 2, 1, 0
    )


def test_the_last_run_of_several_counts() -> None:
    seen = judge("cargo test; pytest -q", 1, "1 failed in 0.1s\n", ended=True)
    assert seen == Seen("pytest", "failed", "exit_code", 0, 1, 0)


def test_long_and_odd_commands_take_no_time() -> None:
    for command in (
        "pytest " + "x" * 500_000,
        "(" * 20_000 + "pytest",
        "a && " * 50_000 + "pytest",
        "<<" * 50_000,
    ):
        judge(command, 0, "= " * 50_000 + "\n" + "1 passed, " * 20_000, ended=True)
