"""All metrics that a daemon tells, as a fixed list.

Invariant: a name means the same for ever. Units are Prometheus's: seconds, bytes, and counters end in ``_total``.
docs/metrics.md has this list; a test compares.
"""

from __future__ import annotations

from daosup.core.exposition import Kind, Metric

_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

# -- the daemon

INFO = Metric(
    "daosup_info",
    _GAUGE,
    ("host", "daemon_instance", "version", "registry"),
    "Always 1; its labels name the daemon: its host in the registry, its configuration, its version, its Redis.",
)
UPTIME = Metric("daosup_uptime_seconds", _GAUGE, (), "How long this daemon has been running.")
ROLE = Metric(
    "daosup_role", _GAUGE, ("role",), "1 for the role that this host has, 0 for the other; all 0: not known yet."
)
LEASE = Metric(
    "daosup_lease",
    _GAUGE,
    ("state",),
    "1 for how the master's lease stands: held (ours), lapsed (ours, but not renewed), other (another host's), none.",
)
LEASE_EPOCH = Metric(
    "daosup_lease_epoch", _GAUGE, (), "Number of the lease as last seen; it grows with each new master."
)
LEASE_LEFT = Metric(
    "daosup_lease_left_seconds", _GAUGE, (), "For how long this host may trust that it holds the lease; 0: it does not."
)
REGISTRY_UP = Metric("daosup_registry_up", _GAUGE, (), "Whether Redis answers and takes what is written.")
REGISTRY_ROUND_TRIP = Metric(
    "daosup_registry_round_trip_seconds",
    _HISTOGRAM,
    (),
    "How long Redis took to answer a small question, asked about every 3 s.",
)
REGISTRY_UNREADABLE = Metric(
    "daosup_registry_unreadable_total", _COUNTER, (), "Values and messages in Redis that did not decode."
)
CLOCK_OFFSET = Metric(
    "daosup_clock_offset_seconds",
    _GAUGE,
    (),
    "How far this host's clock is ahead of Redis's; missing before the first look.",
)
LOOP_LAG = Metric(
    "daosup_loop_lag_seconds",
    _HISTOGRAM,
    (),
    "How late the daemon's loop came round, looked at four times a second; so long it keeps everybody waiting.",
)
SEGMENTS = Metric("daosup_segments", _GAUGE, (), "Segments of this host that other hosts may have.")
WORKERS = Metric("daosup_workers", _GAUGE, ("kind", "state"), "Workers of this host by kind and state.")
NOTICES = Metric(
    "daosup_notices_total",
    _COUNTER,
    ("notice", "level"),
    "What this daemon told its log, by notice (docs/journal.md); entries that repeat are all counted.",
)
CONFIG_REFUSED = Metric(
    "daosup_config_mistakes", _GAUGE, (), "Mistakes in the configuration that was read last, and so was refused."
)
CONFIG_WAITING = Metric(
    "daosup_config_keys_waiting", _GAUGE, (), "Keys of the configuration whose new values wait for a restart."
)
CPU = Metric("process_cpu_seconds_total", _COUNTER, (), "CPU time of the daemon itself, without its workers.")
MEMORY = Metric("process_resident_memory_bytes", _GAUGE, (), "Memory of the daemon itself.")
OPEN_FDS = Metric("process_open_fds", _GAUGE, (), "Files that the daemon has open.")
MAX_FDS = Metric("process_max_fds", _GAUGE, (), "How many files the daemon may open.")

# -- each worker

OF_WORKER = ("kind", "source")
WORKER_UP = Metric("daosup_worker_up", _GAUGE, OF_WORKER, "Whether the worker runs.")
WORKER_LINK_UP = Metric("daosup_worker_link_up", _GAUGE, OF_WORKER, "Whether a mirror hears its owner.")
WORKER_READERS = Metric("daosup_worker_readers", _GAUGE, OF_WORKER, "Readers that are connected to a publisher.")
WORKER_DIRECT_READERS = Metric(
    "daosup_worker_direct_readers", _GAUGE, OF_WORKER, "Of these, readers that have their frames directly."
)
WORKER_DIRECT = Metric(
    "daosup_worker_direct", _GAUGE, OF_WORKER, "Whether a mirror's frames come directly, and not by ZeroMQ."
)
WORKER_FRAMES = Metric(
    "daosup_worker_frames_total", _COUNTER, OF_WORKER, "Frames sent by a publisher, or shown by a mirror."
)
WORKER_BYTES = Metric("daosup_worker_bytes_total", _COUNTER, OF_WORKER, "Bytes of these frames.")
WORKER_SKIPPED = Metric(
    "daosup_worker_skipped_frames_total", _COUNTER, OF_WORKER, "Frames that the source had and this worker never got."
)
WORKER_PASSED_OVER = Metric(
    "daosup_worker_passed_over_frames_total",
    _COUNTER,
    OF_WORKER,
    "Frames that arrived and were not shown, because a newer one had arrived, too.",
)
WORKER_GAPS = Metric(
    "daosup_worker_gaps_total", _COUNTER, OF_WORKER, "How often frames were skipped, one or many at once."
)
WORKER_RETRIES = Metric(
    "daosup_worker_retries_total", _COUNTER, OF_WORKER, "Reads that were done again because a program was just writing."
)
WORKER_REJECTED = Metric(
    "daosup_worker_rejected_total", _COUNTER, OF_WORKER, "Messages that did not decode, and were dropped."
)
WORKER_WRITTEN = Metric(
    "daosup_worker_written_frames_total",
    _COUNTER,
    OF_WORKER,
    "Frames written back to the source, as this end counts them.",
)
WORKER_REFUSED = Metric(
    "daosup_worker_refused_frames_total", _COUNTER, OF_WORKER, "Frames not written back, though sent."
)
WORKER_AGE = Metric(
    "daosup_worker_age_seconds",
    _GAUGE,
    OF_WORKER,
    "Age of the newest frame, by this host's clock and the writer's; missing before the first frame.",
)
WORKER_LATENCY = Metric(
    "daosup_worker_latency_seconds",
    _HISTOGRAM,
    OF_WORKER,
    "Time from a frame's writing at its source until it was sent (publisher), or its readers were told of it (mirror).",
)
WORKER_RESTARTS = Metric(
    "daosup_worker_restarts_total", _COUNTER, OF_WORKER, "How often its process died or was ended, and was replaced."
)
WORKER_HANGS = Metric(
    "daosup_worker_hangs_total", _COUNTER, OF_WORKER, "How often of these because its loop stood still."
)
WORKER_CPU = Metric("daosup_worker_cpu_seconds_total", _COUNTER, OF_WORKER, "CPU time of its process.")
WORKER_MEMORY = Metric(
    "daosup_worker_memory_bytes",
    _GAUGE,
    OF_WORKER,
    "Memory of its process that no file and no segment backs, as memory_limit_mb counts it; workers share about 20 MB.",
)

ALL: tuple[Metric, ...] = tuple(each for each in list(vars().values()) if isinstance(each, Metric))
