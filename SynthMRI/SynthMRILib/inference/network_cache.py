"""Keeps the network of the last run in memory, so that the next run with the same bundle need not load it again.

One network only: a second one would take memory that the tiles need.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

Network = TypeVar("Network")

_kept: dict[Hashable, object] = {}


def cached_network(key: Hashable, build: Callable[[], Network]) -> Network:
    """The network kept under `key`, or a newly built one, which then takes its place.

    Args:
        key: all that makes the network what it is in memory, e.g. (SHA-256 of the weights, device, precision).
        build: makes the network, on its device and in its precision.
    """
    if key not in _kept:
        _kept.clear()  # before building, so that the two are never in memory together
        _kept[key] = build()
    return _kept[key]


def forget_network() -> None:
    """Give the memory of the kept network back."""
    _kept.clear()
