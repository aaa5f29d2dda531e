"""The supervisor of a host: events in, actions out, and nothing decided in between."""

from daosup.supervisor.loop import Supervisor

__all__ = ["Supervisor"]
