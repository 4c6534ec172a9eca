"""Owns finding jobs for the fast routes: which id a word means, how a job is now, and the list of all.

Reads records under their seal and tries locks. Must never settle a job, nor take one for alive that is not.
"""

from __future__ import annotations

import os

from codex_agent import sealed

TYPE_CHECKING = False  # as `typing` has it, without loading that
if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_agent.roster import Roster
    from codex_agent.sealed import Sealed

MANY = 200  # as in roster.py: fewer are read each time
TERMINAL = ("completed", "failed", "interrupted")


class Jobs:
    """The jobs below one home."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.folder = os.path.join(home, "jobs")

    def read(self, job_id: str) -> Sealed | None:
        """A job as it is now; None if its record has to be decoded, or its supervisor is gone."""
        job = sealed.read(self.folder, job_id)
        if job is None or job.ended or sealed.is_held(self.lock(job_id)):
            return job
        return None

    def lock(self, job_id: str) -> str:
        """The file of its lock."""
        return f"{self.folder}/{job_id}.lock"

    def resolve(self, ref: str) -> str | None:
        """The id that this means: an id, a name (first of a living job, then the newest), a unique prefix.

        None if there is none, or more than one, or not all is known.
        """
        if sealed.is_id(ref) and os.path.exists(f"{self.folder}/{ref}.json"):
            return ref
        if not ref or not ref.isprintable():
            return None
        try:
            known = self._roster()
            names = self._names(known)
        except OSError:
            return None
        if names is None:
            return None
        named = [(job_id, created_at) for job_id, name, created_at in names if name == ref]
        if named:
            return max(named, key=lambda one: (sealed.is_held(self.lock(one[0])) is True, one[1]))[0]
        matches = [job_id for job_id, _, _ in names if job_id.startswith(ref)]
        return matches[0] if len(matches) == 1 else None

    def listing(self, statuses: Sequence[str], limit: int | None) -> tuple[list[Sealed], int] | None:
        """What to show, living ones first, then the newest, and how many there are; None if that is not known."""
        try:
            known = self._roster()
            if known is None:
                ids = self._ids()
            elif limit is None:
                return None
            else:
                ids = known.others
        except OSError:
            return None
        if known is None and len(ids) > MANY:
            return None
        found = [self.read(job_id) for job_id in ids]
        jobs = [job for job in found if job is not None and (not statuses or job.status in statuses)]
        if None in found:
            return None
        total = len(jobs)
        if known is not None:
            from codex_agent import roster

            lines = [one for one in known.lines if not statuses or roster.status_of(one) in statuses]
            total += len(lines)
            for one in lines[:limit]:
                job = sealed.read(self.folder, roster.id_of(one))
                if job is None or not job.ended or job.status != roster.status_of(one):
                    return None  # it was edited where it stands
                jobs.append(job)
        jobs.sort(key=lambda job: (job.created_at, job.id), reverse=True)
        jobs.sort(key=lambda job: job.status in TERMINAL)
        return jobs[:limit], total

    def _roster(self) -> Roster | None:
        """The roster as it is true now; None where there is none. Raises OSError."""
        if not os.path.exists(f"{self.home}/cache/jobs.roster"):
            return None
        from codex_agent import roster

        return roster.current(self.home, self.folder)

    def _ids(self) -> list[str]:
        """Every id. Raises OSError."""
        try:
            return sealed.ids(self.folder)
        except FileNotFoundError:
            return []

    def _names(self, known: Roster | None) -> list[tuple[str, str | None, str]] | None:
        """Each job's id, name and time of making; None if not all is known. Raises OSError."""
        names = []
        if known is None:
            ids = self._ids()
            if len(ids) > MANY:
                return None
        else:
            from codex_agent import roster

            ids = known.others
            names = [(roster.id_of(one), roster.name_of(one), roster.created_at(one)) for one in known.lines]
        for job_id in ids:
            job = sealed.read(self.folder, job_id)
            if job is None:
                return None
            names.append((job_id, job.name, job.created_at))
        return names
