"""What all tests share: the leak check, and how Hypothesis behaves."""

from __future__ import annotations

# numpy starts threads that stay when it is first imported; no test should be blamed for them.
import numpy  # noqa: F401
from hypothesis import settings

pytest_plugins = ["pytester", "tests.leaks", "tests.segment_files"]

# The machine may be busy: an example's duration is no fact about the program.
settings.register_profile("daosup", deadline=None, print_blob=True)
settings.load_profile("daosup")
