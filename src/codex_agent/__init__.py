"""codex-agent: run many Codex agents in the background and know exactly what each is doing.

Importing this package imports nothing else: the commands that are called all day must start fast.
"""

__version__ = "0.6.1"
