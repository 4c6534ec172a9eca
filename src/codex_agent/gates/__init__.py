"""Owns the gates: named slots that jobs and commands hold while they run, and the lines before them.

``slots.py`` has the tickets on disk, ``lines.py`` who may go in, ``conditions.py`` what a gate demands of the
machine, ``waiting.py`` one who waits, ``admission.py`` a job that waits, ``command.py`` a command that does
(``gate run``). No daemon: whoever waits looks for itself, and the kernel gives back what the dead held.
"""
