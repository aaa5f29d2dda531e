"""An event as programs see it: hooks on their standard input, clients of the control socket."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from daosup.core.fleet_events import OF_SOME, FleetEvent


def told(event: FleetEvent) -> dict[str, Any]:
    """The event as a JSON object with its time in words as well; what it does not have is null."""
    time_utc = datetime.fromtimestamp(event.time_ms / 1000, timezone.utc).isoformat(timespec="milliseconds")
    return {"time_utc": time_utc, **dict.fromkeys(OF_SOME), **event.as_json()}
