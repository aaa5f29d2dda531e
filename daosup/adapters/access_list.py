"""POSIX access control lists of files: letting one more user read and write a file.

Invariants: nobody else's rights change, neither by the new entry nor by the mask that goes with it; a list that cannot
be understood is left as it is. The encoding is the kernel's (linux/posix_acl_xattr.h), version 2, little endian.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from typing import Optional

_ATTRIBUTE = "system.posix_acl_access"
_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
_NOBODY = 0xFFFFFFFF
_OWNER, _USER, _OWNING_GROUP, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
#: Those whose rights the mask limits.
_MASKED = (_USER, _OWNING_GROUP, _GROUP)
_READ_WRITE = 6

#: (tag, id): permission bits. The kernel wants entries in this order.
_Entries = dict[tuple[int, int], int]


def let_in(fd: int, uid: int) -> bool:
    """Let a user read and write an open file; whether anything had to be changed.

    Args:
        fd: The file; the caller must own it or have CAP_FOWNER.
        uid: The user.

    Raises:
        OSError: If the list cannot be changed; EOPNOTSUPP: the file system has none.
    """
    facts = os.fstat(fd)
    entries = _decoded(_read(fd)) or _of_mode(facts.st_mode)
    if facts.st_uid == uid or _rights_of(entries, uid) & _READ_WRITE == _READ_WRITE:
        return False
    os.setxattr(fd, _ATTRIBUTE, _encoded(_with(entries, uid)))
    return True


def _with(entries: _Entries, uid: int) -> _Entries:
    # What the mask takes away now must stay taken away under a wider one.
    mask = entries.get((_MASK, _NOBODY), 7)
    cut = {key: bits & mask if key[0] in _MASKED else bits for key, bits in entries.items()}
    cut[_USER, uid] = _READ_WRITE
    cut[_MASK, _NOBODY] = 0
    for key, bits in cut.items():
        if key[0] in _MASKED:
            cut[_MASK, _NOBODY] |= bits
    return cut


def _rights_of(entries: _Entries, uid: int) -> int:
    """What a user who is neither the owner nor in a group of the file may do with it."""
    named = entries.get((_USER, uid))
    return entries[_OTHER, _NOBODY] if named is None else named & entries.get((_MASK, _NOBODY), 7)


def _of_mode(mode: int) -> _Entries:
    bits = stat.S_IMODE(mode)
    return {(_OWNER, _NOBODY): bits >> 6 & 7, (_OWNING_GROUP, _NOBODY): bits >> 3 & 7, (_OTHER, _NOBODY): bits & 7}


def _read(fd: int) -> bytes:
    try:
        return os.getxattr(fd, _ATTRIBUTE)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return b""
        raise


def _decoded(raw: bytes) -> Optional[_Entries]:
    """The entries of a list; None if there is none.

    Raises:
        OSError: If it is of another version.
    """
    if not raw:
        return None
    if not raw.startswith(_VERSION) or (len(raw) - len(_VERSION)) % _ENTRY.size:
        raise OSError(errno.ENOTSUP, "its access control list is of an unknown version")
    entries = {(tag, who): bits for tag, bits, who in _ENTRY.iter_unpack(raw[len(_VERSION) :])}
    if not {(_OWNER, _NOBODY), (_OWNING_GROUP, _NOBODY), (_OTHER, _NOBODY)} <= entries.keys():
        raise OSError(errno.EINVAL, "its access control list is incomplete")
    return entries


def _encoded(entries: _Entries) -> bytes:
    return _VERSION + b"".join(_ENTRY.pack(tag, bits, who) for (tag, who), bits in sorted(entries.items()))
