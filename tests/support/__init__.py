"""What the tests share: a home of their own, the command line as a process, real Codex versions, waiting, leaks.

Nothing in here knows what a verdict is or how a job is stored; a test says that itself.
"""

from support.cli import Cli, Result
from support.codexes import Codex, codex
from support.home import Home
from support.processes import Seen, processes_with
from support.waiting import until

__all__ = ["Cli", "Codex", "Home", "Result", "Seen", "codex", "processes_with", "until"]
