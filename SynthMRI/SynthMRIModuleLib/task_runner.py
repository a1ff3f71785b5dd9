"""Runs of tasks on volume nodes, one at a time, with callbacks (panels) or waiting for the end (scripts)."""

from __future__ import annotations

import time
from typing import Any

from slicer.i18n import tr as _

from .bundle_choice import chosen_bundle
from .dependencies import ensure_dependencies
from .engine import close_shared_client, shared_client
from .inputs import Inputs
from .run import Callbacks, OutputNames, OutputNodes, Run

WAIT_SECONDS = 0.02


class TaskRunner:
    """Holds the current run of one module."""

    def __init__(self) -> None:
        self._run: Run | None = None

    @property
    def running(self) -> bool:
        """True from `start` until `poll` has told how it ended."""
        return self._run is not None and self._run.active

    @property
    def findings(self) -> list[str]:
        """Sentences about the latest result, from the task that made it."""
        return self._run.findings if self._run is not None else []

    def start(
        self,
        task: str,
        inputs: Inputs,
        *,
        bundle: str | None,
        parameters: dict[str, Any],
        output_names: OutputNames,
        callbacks: Callbacks,
    ) -> None:
        """Begin a run and return at once. Raises a SynthMRIError with a sentence when it cannot begin."""
        from SynthMRILib.errors import InputError

        if self.running:
            raise InputError(_("A run is in progress. Wait for its end or cancel it first."))
        chosen = chosen_bundle(task, bundle, parameters)
        self._run = Run(
            shared_client(),
            task,
            inputs,
            bundle=None if chosen is None else str(chosen.folder),
            parameters=parameters,
            output_names=output_names,
            callbacks=callbacks,
        )

    def ensure_dependencies(self) -> None:
        """Install what a network needs if the user agrees. Raises ResourceError when it is missing afterwards."""
        if ensure_dependencies():
            close_shared_client()  # a child that started before does not see what was installed

    def poll(self) -> None:
        """Call the callbacks of the current run; never waits."""
        if self._run is not None:
            self._run.poll()

    def cancel(self) -> None:
        """Stop the current run; `poll` tells its end."""
        if self.running:
            self._run.cancel()

    def wait(self, **request: Any) -> OutputNodes:
        """Run to the end and return the new nodes. Arguments as `start` without callbacks; raises a SynthMRIError."""
        nodes: list[OutputNodes] = []
        errors: list[Exception] = []
        self.start(**request, callbacks=Callbacks(on_finished=nodes.append, on_error=errors.append))
        while self.running:
            time.sleep(WAIT_SECONDS)
            self.poll()
        if errors:
            raise errors[0]
        return nodes[0]

    def close(self) -> None:
        """Cancel the run and end the child process; the next run starts a new one."""
        self.cancel()
        self.poll()
        self._run = None
        close_shared_client()
