"""``python -m daosup.demo.bound PARENT COMMAND...``: become COMMAND, told to end when PARENT is gone.

Invariant: no child of the demonstration outlives it, however it ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Bind this process to its parent and replace it by the command."""
    parent, *command = sys.argv[1:]
    # The kernel keeps this across exec.
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
