"""daosup for Python programs: ``DaoServer`` as DAO documents it, and ``daosup.open``."""

from daosup.server.dao_server import DaoServer
from daosup.server.opening import open_source

__all__ = ["DaoServer", "open_source"]
