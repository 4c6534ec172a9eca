"""Owns what git and GitHub see of a job: its branch, its commits, its pull request.

``wrappers.py`` puts `git` and `gh` of ours before the real ones on the PATH of the agent's commands; ``helper.py``
is what those run for the few commands that are noted; ``notes.py`` reads what was noted; ``work.py`` compares
where HEAD stands with where it stood, which needs no wrapper. What an agent's own processes noted is a hint, and
is checked.
"""
