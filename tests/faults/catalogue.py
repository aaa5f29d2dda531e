"""All faults: importing this enters them into the list, in the order in which they are told."""

from tests.faults import leftovers, network, registry, roles, room, segments, supervisor, wild, workers

__all__ = ["leftovers", "network", "registry", "roles", "room", "segments", "supervisor", "wild", "workers"]
