"""Answers of a daemon to ``status``, for tests of what shows them."""

from __future__ import annotations

from typing import Any


def a_worker(**changes: object) -> dict[str, Any]:
    worker = {
        "kind": "mirror",
        "source": "rts:wfs",
        "segment": "remote_rts_wfs",
        "peer": "rts",
        "holders": ["operator"],
        "state": "running",
        "pid": 1234,
        "port": None,
        "endpoint": "tcp://10.0.0.2:5560",
        "rate_hz": 499.7,
        "bytes_per_s": 57.6e6,
        "age_s": 0.0021,
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
        "restarts": 0,
        "hangs": 0,
        "uptime_s": 20000.0,
        "last_exit": None,
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
        "state_error": None,
        "registry": {
            "address": "redis:6379",
            "state": "up",
            "since_s": 7399.0,
            "server": "valkey 8.1",
            "error": None,
        },
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
