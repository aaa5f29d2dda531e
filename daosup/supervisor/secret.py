"""The secret by which this host signs orders for others, and knows theirs.

Invariant: it is as it was when the configuration was last read; one that cannot be used is told in the log and is none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from daosup.adapters.secret_file import read_secret
from daosup.core.notices import fleet
from daosup.errors import ConfigError
from daosup.supervisor.journal import Journal

OFF = (
    "remote control is off; put the same secret into a file on both hosts, name it by secret_file in [control], and "
    "`daosupctl reload`"
)


class Secret:
    """The secret of one supervisor. ``value`` is None if there is none, and ``problem`` says why."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.value: Optional[bytes] = None
        self.problem: Optional[str] = None
        self.is_configured = False

    def load(self, path: Optional[Path]) -> None:
        """Read it anew; no path: there is to be none."""
        self.value, self.problem, self.is_configured = None, None, path is not None
        if path is None:
            return
        try:
            self.value = read_secret(path)
        except ConfigError as error:
            self.problem = str(error)
            self._journal.tell(fleet.SECRET_REFUSED, reason=self.problem)

    @property
    def why_none(self) -> str:
        """Why nothing can be signed here, and what to do."""
        return f"remote control is off: {self.problem}" if self.problem else OFF

    @property
    def status(self) -> dict[str, Optional[str]]:
        """For ``status``: on, off or refused, and why it is refused."""
        state = "on" if self.value is not None else "refused" if self.is_configured else "off"
        return {"state": state, "reason": self.problem}
