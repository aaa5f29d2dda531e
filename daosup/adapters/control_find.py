"""Where this machine's daemons are, and why one cannot be reached.

Invariant: a caller who gives no path gets the only daemon there is, or is told which ones there are; no daemon is
ever picked from several.
"""

from __future__ import annotations

import os
import stat
from _socket import AF_UNIX, SOCK_STREAM, socket
from _socket import timeout as TimeoutOfSocket  # TimeoutError itself only from Python 3.10 on

from daosup.adapters.control_protocol import MAX_PATH_BYTES
from daosup.errors import DaosupError, DeniedError, NoAnswerError, UnavailableError, UsageError

SUFFIX = ".sock"
SYSTEM_FOLDER = "/run/daosup"
CONNECT_S = 1.0


def unit_of(path: str) -> str:
    """The systemd unit of the daemon whose control socket is ``path``."""
    return f"daoserver@{os.path.basename(path).removesuffix(SUFFIX)}"


def runtime_folders() -> list[str]:
    """The folders in which daemons of this machine put their sockets, the system's first.

    A folder below /tmp counts only if it is ours, for anybody may make one there.
    """
    folders = [SYSTEM_FOLDER]
    if os.environ.get("XDG_RUNTIME_DIR"):
        folders.append(os.path.join(os.environ["XDG_RUNTIME_DIR"], "daosup"))
    own = f"/tmp/daosup-{os.getuid()}"
    try:
        if os.lstat(own).st_uid == os.getuid():
            folders.append(own)
    except OSError:
        pass
    return folders


def instances() -> list[str]:
    """The instances that have a control socket on this machine; their daemons may be gone."""
    paths = [path for folder in runtime_folders() for path in _sockets_in(folder)]
    return sorted({os.path.basename(path).removesuffix(SUFFIX) for path in paths})


def find_socket(instance: str | None = None, explicit: str | None = None) -> str:
    """The control socket's path: ``explicit``, else $DAOSUP_SOCKET, else the instance's, else the only one there is.

    Raises:
        UsageError: If several daemons run here and none was named, or ``instance`` cannot be a name.
        UnavailableError: If none is there.
    """
    if explicit is not None:
        return explicit
    if instance is not None:
        if "/" in instance or not instance:
            raise UsageError(f"{instance!r} cannot be an instance; give a name like master, or a path by --socket")
        paths = [os.path.join(folder, instance + SUFFIX) for folder in runtime_folders()]
        return next((path for path in paths if os.path.lexists(path)), paths[0])
    if os.environ.get("DAOSUP_SOCKET"):
        return os.environ["DAOSUP_SOCKET"]
    found = [path for folder in runtime_folders() for path in _sockets_in(folder)]
    if len(found) > 1:
        found = [path for path in found if _is_served(path)] or found
    if len(found) > 1:
        raise UsageError(f"several daosupd run here ({', '.join(found)}); name one by --instance or --socket")
    if not found:
        raise UnavailableError(
            f"no daosupd runs here (no socket in {', '.join(runtime_folders())}); "
            "start one: systemctl start daoserver@INSTANCE"
        )
    return found[0]


def connect(path: str, timeout_s: float) -> socket:
    """A connection to the daemon at ``path``; ``timeout_s`` in seconds.

    Raises:
        UnavailableError: If nobody serves ``path``; says whether there is no socket or only a dead one.
        DeniedError: If its permissions keep us out.
        NoAnswerError: If the daemon accepts nothing in time.
        UsageError: If the path is too long for a socket.
    """
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise UsageError(f"{path} is longer than the {MAX_PATH_BYTES} bytes that a socket's path can have")
    connection = socket(AF_UNIX, SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise _told(path, error) from None
    return connection


def _told(path: str, error: OSError) -> DaosupError:
    """Why ``path`` could not be connected to, and what to do about it."""
    start = f"start it: systemctl start {unit_of(path)}"
    if isinstance(error, FileNotFoundError):
        return UnavailableError(f"no daosupd at {path} (no such socket); {start}")
    if isinstance(error, ConnectionRefusedError):
        if _is_something_else(path):
            return UsageError(f"{path} is not a socket; give the control socket of a daosupd")
        return UnavailableError(f"no daosupd at {path} (the one that made it is gone); {start}")
    if isinstance(error, PermissionError):
        return DeniedError(f"you may not use {path}{_group_of(path)}, or use sudo")
    if isinstance(error, (TimeoutOfSocket, BlockingIOError)):
        return NoAnswerError(f"daosupd at {path} accepts nothing; is it stopped? See: journalctl -u {unit_of(path)}")
    return UnavailableError(f"cannot connect to {path}: {error.strerror or error}")


def _group_of(path: str) -> str:
    import grp  # only a refused caller needs to know

    try:
        return f"; join its group {grp.getgrgid(os.stat(path).st_gid).gr_name}"
    except (OSError, KeyError):
        return ""


def _is_something_else(path: str) -> bool:
    """Whether there is a file that is no socket; one that is gone is a stale socket that a new daemon just removed."""
    try:
        return not stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _sockets_in(folder: str) -> list[str]:
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(SUFFIX))
    except OSError:
        return []


def _is_served(path: str) -> bool:
    """Whether a daemon is there, as far as we can tell: one that keeps us out is there too."""
    try:
        connect(path, CONNECT_S).close()
    except UnavailableError as error:
        return isinstance(error, NoAnswerError)
    except (DeniedError, UsageError):
        return True
    return True
