"""A job that is being worked on: what was written for the child, and whether the child has taken it up."""

from __future__ import annotations

import time
from pathlib import Path

from . import protocol
from .folders import JobFolder
from .job import Job
from .protocol import Message

#: How long a child may take to stop by itself after Cancel [s].
CANCEL_GRACE = 0.4


class Run:
    """The files and the request of one job; makes them. Raises OSError when the disk cannot take the inputs.

    Args:
        job: what is to be done; its inputs are given up once they are written.
        number: tells the messages about this run from those about others.
        parent_folder: where the job folder is made; None for the system's temporary folder.
    """

    def __init__(self, job: Job, number: int, parent_folder: Path | None) -> None:
        self.job = job
        self.number = number
        self.sent = False
        self.sent_again = False
        self.folder = JobFolder(parent_folder)
        self._kill_at: float | None = None
        try:
            self.request = self._make_request()
            protocol.encode(self.request)  # what is no JSON shall fail here
        except BaseException:
            self.folder.remove()
            raise
        job.inputs = {}

    @property
    def cancelled(self) -> bool:
        """True once the user wanted the run to stop."""
        return self._kill_at is not None

    @property
    def overdue(self) -> bool:
        """True when the child had its time to stop."""
        return self.cancelled and time.monotonic() > self._kill_at

    @property
    def untouched(self) -> bool:
        """True when the child was sent the run but read nothing of it, so that its end has another reason."""
        files = [self.folder.path / entry["file"] for entry in self.request["inputs"].values()]
        return self.sent and not self.sent_again and all(file.exists() for file in files)

    def cancel(self) -> None:
        """Begin to count the time that the child has to stop."""
        if not self.cancelled:
            self._kill_at = time.monotonic() + CANCEL_GRACE

    def _make_request(self) -> Message:
        return {
            "type": "run",
            "job": self.number,
            "task": self.job.task_name,
            "bundle": self.job.bundle,
            "parameters": self.job.parameters,
            "folder": str(self.folder.path.resolve()),
            "inputs": protocol.save_volumes(self.job.inputs, self.folder.path, "input"),
        }
