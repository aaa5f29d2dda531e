"""Names to addresses without holding up anybody.

Invariants: at most one look-up of a name is under way, however often and long it hangs; whoever asks is answered within
the time that is allowed, with an old answer if there is no new one. The thread that waits for the resolver is nobody's:
neither the loop nor the end of the program waits for it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from typing import Optional

#: When a resolver is slow, the last answer is as good as the next: addresses of servers hardly ever change.
PATIENCE_S = 0.5


class NameLookup:
    """Looks up the addresses of servers and remembers them; belongs to one asyncio loop."""

    def __init__(self) -> None:
        self._known: dict[str, list[str]] = {}
        self._under_way: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, name: str) -> list[str]:
        """The addresses of ``name``, in the order in which they should be tried; never empty.

        Raises:
            OSError: If it has none, and never had. Without any answer this waits: the caller bounds it.
        """
        if _is_address(name):
            return [name]
        lookup = self._under_way.get(name)
        if lookup is None:
            lookup = self._begin(name)
        known = self._known.get(name)
        try:
            return await asyncio.wait_for(asyncio.shield(lookup), None if known is None else PATIENCE_S)
        except (OSError, asyncio.TimeoutError):
            if known is None:
                raise
            return known

    def _begin(self, name: str) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        lookup: asyncio.Future[list[str]] = loop.create_future()
        self._under_way[name] = lookup

        def finish(found: Optional[list[str]], error: Optional[OSError]) -> None:
            del self._under_way[name]
            if found:
                self._known[name] = found
                lookup.set_result(found)
            else:
                lookup.set_exception(error or OSError(f"{name} has no address"))
                lookup.exception()  # it may be that nobody waits any more

        def look() -> None:
            found, failure = None, None
            try:
                found = _resolved(name)
            except (OSError, UnicodeError) as error:
                failure = OSError(f"the name {name} cannot be resolved: {getattr(error, 'strerror', None) or error}")
            try:
                loop.call_soon_threadsafe(finish, found, failure)
            except RuntimeError:
                return  # the loop has ended meanwhile

        threading.Thread(target=look, name=f"look-up of {name}", daemon=True).start()
        return lookup


def _resolved(name: str) -> list[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
