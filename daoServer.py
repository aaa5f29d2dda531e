"""DAO's own name for the distributed segment server; the code is in ``daosup``.

``from daoServer import DaoServer, discover_redis`` works as DAO documents it, and ``python -m daoServer`` is daosupd.
"""

import sys

from daosup import DaoServer, discover_redis

__all__ = ["DaoServer", "discover_redis"]

if __name__ == "__main__":
    from daosup.daosupd import main

    sys.exit(main())
