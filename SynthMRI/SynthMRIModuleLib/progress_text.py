"""How far a run is and how long it still takes, in words."""

from __future__ import annotations

from slicer.i18n import tr as _


def duration_text(seconds: float) -> str:
    """ "12 s", "3 min", "1 h 20 min"."""
    if seconds < 90:
        return _("{count} s").format(count=max(1, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{count} min").format(count=minutes)
    return _("{hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)


def progress_text(message: str, seconds_left: float | None) -> str:
    """Status line of a running job; without the time left as long as that would be a guess."""
    if seconds_left is None:
        return message
    return _("{message}, about {duration} left").format(message=message, duration=duration_text(seconds_left))
