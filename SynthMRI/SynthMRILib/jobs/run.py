"""A job that is being worked on: what is written for the child, and whether the child has taken it up.

A thread writes the inputs, as that takes a while for large volumes and a window may be waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..volume import Volume
from . import protocol
from .folders import JobFolder
from .job import Inputs, Job
from .protocol import Message

#: How long a child may take to stop by itself after Cancel [s].
CANCEL_GRACE = 0.4

#: How long to wait for the writing thread when its files are not wanted any more [s]; then it removes them itself.
WRITER_GRACE = 0.05


class Run:
    """The files and the request of one job; makes them. Raises OSError when there can be no folder for them.

    Args:
        job: what is to be done; its inputs are given up to the thread that writes them.
        number: tells the messages about this run from those about others.
        parent_folder: where the job folder is made; None for the system's temporary folder.
        notice: called in another thread when the inputs are written.

    Attributes:
        request: the message for the child; None until the inputs are written.
        problem: why they could not be written, e.g. OSError when the disk cannot take them.
    """

    def __init__(
        self, job: Job, number: int, parent_folder: Path | None, *, notice: Callable[[], None] = lambda: None
    ) -> None:
        self.job = job
        self.number = number
        self.sent = False
        self.sent_again = False
        self.folder = JobFolder(parent_folder)
        self.request: Message | None = None
        self.problem: Exception | None = None
        self._kill_at: float | None = None
        self._notice = notice
        self._lock = threading.Lock()
        self._unwanted = self._written = False
        inputs, job.inputs = job.inputs, {}
        self._writer = threading.Thread(target=self._write, args=(inputs,), name="synthmri-inputs", daemon=True)
        self._writer.start()

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
        if not self.sent or self.sent_again:
            return False
        return all((self.folder.path / entry["file"]).exists() for entry in self.request["inputs"].values())

    def cancel(self) -> None:
        """Begin to count the time that the child has to stop."""
        if not self.cancelled:
            self._kill_at = time.monotonic() + CANCEL_GRACE

    def remove(self) -> None:
        """Delete the files. Those that are being written at this moment are deleted right afterwards."""
        self._writer.join(WRITER_GRACE)
        with self._lock:
            self._unwanted = True
            written = self._written
        if written:
            self.folder.remove()

    def _write(self, inputs: Inputs) -> None:
        try:
            request = self._make_request(inputs() if callable(inputs) else inputs)
            protocol.encode(request)  # what is no JSON shall fail here
            self.request = request
        except Exception as error:  # told by the client in its own thread
            self.problem = error
        with self._lock:
            self._written = True
            unwanted = self._unwanted
        if unwanted:
            self.folder.remove()
        self._notice()

    def _make_request(self, inputs: dict[str, Volume]) -> Message:
        return {
            "type": "run",
            "job": self.number,
            "task": self.job.task_name,
            "bundle": self.job.bundle,
            "parameters": self.job.parameters,
            "folder": str(self.folder.path.resolve()),
            "inputs": protocol.save_volumes(inputs, self.folder.path, "input"),
        }
