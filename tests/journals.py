"""A supervisor's journal that only remembers what it was told."""

from __future__ import annotations

from daosup.core.notices.notice import Notice


class Told:
    """Stands for ``daosup.supervisor.journal.Journal`` where nothing but telling is asked of it.

    Attributes:
        notices: What was told, with its fields.
    """

    def __init__(self) -> None:
        self.notices: list[tuple[Notice, dict[str, object]]] = []

    def tell(self, notice: Notice, about: object = None, pid: int = 0, body: str = "", /, **fields: object) -> None:
        """Remember it."""
        self.notices.append((notice, {"about": about, "pid": pid, "body": body, **fields}))
