"""What all tests share: the leak check, how Hypothesis behaves, and that ctrl-c ends programs."""

from __future__ import annotations

import signal

# numpy starts threads that stay when it is first imported; no test should be blamed for them.
import numpy  # noqa: F401
from hypothesis import settings

# Who is started in the background of a shell script inherits that ctrl-c is ignored, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["pytester", "tests.leaks", "tests.segment_files"]

# The machine may be busy: an example's duration is no fact about the program.
settings.register_profile("daosup", deadline=None, print_blob=True)
settings.load_profile("daosup")
