"""The real Claude Code, driven by a scripted Claude, uses what this checkout offers: the marketplace; the plugin,
with its skill, commands, hooks and MCP tools; and the command line in its Bash.

Each test's Claude Code has an empty HOME and gets the plugin as a user gets it. Afterwards it must have asked for
nothing that no script foresaw, and nothing may have tried to reach another machine.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Home, processes_with, until
from support.claude import Claude, Nowhere, claude_code
from support.cli import COMMAND
from support.interactive import wants
from support.jobs import begin, ended, see
from support.material import TOP, our_files
from support.messages_server import Json, Talk, say, use
from support.processes import Seen

MARKETPLACE, PLUGIN, SERVER = "codex-agent", "codex-orchestrator", "codex"
SKILL = f"{PLUGIN}:{PLUGIN}"
TOOLS = f"mcp__plugin_{PLUGIN}_{SERVER}"
AGENT = f"{TOOLS}__codex_agent"
OFFERED = "agent approvals approve cancel interrupt monitor result resume review send status tasks threads wait"
# Here the TUI of Codex, not Claude Code, looks for news at each start. It has no switch for that (0.163.0).
NEWS = "CONNECT raw.githubusercontent.com:443 HTTP/1.1"


@pytest.fixture
def bare(home: Home, repo: Path, model: ModelServer, tmp_path: Path) -> Iterator[Claude]:
    """Claude Code as it comes, on a machine that has codex-agent and a Codex with a scripted model."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "codex-agent").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (programs / "codex-agent").chmod(0o755)
    home.env["PATH"] = f"{programs}:{home.env['PATH']}"
    with claude_code(home, repo) as made:
        yield made
        assert made.model.surprises == []
        assert [asked for asked in made.nowhere.asked if asked != NEWS] == []


@pytest.fixture
def claude(bare: Claude) -> Claude:
    """The same with the plugin of this checkout."""
    install(bare)
    return bare


def install(claude: Claude, source: str = str(TOP), *options: str) -> None:
    claude.ok("plugin", "marketplace", "add", source)
    claude.ok("plugin", "install", f"{PLUGIN}@{MARKETPLACE}", *options)


@pytest.mark.parametrize("folder", ["", f"plugins/{PLUGIN}"], ids=["marketplace", "plugin"])
def test_it_is_valid_without_a_warning(bare: Claude, folder: str) -> None:
    found = json.loads(bare.ok("plugin", "validate", "--strict", "--json", str(TOP / folder)))
    assert found["success"]
    assert [found["manifest"]["errors"], found["manifest"]["warnings"]] == [[], []]
    assert not any(part["errors"] or part["warnings"] for part in found["contents"])


def test_it_is_installed_from_this_checkout(claude: Claude) -> None:
    (plugin,) = json.loads(claude.ok("plugin", "list", "--json"))
    assert plugin["id"] == f"{PLUGIN}@{MARKETPLACE}" and plugin["enabled"]
    told = claude.ok("plugin", "details", PLUGIN)
    assert "SessionStart, Stop" in told and f"MCP servers (1)  {SERVER}" in told, told
    assert f"plugin:{PLUGIN}:{SERVER}" in (told := claude.ok("mcp", "list")) and "Connected" in told, told


def test_it_is_installed_from_a_git_repository(bare: Claude, home: Home, repo: Path, tmp_path: Path) -> None:
    """As from a git server: Claude Code clones, and copies the plugin's folder out of the clone."""
    for name in our_files():
        (tmp_path / "ours" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / name, tmp_path / "ours" / name)
    for words in ("init -q", "add .", "commit -q -m all", "config uploadpack.allowFilter true"):
        subprocess.run(["git", *words.split()], cwd=tmp_path / "ours", env=home.env, check=True)
    url = "https://git.invalid/codex-agent.git"
    with (home.path / ".gitconfig").open("a") as config:
        config.write(f'[url "file://{tmp_path}/ours"]\n    insteadOf = {url}\n')
    install(bare, url)
    bare.model.on("HELLO", say("Hello."))
    told = bare.talk("HELLO")
    assert [server["status"] for server in told.began["mcp_servers"]] == ["connected"]
    assert SKILL in told.began["skills"]
    assert {hook["outcome"] for hook in told.hooks("SessionStart") + told.hooks("Stop")} == {"success"}


