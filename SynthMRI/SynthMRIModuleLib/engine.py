"""The one child process that all panels share, so that torch is loaded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .dependencies import python_executable

if TYPE_CHECKING:
    from SynthMRILib.jobs.client import JobClient

_shared: list[JobClient] = []


def shared_client() -> JobClient:
    """The client of the running child; it starts its process with the first job."""
    if not _shared:
        from SynthMRILib.jobs.client import JobClient

        _shared.append(JobClient(python=python_executable()))
    return _shared[0]


def close_shared_client() -> None:
    """End the child process; the next job starts a new one. Harmless when there is none."""
    while _shared:
        _shared.pop().close()
