"""The config that the rigs use, over the stage's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Overlay = Mapping[str, Any]
"""Parts of a config, to be merged into another."""

SLOW: Overlay = {
    "northflank": {"default": {"timeout": "25s", "settle": "60s"}},
    "policy": {
        "every": "30d",
        "max_age": "90d",
        "jitter": "0s",
        "grace": "24h",
        "quiet_for": "12h",
        "max_grace": "7d",
        "quarantine": "24h",
        "watch": "1d",
        "backoff": {"first": "1m", "max": "6h"},
        "proving": {"successes": 3, "every": "2s", "timeout": "10m"},
    },
}
"""Production's waits, but for `watch`: who watches more often than needed ticks more often.

The `timeout` is far beyond what a call takes on a busy machine: a test about deadlines sets its own.
"""


def merged(base: Overlay, over: Overlay) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both_are_mappings = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        result[key] = merged(base[key], value) if both_are_mappings else value
    return result
