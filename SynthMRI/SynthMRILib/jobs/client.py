"""The parent's side of jobs: a queue of runs and the one child process that does them. Imports neither torch nor Qt.

Everything here happens in the thread that calls `update` (through `Job.poll`, `Job.wait` or `submit`). A child that
fails or is killed is replaced by a fresh one at the next run; a child that is fine stays warm.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .. import __version__
from ..errors import Cancelled, JobError, SynthMRIError
from ..tasks.base import TaskResult
from . import failures, protocol
from .child import ChildProcess, Launch, launch_process, popen_options
from .folders import remove_abandoned
from .job import Inputs, Job, LogEvent, ProgressEvent
from .protocol import Message
from .run import Run

#: How long to wait until a killed child has disappeared [s].
KILL_GRACE = 0.2


class JobClient:
    """Runs tasks in a child process, one after the other.

    Args:
        python: interpreter of the child; None for this one (inside Slicer `sys.executable` is PythonSlicer).
        environment: variables to set in the child besides the parent's own.
        launch: starts the process, see `child.launch_process`.
        folder: where job folders are made; None for the system's temporary folder.
        start_timeout: longest time the child may take to say hello [s].
    """

    def __init__(
        self,
        python: str | None = None,
        environment: dict[str, str] | None = None,
        *,
        launch: Launch = launch_process,
        folder: Path | None = None,
        start_timeout: float = 120.0,
    ) -> None:
        self._python = python or sys.executable
        self._environment = dict(environment or {})
        self._launch = launch
        self._parent_folder = folder
        self._start_timeout = start_timeout
        self._queue: deque[Job] = deque()
        self._number = 0
        self._warm_wanted = False
        self._news = threading.Event()
        self._facts: dict[str, Any] = {}
        self._held = SimpleNamespace(child=None, run=None)
        self._closing = weakref.finalize(self, _release, self._held, os.getpid())

    @property
    def facts(self) -> dict[str, Any]:
        """What the child told about itself: `pid`, `python`, `version`; once warm `torch`, `devices`, `problem`."""
        return dict(self._facts)

    def start(self) -> None:
        """Start the child and let it import torch ahead of the first run. Never waits; poll `update` to see `facts`."""
        self._check_open()
        self._warm_wanted = True
        self._need_child()
        if self._held.child.greeted:
            self._warm_up()

    def submit(self, task_name: str, inputs: Inputs, *, bundle: str | None, parameters: dict[str, Any]) -> Job:
        """Queue a run and return its job. What is wrong with it is told by the job, not raised here.

        Args:
            task_name: as `tasks.get_task` knows it.
            inputs: volumes by role, or what gives them: that is called in another thread when it is the run's turn.
            bundle: name or folder of the bundle; None for a run that needs none.
            parameters: fields of the task's parameter class that differ from their defaults.
        """
        self._check_open()
        job = Job(self, task_name, inputs, bundle=bundle, parameters=parameters)
        self._queue.append(job)
        self.update()
        return job

    def cancel(self, job: Job) -> None:
        """Take a job out of the queue, or stop it when it runs (see `Job.cancel`)."""
        run: Run | None = self._held.run
        if job in self._queue:
            self._queue.remove(job)
            _finish_cancelled(job)
        elif run is not None and run.job is job:
            if run.sent:
                self._held.child.send({"type": "cancel", "job": run.number})
                run.cancel()
            else:
                self._finish(error=Cancelled())

    def update(self) -> None:
        """Take note of what the child said and go on with the queue. Never waits for the child."""
        self._news.clear()
        self._receive()
        self._send_run()
        self._enforce_limits()
        while self._held.run is None and self._queue:
            self._begin(self._queue.popleft())

    def wait_for_news(self, timeout: float) -> None:
        """Sleep until the child says something, at most `timeout` seconds."""
        self._news.wait(timeout)

    def close(self) -> None:
        """Cancel all jobs, end the child and delete all files. The client cannot be used afterwards."""
        while self._queue:
            _finish_cancelled(self._queue.popleft())
        self._fail(Cancelled())
        self._closing()

    def __enter__(self) -> JobClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if not self._closing.alive:
            raise JobError("This job client was closed: make a new one.")

    def _begin(self, job: Job) -> None:
        job.state = "running"
        job.post(ProgressEvent(0.0, "Starting the computing process", 0.0, None))
        self._number += 1
        try:
            self._held.run = Run(job, self._number, self._parent_folder, notice=self._news.set)
        except Exception as error:
            job.finish("failed", error=failures.as_synthmri_error(error))
            return
        self._need_child()

    def _send_run(self) -> None:
        """Send the current run once its inputs are written and the child has said hello."""
        run: Run | None = self._held.run
        if run is None or run.sent:
            return
        if run.problem is not None:
            self._finish(error=failures.as_synthmri_error(run.problem))
            return
        self._need_child()
        if run.request is not None and self._held.child.greeted:
            self._held.child.folder = run.folder.path
            self._held.child.send(run.request)
            run.sent = True

    def _need_child(self) -> None:
        if self._held.child is not None and self._held.child.alive:
            return
        self._drop_child()
        remove_abandoned(self._parent_folder)
        self._held.child = ChildProcess(
            [self._python, "-m", "SynthMRILib.jobs.worker"],
            popen_options(self._environment),
            launch=self._launch,
            notice=self._news.set,
        )

    def _drop_child(self) -> None:
        if self._held.child is not None:
            self._held.child.kill(wait=KILL_GRACE)
        self._held.child = None
        self._facts = {}

    def _receive(self) -> None:
        while (child := self._held.child) is not None:
            message = child.next_message()
            for line in child.take_log():
                if self._held.run is not None:
                    self._held.run.job.post(LogEvent(line))
            if message is None:
                return
            if message.get("job", self._number) == self._number:
                getattr(self, f"_on_{message['type']}")(message)

    def _on_hello(self, message: Message) -> None:
        if (message["protocol"], message["version"]) != (protocol.PROTOCOL_VERSION, __version__):
            self._fail(failures.error_of_version(message["version"], __version__))
            return
        self._held.child.greeted = True
        self._facts.update({key: message[key] for key in ("pid", "python", "version")})
        self._send_run()
        if self._warm_wanted:
            self._warm_up()

    def _on_ready(self, message: Message) -> None:
        self._facts.update({key: message[key] for key in ("torch", "devices", "problem")})

    def _on_progress(self, message: Message) -> None:
        values = (message["fraction"], message["message"], message["elapsed"], message["seconds_left"])
        self._held.run.job.post(ProgressEvent(*values))

    def _on_result(self, message: Message) -> None:
        if message["problem"] is not None or not message["volumes"]:
            self._finish(error=failures.error_of_outputs(message["problem"]))
        else:
            self._finish(TaskResult(message["volumes"], message["provenance"], message["measurements"]))

    def _on_error(self, message: Message) -> None:
        if message["restart"]:
            self._drop_child()
        self._finish(error=failures.error_from_message(message))

    def _on_ended(self, message: Message) -> None:
        run, started = self._held.run, self._held.child.greeted
        if started and run is not None and (run.untouched or not run.sent):  # it was ending while it was idle
            self._drop_child()
            run.sent, run.sent_again = False, run.sent
            self._send_run()
        elif message["problem"] is not None:
            self._fail(failures.error_of_launch(message["problem"], self._python))
        else:
            log = run.job.log if run is not None else ()
            self._fail(failures.error_of_exit(message["code"], started=started, log=log))

    def _warm_up(self) -> None:
        self._warm_wanted = False
        self._held.child.send({"type": "warm"})

    def _enforce_limits(self) -> None:
        child, run = self._held.child, self._held.run
        if run is not None and run.overdue:
            self._fail(Cancelled())
        elif child is not None and not child.greeted and time.monotonic() - child.born > self._start_timeout:
            self._fail(
                JobError(
                    f"The computing process did not start within {self._start_timeout:g} s: "
                    f"check that '{self._python}' is a Python interpreter."
                )
            )

    def _fail(self, error: SynthMRIError) -> None:
        """The child is of no use any more."""
        self._drop_child()
        if self._held.run is not None:
            self._finish(error=error)

    def _finish(self, result: TaskResult | None = None, *, error: SynthMRIError | None = None) -> None:
        run, self._held.run = self._held.run, None
        run.remove()
        if run.cancelled or isinstance(error, Cancelled):
            # also when a result came meanwhile: the user was told that nothing would change
            _finish_cancelled(run.job)
        elif error is not None:
            run.job.finish("failed", error=error)
        else:
            run.job.finish("done", result=result)


def _finish_cancelled(job: Job) -> None:
    job.finish("cancelled", error=Cancelled("Cancelled: nothing was changed."))


def _release(held: SimpleNamespace, owner: int) -> None:
    """Leave nothing behind; a forked copy of the owner must not touch what is not its own."""
    if os.getpid() != owner:
        return
    if held.child is not None:
        held.child.kill(wait=KILL_GRACE)
    if held.run is not None:
        held.run.remove()