def test_without_codex_agent_it_says_how_to_get_it(bare: Claude, home: Home, tmp_path: Path) -> None:
    (tmp_path / "bin" / "codex-agent").unlink()
    shutil.copytree(TOP / ".claude-plugin", tmp_path / "alone" / ".claude-plugin")
    shutil.copytree(TOP / "plugins", tmp_path / "alone" / "plugins")
    install(bare, str(tmp_path / "alone"))
    bare.model.on("HELLO", use("Bash", command="codex-agent jobs"), say("It is not there."))
    told = bare.talk("HELLO", "Bash(codex-agent:*)")
    assert [server["status"] for server in told.began["mcp_servers"]] == ["failed"]
    asked = bare.model.talks[-1]
    assert "install.sh" in told.hooks("SessionStart")[0]["output"] and "install.sh" in asked.results[-1]


def test_a_session_has_everything_of_it(claude: Claude) -> None:
    claude.model.on("HELLO", say("Hello."))
    told = claude.talk("HELLO")
    assert PLUGIN in [plugin["name"] for plugin in told.began["plugins"]]
    assert SKILL in told.began["skills"]
    commands = {path.stem for path in (TOP / "plugins" / PLUGIN / "commands").glob("*.md")}
    assert commands and {f"{PLUGIN}:{name}" for name in commands} <= set(told.began["slash_commands"])
    (server,) = told.began["mcp_servers"]
    assert (server["name"], server["status"]) == (f"plugin:{PLUGIN}:{SERVER}", "connected")
    offered = [name.removeprefix(f"{TOOLS}__codex_") for name in told.began["tools"] if name.startswith(TOOLS)]
    assert " ".join(sorted(offered)) == OFFERED
    for event in ("SessionStart", "Stop"):
        (hook,) = told.hooks(event)
        assert (hook["outcome"], hook["output"]) == ("success", ""), hook
    # What a model sees: the skill by its description.
    assert SKILL in claude.model.talks[0].text


def test_the_skill_and_the_commands_tell_a_model_how(claude: Claude) -> None:
    claude.model.on("TEACH", use("Skill", skill=SKILL), say("Understood."))
    claude.talk("TEACH", "Skill")
    assert "codex-agent start" in claude.model.talks[-1].text
    claude.model.on("MEND", say("Understood."))
    claude.talk(f"/{PLUGIN}:delegate MEND the roof")
    assert "to Codex" in claude.model.talks[-1].text and "MEND the roof" in claude.model.talks[-1].text


