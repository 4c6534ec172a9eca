"""Owns the demonstration: a scripted model on loopback, so that real Codex agents run without an account."""
