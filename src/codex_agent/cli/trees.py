"""Owns the commands about a job's own worktree: diff, commits, merge, apply, worktree list|remove|prune."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from codex_agent.cli.common import JobRef, Json, store
from codex_agent.cli.telling import color, note, print_json, print_text
from codex_agent.errors import EXIT_BAD_STATE, CodexAgentError, UsageError
from codex_agent.job_text import columns
from codex_agent.text import one_line

if TYPE_CHECKING:
    from codex_agent.tree_answers import MergeHow, WorktreeKept, WorktreeRow

Folder = Annotated[
    str | None, typer.Option("-d", "--dir", help="Only those of the repository that this folder is in.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    for command in (diff, commits, merge, apply):
        app.command()(command)
    group = typer.Typer(help="The git worktrees of jobs.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(worktree_list)
    group.command("remove")(worktree_remove)
    group.command("prune")(worktree_prune)
    app.add_typer(group, name="worktree")


def diff(
    ref: JobRef,
    stat: Annotated[bool, typer.Option("--stat", help="Only which files, and how many lines.")] = False,
    json_output: Json = False,
) -> None:
    """Show what a job has changed in its worktree since its base, committed or not, as a patch."""
    from codex_agent.worktrees import looking

    where = store()
    answer, shown = looking.diff(where, where.resolve(ref), stat=stat, color=color() and not json_output)
    if json_output:
        print_json(answer)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(shown.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def commits(ref: JobRef, json_output: Json = False) -> None:
    """List what was committed in a job's worktree, oldest first, and what is not committed yet."""
    from codex_agent.worktrees import looking

    where = store()
    answer = looking.commits(where, where.resolve(ref))
    if json_output:
        print_json(answer)
        return
    for each in answer.commits:
        print_text(f"{each.id[:12]}  {each.at}  {one_line(each.author)}  {one_line(each.subject)}")
    if answer.uncommitted:
        note(f"not committed: {', '.join(map(one_line, answer.uncommitted))}")
    elif not answer.commits:
        note("Nothing was committed, and nothing is changed.")


def merge(
    ref: JobRef,
    squash: Annotated[bool, typer.Option("--squash", help="All of it as one commit.")] = False,
    rebase: Annotated[bool, typer.Option("--rebase", help="Its commits anew, on top of the branch.")] = False,
    into: Annotated[
        str | None, typer.Option("--into", metavar="BRANCH", help="The branch [default: the one it began at].")
    ] = None,
    commit: Annotated[bool, typer.Option("--commit", help="Commit first what is not committed.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Leave what is not committed where it is, and merge the rest.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Merge a job's commits into the branch it began at. A conflict changes nothing and is told by file."""
    from codex_agent.worktrees import joining

    if squash and rebase:
        raise UsageError("--squash and --rebase exclude each other.", "Give one of them.")
    if commit and force:
        raise UsageError("--commit and --force exclude each other.", "Give one of them.")
    how: MergeHow = "squash" if squash else "rebase" if rebase else "merge"
    where = store()
    job_id = where.resolve(ref)
    done = joining.merge(where, job_id, os.environ, how=how, into=into, commit=commit, force=force)
    if json_output:
        print_json(done)
    elif done.before == done.after:
        print_text(f"{job_id}: {done.into} has all of it already.")
    else:
        count = f"{done.commits} commit{'s' * (done.commits != 1)}"
        print_text(f"{job_id}: {count} into {done.into}, which is at {done.after[:12]} (was {done.before[:12]}).")


def apply(
    ref: JobRef,
    directory: Annotated[
        str | None, typer.Option("-d", "--dir", help="The working tree [default: the one it was started from].")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also on top of changes to the same files.")] = False,
    json_output: Json = False,
) -> None:
    """Put a job's changes into a working tree, uncommitted: all of them, or none."""
    from codex_agent.worktrees import joining

    where = store()
    done = joining.apply(where, where.resolve(ref), folder=directory, force=force)
    if json_output:
        print_json(done)
        return
    print_text(f"{len(done.files)} file{'s' * (len(done.files) != 1)} changed in {done.path}.")


def worktree_list(directory: Folder = None, json_output: Json = False) -> None:
    """List the worktrees of jobs, and the work in each that is nowhere else."""
    from codex_agent.worktrees import looking

    answer = looking.listing(store(), repository=_repository(directory))
    if json_output:
        print_json(answer)
        return
    rows = [
        (
            row.jobs[0],
            row.status or "-",
            one_line(row.branch or "(no branch)"),
            str(row.commits),
            str(row.unmerged or "-"),
            str(len(row.uncommitted) or "-"),
            one_line(row.path) + ("" if row.there else " (gone)"),
        )
        for row in answer.worktrees
    ]
    head = ("ID", "STATUS", "BRANCH", "COMMITS", "UNMERGED", "CHANGED", "PATH")
    print_text("\n".join(columns(head, rows, 10_000)) if rows else "No job has a worktree.")
    for row in answer.worktrees:
        if row.trouble:
            note(f"{row.jobs[0]}: {row.trouble}")


def worktree_remove(
    refs: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="Jobs, or the folders or branches of worktrees.", show_default=False),
    ],
    force: Annotated[bool, typer.Option("--force", help="Even if work is lost.")] = False,
    keep_branch: Annotated[
        bool, typer.Option("--keep-branch", help="Only the folder: the branch and its commits stay.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Remove worktrees and the branches made for them. Exit 4, and the rest is done, where work would be lost."""
    from codex_agent.tree_answers import WorktreeKept, WorktreesRemoved
    from codex_agent.worktrees import removing

    where, answer = store(), WorktreesRemoved([], [])
    if len(refs) == 1:
        answer.removed.append(
            removing.remove(where, removing.find(where, refs[0]), force=force, keep_branch=keep_branch)
        )
    else:
        for ref in dict.fromkeys(refs):
            try:
                found = removing.find(where, ref)
                answer.removed.append(removing.remove(where, found, force=force, keep_branch=keep_branch))
            except CodexAgentError as error:
                answer.kept.append(
                    WorktreeKept(str(error.data.get("path", ref)), error.code, error.message, error.hint)
                )
    if json_output:
        print_json(answer)
    else:
        _show(answer.removed, answer.kept, "removed")
    if answer.kept:
        raise typer.Exit(EXIT_BAD_STATE)


def worktree_prune(
    directory: Folder = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which, and remove nothing.")] = False,
    json_output: Json = False,
) -> None:
    """Remove every worktree of ended jobs with nothing in it that would be lost; say why the others stay."""
    from codex_agent.worktrees import removing

    answer = removing.prune(store(), repository=_repository(directory), dry_run=dry_run)
    if json_output:
        print_json(answer)
    else:
        _show(answer.removed, answer.kept, "would be removed" if dry_run else "removed")


def _show(removed: list[WorktreeRow], kept: list[WorktreeKept], word: str) -> None:
    for row in removed:
        print_text(f"{word}  {one_line(row.path)}  {one_line(row.branch or '')}")
    for one in kept:
        note(f"kept: {one.message}{f' {one.hint}' if one.hint else ''}")
    if not removed and not kept:
        print_text("No job has a worktree.")


def _repository(directory: str | None) -> str | None:
    if directory is None:
        return None
    from codex_agent.git import trees

    if not os.path.isdir(directory):
        raise UsageError(f"--dir is not a directory: {directory}", "Give a directory.", path=directory)
    found = trees.repository(directory)
    if found is None:
        raise UsageError(f"{directory} is in no git repository.", "Name another --dir.", path=directory)
    return found
