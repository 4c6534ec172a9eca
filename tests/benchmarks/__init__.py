"""How fast and how small codex-agent is, as whole processes and against something named. Not run by pytest."""
