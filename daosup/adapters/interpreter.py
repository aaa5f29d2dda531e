"""The Python that runs this program, for programs that it starts.

Invariant: what was kept from this program is kept from those, too: the variables and folders of whoever started it
(``-I``), and the writing of bytecode (``-B``), as the launchers of an installed package say.
"""

from __future__ import annotations

import sys


def same_python() -> list[str]:
    """The first words of a command line."""
    options = ((sys.flags.isolated, "-I"), (sys.flags.dont_write_bytecode, "-B"))
    return [sys.executable, *(option for is_set, option in options if is_set)]
