"""The steps of one case: read and check, compute, judge and write. Every backend of a batch is made of these."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from .. import INTENDED_USE
from ..errors import InputError, SynthMRIError
from ..findings import Finding, raise_on_error
from ..progress import no_progress
from ..tasks import get_task
from ..tasks.base import TaskResult
from ..volume import Volume
from ..volume_io import read_volume, write_volume
from . import quality
from .cases import Case
from .files import sidecar_of
from .records import DONE, FAILED, WRITING, Record, RecordStore
from .settings import Settings

#: One computation at a time in a process, however many threads a cluster's worker has: the others read and write.
_COMPUTING = threading.Lock()


@dataclass(frozen=True)
class Prepared:
    """A case that was read and may be run.

    Args:
        case: the case.
        inputs: its volumes by role.
        findings: warnings and information about them.
        seconds: duration of the steps so far by name [s].
    """

    case: Case
    inputs: dict[str, Volume]
    findings: list[Finding]
    seconds: dict[str, float]


def run_case(case: Case, settings: Settings) -> Record:
    """All steps, in this process; never raises for what is wrong with the case. Done before: its record is returned."""
    store = RecordStore(settings.output)
    record = store.settled(case, case.key)
    if record is not None:
        return record
    try:
        prepared = prepare(case, settings)
        with _COMPUTING:
            result, seconds = timed(lambda: compute(prepared, settings))
        return finish(prepared, result, settings, seconds=seconds)
    except Exception as error:  # another process may have done it meanwhile: that stands
        return store.settled(case, case.key) or store.write(failure(case, error))


def prepare(case: Case, settings: Settings) -> Prepared:
    """Read and check. Raises SynthMRIError when the case cannot be run."""
    inputs, seconds = timed(lambda: {role: read_volume(path) for role, path in case.inputs.items()})
    findings = get_task(settings.task).check(inputs, settings.load_bundle(), settings.task_parameters())
    return Prepared(case, inputs, raise_on_error(findings), {"read": seconds})


def compute(prepared: Prepared, settings: Settings) -> TaskResult:
    """Run the task in this process."""
    task = get_task(settings.task)
    return task.run(prepared.inputs, settings.load_bundle(), settings.task_parameters(), no_progress)


def finish(prepared: Prepared, result: TaskResult, settings: Settings, *, seconds: float) -> Record:
    """Judge and write a result: record `writing`, then the outputs, the main one last, then record `done`.

    Args:
        prepared: the case.
        result: what the task gave.
        settings: of the batch.
        seconds: how long the task took [s].

    Raises SynthMRIError when an output cannot be written.
    """
    case, store = prepared.case, RecordStore(settings.output)
    measures = quality.measure(settings.task, next(iter(prepared.inputs.values())), result.outputs["output"])
    roles = sorted(result.outputs, key=lambda role: role == "output")
    facts: dict[str, Any] = {
        "case": case.name,
        "key": case.key,
        "run": uuid4().hex,
        "outputs": {role: case.output(settings.label(role)) for role in roles},
        "findings": [finding.as_dict() for finding in prepared.findings],
        "flags": quality.flags_of(prepared.findings, measures) + quality.flags_of_record(result.provenance),
        "quality": measures,
        "facts": result_facts(result),
    }
    check_free(store, facts["outputs"], case.inputs.values(), overwrite=settings.overwrite)
    store.write(Record(state=WRITING, finished=now(), **facts))
    _, writing = timed(lambda: write_outputs(case, result, store, facts, settings.task))
    durations = {**prepared.seconds, "run": seconds, "write": writing}
    return store.write(Record(state=DONE, finished=now(), seconds=durations, **facts))


def check_free(store: RecordStore, outputs: dict[str, str], inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Raise InputError when an output would replace an input of the case or, unless asked, what no batch made."""
    read = {file.resolve() for path in inputs for file in (path, sidecar_of(path))}
    for path in outputs.values():
        written = store.output / path
        if read & {written.resolve(), sidecar_of(written).resolve()}:
            raise InputError("The case's own input would be replaced by its output; choose another output folder.")
        if store.made_by(path) == "" and not overwrite:
            name = path.rpartition("/")[2]
            raise InputError(f"'{name}' exists already and is not of this batch; move it, or add --overwrite.")


def write_outputs(case: Case, result: TaskResult, store: RecordStore, facts: dict[str, Any], task: str) -> None:
    """Replace older outputs. They go first, so that an old volume never stands beside a new JSON file."""
    paths = {role: store.output / path for role, path in facts["outputs"].items()}
    for path in reversed(paths.values()):
        path.unlink(missing_ok=True)
    for role, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        provenance = {
            **result.provenance,
            **case.facts,
            "Description": f"{get_task(task).title}, {role}. {INTENDED_USE}",
            "cohort": {"run": facts["run"], "key": facts["key"]},
        }
        write_volume(result.outputs[role], path, overwrite=True, provenance=provenance)


def result_facts(result: TaskResult) -> dict[str, Any]:
    """Geometry of inputs and output, hash of the inputs, and what the task measured."""
    output = result.outputs["output"]
    return {
        "inputs": result.provenance.get("inputs", {}),
        "output": {"shape_kji": list(output.shape), "spacing_mm": list(output.spacing)},
        "measurements": result.measurements,
    }


def failure(case: Case, error: BaseException) -> Record:
    """The record of a case that failed, with one sentence why."""
    return Record(case.name, FAILED, case.key, error=sentence(error), finished=now())


def sentence(error: BaseException) -> str:
    """One line for a person, without anything of a path."""
    if isinstance(error, SynthMRIError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"The system refused: {error.strerror}."
    if isinstance(error, MemoryError):
        return "The memory of the machine ran out: close other programs or crop the volume."
    return f"Unexpected problem ({type(error).__name__}): run this case alone with --debug to see where."


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """What an action returns and how long it took [s]."""
    start = time.perf_counter()
    value = action()
    return value, round(time.perf_counter() - start, 4)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
