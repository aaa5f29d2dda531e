"""Real-time data of adaptive-optics hosts, shared between them: the public API.

Nothing is imported before it is asked for, so that commands which need neither NumPy nor ZeroMQ start at once.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would be the costliest import of all
__version__ = "0.1.0"

__all__ = ["DaoServer", "Segment", "__version__", "discover_redis", "open"]

if TYPE_CHECKING:
    from daosup.adapters.redis_discovery import discover_redis
    from daosup.server import DaoServer
    from daosup.server import open_source as open
    from daosup.shm import Segment

_HOMES = {
    "DaoServer": ("daosup.server", "DaoServer"),
    "Segment": ("daosup.shm", "Segment"),
    "discover_redis": ("daosup.adapters.redis_discovery", "discover_redis"),
    "open": ("daosup.server", "open_source"),
}


def __getattr__(name: str) -> object:
    try:
        module, attribute = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'daosup' has no attribute {name!r}") from None
    import importlib

    return getattr(importlib.import_module(module), attribute)
