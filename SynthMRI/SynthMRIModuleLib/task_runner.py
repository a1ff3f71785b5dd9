"""Runs of tasks on volume nodes, one after the other, with callbacks (panels) or waiting for the end (scripts)."""

from __future__ import annotations

import time
from typing import Any

from slicer.i18n import tr as _

from .bundle_choice import chosen_bundle
from .dependencies import ensure_dependencies, missing_packages
from .engine import close_shared_client, shared_client
from .inputs import Inputs
from .run import Callbacks, OutputNames, OutputNodes, Run
from .run_queue import RunQueue

WAIT_SECONDS = 0.02


class TaskRunner:
    """Holds the runs of one module."""

    def __init__(self) -> None:
        self._queue = RunQueue()
        self._latest: Run | None = None

    @property
    def running(self) -> bool:
        """True from `start` until `poll` has told how it ended, and the last of those that waited for it."""
        return self._queue.running

    @property
    def findings(self) -> list[str]:
        """Sentences about the latest result, from the task that made it."""
        return self._latest.findings if self._latest is not None else []

    @property
    def latest_title(self) -> str:
        """Name of the volume that the run which ended last was for."""
        return self._latest.title if self._latest is not None else ""

    @property
    def latest_seconds(self) -> float:
        """How long the run that ended last took."""
        return self._latest.seconds if self._latest is not None else 0.0

    @property
    def waiting_titles(self) -> list[str]:
        """Names of the volumes that runs wait for, in their order."""
        return [run.title for run in self._queue.waiting]

    def start(
        self,
        task: str,
        inputs: Inputs,
        *,
        bundle: str | None,
        parameters: dict[str, Any],
        output_names: OutputNames,
        callbacks: Callbacks,
    ) -> Run:
        """Begin a run, or put it behind those in progress, and return at once.

        Raises a SynthMRIError with a sentence when it cannot begin.
        """
        chosen = chosen_bundle(task, bundle, parameters)
        run = Run(
            shared_client(),
            task,
            inputs,
            bundle=None if chosen is None else str(chosen.folder),
            parameters=parameters,
            output_names=output_names,
            callbacks=callbacks,
        )
        run.on_ended = self._note_end
        self._queue.add(run)
        return run

    def ensure_dependencies(self) -> None:
        """Install what a network needs if the user agrees. Raises ResourceError when it is missing afterwards."""
        if self.running and missing_packages():
            from SynthMRILib.errors import ResourceError

            raise ResourceError(
                _("Packages have to be installed for this run. Press Apply when no run is in progress.")
            )
        if ensure_dependencies():
            close_shared_client()  # a child that started before does not see what was installed

    def poll(self) -> None:
        """Call the callbacks of all runs; never waits."""
        self._queue.poll()

    def cancel(self) -> None:
        """Stop the current run; `poll` tells its end, and the next one goes on."""
        self._queue.cancel()

    def take_out(self, number: int) -> None:
        """Take the run with this number, counted from 0, out of those that wait."""
        self._queue.take_out(self._queue.waiting[number])

    def wait(self, **request: Any) -> OutputNodes:
        """Run to the end and return the new nodes. Arguments as `start` without callbacks; raises a SynthMRIError."""
        nodes: list[OutputNodes] = []
        errors: list[Exception] = []
        run = self.start(**request, callbacks=Callbacks(on_finished=nodes.append, on_error=errors.append))
        while run.active:
            time.sleep(WAIT_SECONDS)
            self.poll()
        if errors:
            raise errors[0]
        return nodes[0]

    def close(self) -> None:
        """Cancel all runs and end the child process; the next run starts a new one."""
        self._queue.clear()
        self.poll()
        self._queue = RunQueue()
        close_shared_client()

    def _note_end(self, run: Run) -> None:
        self._latest = run
