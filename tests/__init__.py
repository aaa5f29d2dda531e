"""The tests of daosup."""

import os

# Threads that NumPy's linear algebra keeps for itself would look like ones that a test left behind.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
