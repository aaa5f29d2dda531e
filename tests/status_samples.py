"""Answers of a daemon to ``status``, for tests of what shows them."""

from __future__ import annotations

from typing import Any


def a_worker(**changes: object) -> dict[str, Any]:
    worker = {
        "kind": "mirror",
        "source": "rts:wfs",
        "segment": "remote_rts_wfs",
        "peer": "rts",
        "peers": [{"host": "rts", "protocol": 2}],
        "protocol": 2,
        "holders": ["operator"],
        "state": "running",
        "pid": 1234,
        "port": None,
        "endpoint": "tcp://10.0.0.2:5560",
        "direct_endpoint": "tcp://10.0.0.2:7559",
        "cpu": 0.0341,
        "memory_bytes": 34_600_000,
        "rate_hz": 499.7,
        "bytes_per_s": 57.6e6,
        "age_s": 0.0021,
        "latency": {"p50_s": 0.00031, "p99_s": 0.0012, "frames": 4997, "ahead": 0},
        "frames": 10**7,
        "skipped": 3,
        "passed_over": 1,
        "gaps": 2,
        "retries": 0,
        "rejected": 0,
        "connected": 0,
        "written": 0,
        "refused": 0,
        "echoes": 0,
        "writing": None,
        "write_back": None,
        "link": "up",
        "transport": "direct",
        "transport_reason": None,
        "direct_port": None,
        "connected_direct": 0,
        "delivery": {"frames": "newest", "rate_hz": None, "roi": None, "stride": None, "compress": "none"},
        "restarts": 0,
        "hangs": 0,
        "uptime_s": 20000.0,
        "last_exit": None,
        "last_exit_s": None,
        "last_details": None,
        "next_try_s": None,
        "reason": None,
        "warning": None,
    }
    return {**worker, **changes}


def a_status(**changes: object) -> dict[str, Any]:
    status = {
        "host": "rts",
        "instance": "master",
        "role": "master",
        "lease": {
            "state": "held",
            "holder": "rts",
            "ip": "10.0.0.1",
            "pid": 42,
            "epoch": 1795230036303,
            "left_s": 7.5,
            "yields_to": None,
        },
        "clock": {"offset_s": 0.0003, "is_off": False},
        "version": "0.1.0",
        "pid": 42,
        "uptime_s": 7400.0,
        "config": {
            "file": "/etc/daosup/master.toml",
            "loaded_utc": "2026-11-20T12:00:00.000+00:00",
            "mistakes": [],
            "needs_restart": [],
        },
        "remote_control": {"state": "off", "reason": None},
        "state_error": None,
        "degraded": None,
        "events": {"waiting": 0, "dropped": 0, "error": None},
        "registry": {
            "address": "redis:6379",
            "state": "up",
            "since_s": 7399.0,
            "server": "valkey 8.1",
            "error": None,
            "effect": None,
            "round_trip_s": 0.00045,
            "worst_round_trip_s": 0.0032,
        },
        "loop": {"lag_s": 0.0003, "worst_lag_s": 0.0121},
        "metrics": None,
        "dnet": None,
        "segment_folder": {"path": "/tmp", "is_watched": True, "error": None, "refused": []},
        "segments": [
            {
                "name": "wfs",
                "shape": [240, 240],
                "dtype": "uint16",
                "layout": "fifo",
                "depth": 1,
                "nbytes": 115200,
                "readers": ["lab", "obs"],
            }
        ],
        "workers": [a_worker(), a_worker(kind="publisher", peer="lab, obs", port=5560)],
    }
    return {**status, **changes}


def a_told(**changes: object) -> dict[str, Any]:
    told = {
        "time_utc": "2026-11-20T12:00:00.000+00:00",
        "ago_s": 200.0,
        "level": "error",
        "notice": "worker-died",
        "text": "worker died; it is started again",
        "count": 1,
        "cause_id": "3f2a91bc-17",
        "fields": {"cause": "killed by SIGKILL", "delay_s": "0.1", "pid": "1201"},
        "body": None,
    }
    return {**told, **changes}


def a_story(**changes: object) -> dict[str, Any]:
    """An answer to ``worker``."""
    story = {
        "worker": a_worker(),
        "segment": {
            "file": "/tmp/remote_rts_wfs.im.shm",
            "shape": [240, 240],
            "dtype": "uint16",
            "layout": "fifo",
            "depth": 1,
            "nbytes": 115200,
            "keywords": [
                {"name": "GAIN", "value": 0.5, "comment": "of the loop"},
                {"name": "NET_LINK", "value": 1, "comment": "1: its owner is heard, 0: stale"},
            ],
            "error": None,
        },
        "process": {
            "pid": 1234,
            "uptime_s": 20000.0,
            "beat_age_s": 0.03,
            "cpu": 0.0341,
            "memory_bytes": 34_600_000,
            "shared_out_bytes": 9_200_000,
            "own_bytes": 5_300_000,
        },
        "limits": {
            "memory_limit_mb": 500,
            "cpu_affinity": [2, 3],
            "nice": -5,
            "fifo_priority": 0,
            "lock_memory": False,
            "spin_ms": 0,
            "busy_poll_us": 0,
            "quick_ack": False,
            "huge_pages": False,
        },
        "readers": None,
        "owner": {"host": "rts", "segment": "wfs", "endpoint": "tcp://10.0.0.2:5560", "protocol": 2},
        "history": [
            a_told(),
            a_told(
                ago_s=199.5,
                level="info",
                notice="worker-ready",
                text="worker ready",
                fields={"pid": "1234"},
            ),
        ],
    }
    return {**story, **changes}
