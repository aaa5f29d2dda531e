"""All faults: importing this enters them into the list, in the order in which they are told."""

from tests.faults import registry, segments, supervisor, workers

__all__ = ["registry", "segments", "supervisor", "workers"]
