"""Run a batch: what is done already stays, the rest goes through a backend, and every end leaves a summary."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ..errors import Cancelled
from ..tasks import get_task
from .bids import write_description
from .cases import Case, Discovery
from .events import Backend, Event, Retried
from .manifest import Manifest
from .records import Record
from .settings import Settings
from .summary import summarize, write_summary


class Watcher(Protocol):
    """Is told how a batch goes."""

    def begin(self, total: int, done: int) -> None:
        """`done` of `total` cases were done before."""

    def note(self, event: Event) -> None:
        """Something happened."""


def run_batch(
    discovery: Discovery, settings: Settings, backend: Backend, *, source: Path, watcher: Watcher
) -> dict[str, Any]:
    """Run all cases that are not done and return the summary (see `summary.py`), which is also written.

    Args:
        discovery: the cases.
        settings: of the batch.
        backend: where they run.
        source: the input as the user named it.
        watcher: told of every event.

    Raises:
        InputError: the output folder belongs to another batch, or the backend cannot run.
        Cancelled: the user interrupted; what is done stays done.
    """
    cases = [settings.keyed(case) for case in discovery.cases]
    started = time.monotonic()
    with Manifest(settings) as manifest:
        if discovery.layout == "bids":
            write_description(settings.output, get_task(settings.task).title, source)
        manifest.sweep(cases)
        records = settled_records(manifest, cases)
        done_before = len(records)
        waiting = [case for case in cases if case.name not in records]
        watcher.begin(len(cases), done_before)
        manifest.log("began", cases=len(cases), done=done_before)
        try:
            if waiting:
                _run(waiting, manifest, backend, records, watcher)
        except KeyboardInterrupt:
            again = "the same command without --overwrite" if settings.overwrite else "the same command"
            raise Cancelled(
                f"Stopped: {done_before + _count_new(records, waiting)} of {len(cases)} cases are finished; "
                f"{again} goes on with the others."
            ) from None
        finally:
            manifest.sweep(cases)
            seconds = time.monotonic() - started
            found = replace(discovery, cases=cases)
            summary = summarize(found, records, settings, done_before=done_before, seconds=seconds)
            write_summary(summary, settings.output)
            manifest.log("ended", done=summary["done"], failed=summary["failed"], waiting=summary["waiting"])
    return summary


def settled_records(manifest: Manifest, cases: Sequence[Case]) -> dict[str, Record]:
    """Records of the cases that need no work, by case name."""
    found = ((case.name, manifest.store.settled(case, case.key)) for case in cases)
    return {name: record for name, record in found if record is not None}


def _run(
    waiting: Sequence[Case], manifest: Manifest, backend: Backend, records: dict[str, Record], watcher: Watcher
) -> None:
    with closing(backend(waiting, manifest.settings)) as events:
        for event in events:
            if isinstance(event, Record):
                records[event.case] = event
                manifest.log(event.state, case=event.case)
            elif isinstance(event, Retried):
                manifest.log("retried", case=event.case, reason=event.reason)
            watcher.note(event)


def _count_new(records: dict[str, Record], waiting: Sequence[Case]) -> int:
    return sum(case.name in records for case in waiting)