def test_an_agent_by_its_tool(claude: Claude, cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("DIG", Step.command("echo deep > hole.txt"), Step.message("The hole is dug."))
    claude.model.on(
        "DELEGATE",
        use("ToolSearch", query=f"select:{AGENT}"),  # Claude Code gives a model the schemas it asks for
        use(AGENT, task="DIG a hole", workingDirectory=str(repo)),
        say("It is dug."),
    )
    told = claude.talk("DELEGATE this", "ToolSearch", AGENT)
    assert told.end["result"] == "It is dug." and told.end["permission_denials"] == []
    assert "The hole is dug." in claude.model.talks[-1].results[-1]
    assert (repo / "hole.txt").read_text() == "deep\n"
    (job,) = cli("jobs", "--json").ok().json()["jobs"]
    assert (job["status"], job["last_message"]) == ("completed", "The hole is dug.")


def test_its_person_decides_what_an_agent_asks(claude: Claude, model: ModelServer, repo: Path) -> None:
    """By a form in Claude Code, in the middle of the call; here a hook fills it in, as a person would."""
    model.on("DIG", wants("echo deep > hole.txt", "Claude needs a hole"), Step.message("The hole is dug."))
    filled = {"hookEventName": "Elicitation", "action": "accept", "content": {"decision": "approve"}}
    fill = f"cat > asked; echo {shlex.quote(json.dumps({'hookSpecificOutput': filled}))}"
    settings = {"hooks": {"Elicitation": [{"hooks": [{"type": "command", "command": fill}]}]}}
    (repo / ".claude").mkdir()
    (repo / ".claude" / "settings.json").write_text(json.dumps(settings))
    claude.model.on(
        "DELEGATE",
        use("ToolSearch", query=f"select:{AGENT}"),
        use(AGENT, task="DIG a hole", workingDirectory=str(repo), interactive=True),
        say("It is dug."),
    )
    told = claude.talk("DELEGATE this", "ToolSearch", AGENT)
    assert told.end["result"] == "It is dug." and told.end["permission_denials"] == []
    asked = json.loads((repo / "asked").read_text())
    assert "echo deep > hole.txt" in asked["message"] and "Claude needs a hole" in asked["message"]
    assert "The hole is dug." in claude.model.talks[-1].results[1]
    assert (repo / "hole.txt").read_text() == "deep\n"


def test_the_model_decides_where_nobody_is_there(claude: Claude, model: ModelServer, repo: Path) -> None:
    """`claude -p` has nobody to show a form to: the call returns with what the agent waits for."""
    model.on("DIG", wants("echo deep > hole.txt", "Claude needs a hole"), Step.message("The hole is dug."))

    def task(talk: Talk) -> str:
        return str(json.loads(talk.results[1])["id"])

    claude.model.on(
        "DELEGATE",
        use("ToolSearch", query=f"select:{AGENT},{TOOLS}__codex_approve,{TOOLS}__codex_wait"),
        use(AGENT, task="DIG a hole", workingDirectory=str(repo), interactive=True),
        use(f"{TOOLS}__codex_approve", taskId=task, decision="approve"),
        use(f"{TOOLS}__codex_wait", taskIds=lambda talk: [task(talk)]),
        say("It is dug."),
    )
    told = claude.talk("DELEGATE this", "ToolSearch", f"{TOOLS}__*")
    assert told.end["result"] == "It is dug." and told.end["permission_denials"] == []
    begun, _, waited = claude.model.talks[-1].results[1:]
    assert "waiting_approval" in begun and "Claude needs a hole" in begun
    assert "The hole is dug." in waited and (repo / "hole.txt").read_text() == "deep\n"


def test_resources_and_prompts(claude: Claude, cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("DIG", Step.message("The hole is dug."))
    job_id = begin(cli, repo, "DIG a hole")
    ended(cli, job_id)
    claude.model.on(
        "READ",
        use("ToolSearch", query="select:ListMcpResourcesTool,ReadMcpResourceTool"),
        use("ListMcpResourcesTool"),
        use("ReadMcpResourceTool", server=f"plugin:{PLUGIN}:{SERVER}", uri=f"codex-agent://jobs/{job_id}/result"),
        say("I have read it."),
    )
    told = claude.talk("READ it", "ToolSearch")
    listed, read = claude.model.talks[-1].results[1:]
    assert "codex-agent://jobs" in listed and "The hole is dug." in read
    prompts = {name.removeprefix(f"{TOOLS}__") for name in told.began["slash_commands"] if name.startswith(TOOLS)}
    assert prompts == {"parallel_investigation", "review", "implement_and_verify"}
    claude.model.on("LEAK", say("I will."))
    claude.talk(f"/{TOOLS}__parallel_investigation LEAK")
    assert "codex_agent with async true" in claude.model.talks[-1].text


def test_agents_in_its_shell(claude: Claude, model: ModelServer, repo: Path) -> None:
    model.on("DIG", Step.command("echo deep > hole.txt"), Step.message("The hole is dug."))
    commands = [
        "codex-agent start 'DIG a hole' --name digger",
        "codex-agent wait digger",
        "codex-agent jobs --json",
        "codex-agent output digger --result",
    ]
    claude.model.on("SHELL", *(use("Bash", command=command) for command in commands), say("It is dug."))
    told = claude.talk("SHELL", "Bash(codex-agent:*)")
    assert told.end["result"] == "It is dug." and told.end["permission_denials"] == []
    started, _, listed, result = claude.model.talks[-1].results
    (job,) = json.loads(listed)["jobs"]
    assert job["id"] in started and job["name"] == "digger"
    assert (job["status"], job["cwd"]) == ("completed", str(repo))
    assert "The hole is dug." in result


def test_it_waits_in_the_background(claude: Claude, model: ModelServer) -> None:
    """As the skill says: no request while the agent is at work; Claude Code wakes its model at the end."""
    gate = model.gate("dug")
    model.on("DIG", Step.hold(gate, Step.message("The hole is dug.")))

    def idle(talk: Talk) -> list[Json]:
        gate.reached(60)
        threading.Timer(0.5, gate.open).start()  # time enough for a poll, which no script foresees
        return say("I wait.")(talk)

    claude.model.on(
        "SHELL",
        use("Bash", command="codex-agent start 'DIG a hole' --name digger"),
        use("Bash", command="codex-agent wait digger", run_in_background=True),
        idle,
        use("Bash", command="codex-agent output digger --result"),
        say("It is dug."),
    )
    told = claude.talk("SHELL", "Bash(codex-agent:*)")
    assert told.end["result"] == "It is dug." and len(claude.model.talks) == 5
    assert "completed (exit code 0)" in claude.model.talks[3].text
    assert "The hole is dug." in claude.model.talks[4].results[-1]


def test_an_agent_outlives_its_claude(claude: Claude, cli: Cli, model: ModelServer, repo: Path) -> None:
    """And the next session is told of it."""
    gate = model.gate("dug")
    model.on("DIG", Step.hold(gate, Step.message("The hole is dug.")))
    claude.model.on(
        "DELEGATE",
        use("ToolSearch", query=f"select:{AGENT}"),
        use(AGENT, **{"task": "DIG a hole", "workingDirectory": str(repo), "async": True}),
        use("Bash", command="codex-agent start 'DIG another' --no-overlap-check"),
        say("They are digging."),
    )
    claude.talk("DELEGATE this", "ToolSearch", AGENT, "Bash(codex-agent:*)")
    ids = [job["id"] for job in cli("jobs", "--json").ok().json()["jobs"]]
    assert len(ids) == 2 and {see(cli, one)["status"] for one in ids} == {"running"}
    claude.model.on("LATER", say("They still dig."))
    (hook,) = claude.talk("LATER").hooks("SessionStart")
    assert all(one in hook["output"] and one in claude.model.talks[-1].text for one in ids), hook
    gate.open()
    waited = cli("wait", *ids, "--json").ok().json()["jobs"]
    assert {(job["status"], job["last_message"]) for job in waited} == {("completed", "The hole is dug.")}


def test_a_killed_claude_loses_nothing(claude: Claude, cli: Cli, model: ModelServer, repo: Path) -> None:
    """In the middle of a call. Its MCP server ends by itself, and the agent goes on."""
    gate = model.gate("dug")
    model.on("DIG", Step.hold(gate, Step.message("The hole is dug.")))
    claude.model.on(
        "DELEGATE",
        use("ToolSearch", query=f"select:{AGENT}"),
        use(AGENT, task="DIG a hole", workingDirectory=str(repo)),
    )

    def servers() -> list[Seen]:
        return [one for one in processes_with(f"{repo.parent}/") if one.command.endswith(" mcp")]

    with claude.start("-p", "DELEGATE this", "--allowed-tools", f"ToolSearch,{AGENT}") as process:
        gate.reached(60)
        assert servers()
        process.kill()
    until(lambda: not servers(), 20, "the end of the MCP server")
    (job,) = cli("jobs", "--json").ok().json()["jobs"]
    assert job["status"] == "running"
    gate.open()
    assert ended(cli, job["id"])["last_message"] == "The hole is dug."


def test_a_review_is_offered_where_the_user_wants_it(bare: Claude, repo: Path) -> None:
    install(bare, str(TOP), "--config", "review_before_finishing=true")
    (repo / "README.md").write_text("changed\n")
    bare.model.on("CHANGE", say("Changed."), say("No review is needed."))
    assert bare.talk("CHANGE it").end["result"] == "No review is needed."
    assert "codex-agent review" in bare.model.talks[-1].text


def test_nothing_reaches_another_machine(bare: Claude, tmp_path: Path) -> None:
    """By strace, which sees what goes past a proxy too. The other tests ask the proxy."""
    seen = tmp_path / "connects"
    strace = ["strace", "-f", "-qq", "-A", "-e", "trace=connect", "-o", str(seen)]
    if (
        not shutil.which("strace")
        or subprocess.run([*strace, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("strace is not installed, or may not trace here")
    bare.before = strace
    bare.model.on("LOOK", use("Bash", command="codex-agent jobs --json"), say("None."))
    install(bare)
    assert bare.talk("LOOK", "Bash(codex-agent:*)").end["result"] == "None."
    calls = [line for line in seen.read_text().splitlines() if "sa_family=AF_INET" in line]
    assert calls and all('inet_addr("127.0.0.1")' in call for call in calls), calls


def test_whoever_goes_elsewhere_is_seen() -> None:
    ask = "import urllib.request; urllib.request.urlopen('http://elsewhere.invalid/news', timeout=5)"
    with Nowhere() as nowhere:
        done = subprocess.run(
            [sys.executable, "-c", ask], env=nowhere.environ, capture_output=True, timeout=30, check=False
        )
        assert done.returncode
        assert until(lambda: nowhere.asked) == ["GET http://elsewhere.invalid/news HTTP/1.1"]
