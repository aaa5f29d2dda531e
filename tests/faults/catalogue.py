"""All faults: importing this enters them into the list, in the order in which they are told."""

from tests.faults import segments, supervisor, workers

__all__ = ["segments", "supervisor", "workers"]
