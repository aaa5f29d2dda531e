"""``python -m daosup.demo``: from here on, a signal ends the demonstration in order, also while it is being set up."""

from __future__ import annotations

import sys

from daosup.ctl.ending import Ending


def main() -> int:
    """Run the demonstration and return its exit code."""
    with Ending() as ending:
        # Imported when signals are already heeded, for NumPy takes its time.
        from daosup.demo.show import main as show

        return show(ending, sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
