"""Owns what can be said of Codex sessions that run anywhere: which there are, which one is meant, what it does.

Reads only. Codex owns the rollouts and its databases; nothing here writes, locks or moves one of them.
"""
