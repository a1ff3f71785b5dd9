"""What the backends of a batch tell while they run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from .cases import Case
from .records import Record
from .settings import Settings


@dataclass(frozen=True)
class Running:
    """How far the cases in work are: the sum of their fractions (0 to 1 each)."""

    fraction: float


@dataclass(frozen=True)
class Retried:
    """A case is tried again because its process was lost; `reason` is a sentence."""

    case: str
    reason: str


Event = Record | Running | Retried


class Backend(Protocol):
    """Runs cases somewhere; yields one Record for each, and other events at will. Closing it stops all work."""

    def __call__(self, cases: Sequence[Case], settings: Settings) -> Iterator[Event]: ...
