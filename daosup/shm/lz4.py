"""Whether frames can be packed and unpacked here: that takes the system's liblz4, which need not be there."""

from __future__ import annotations

from typing import Optional

from daosup.shm._native import load_liblz4

_INSTALL = "compress=lz4 needs liblz4.so.1 {where}: install liblz4-1 (Debian, Ubuntu) or lz4-libs (Rocky, AlmaLinux)"


def why_not(compress: str, where: str) -> Optional[str]:
    """Why frames cannot be had so, and what to install ``where``; None: they can."""
    return None if compress == "none" or load_liblz4() else _INSTALL.format(where=where)
