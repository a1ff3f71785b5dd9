"""The runs of one module in the order in which they were asked for: one goes on, the others wait."""

from __future__ import annotations

from .run import Run


class RunQueue:
    """Holds the runs whose end was not told yet."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    @property
    def running(self) -> bool:
        """True until the end of all runs was told."""
        return any(run.active for run in self._runs)

    @property
    def waiting(self) -> list[Run]:
        """Those that wait for another run of this module, in their order."""
        return [run for run in self._runs if run.active][1:]

    def add(self, run: Run) -> None:
        """Put a run that was submitted at the end."""
        self._runs.append(run)

    def poll(self) -> None:
        """Pass on what happened to all of them; never waits. Their callbacks may add runs and take some out."""
        for number, run in enumerate(list(self._runs)):
            run.poll(tell_waiting=number == 0)
            if not run.active and run in self._runs:
                self._runs.remove(run)

    def cancel(self) -> None:
        """Stop the run that goes on; `poll` tells its end, and the next one goes on."""
        if self._runs:
            self._runs[0].cancel()

    def take_out(self, run: Run) -> None:
        """Forget a run that waits; its end is not told."""
        self._runs.remove(run)
        run.cancel()

    def clear(self) -> None:
        """Stop all; the end of the one that goes on is told by `poll`."""
        for run in self.waiting:
            self.take_out(run)
        self.cancel()
