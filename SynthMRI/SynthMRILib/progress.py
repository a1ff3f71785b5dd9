"""How long work tells how far it is, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable

#: Called with the fraction done (0 to 1) and a short sentence. May raise `Cancelled` to stop the work.
Progress = Callable[[float, str], None]


def no_progress(fraction: float, message: str) -> None:
    """Ignore progress; for scripts that do not show it."""


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """Progress of a step that covers the span `start` to `end` (fractions of 1) of the whole."""

    def report(fraction: float, message: str) -> None:
        progress(start + (end - start) * fraction, message)

    return report
