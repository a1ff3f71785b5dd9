"""The shape every task has: inputs by role, a dataclass of parameters, findings before a run, volumes after it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..errors import InputError
from ..findings import Finding
from ..progress import Progress
from ..volume import Volume

if TYPE_CHECKING:
    from ..bundles import Bundle


@dataclass(frozen=True)
class InputRole:
    """One input of a task.

    Args:
        name: key in the `inputs` mapping, e.g. "input" or "flair".
        title: label in a panel.
        required: whether the task can run without it.
        expects: what the input should be, in words ("brain MR, T1w, T2w, FLAIR or contrast-enhanced T1w").
    """

    name: str
    title: str
    required: bool
    expects: str


@dataclass(frozen=True)
class Parameters:
    """Base of the parameter dataclasses. Values are plain JSON types, so that a run can be recorded and replayed.

    Args:
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: "auto", "float32", "bfloat16" or "float16".
        tile: edge length of a tile in input voxels; 0 chooses it from the machine's total memory.
        seed: seed of everything random in the run.
    """

    device: str = "auto"
    precision: str = "auto"
    tile: int = 0
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Parameters:
        """Parameters from a mapping. Raises InputError for a name the task does not have."""
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InputError(f"Unknown parameter '{unknown[0]}'. Known parameters: {', '.join(sorted(known))}.")
        return cls(**values)


@dataclass(frozen=True)
class TaskResult:
    """What a run gives back.

    Args:
        outputs: volumes by role; "output" is the one the user asked for.
        provenance: what made them (see `provenance.py`), JSON types only.
        measurements: numbers measured during the run (seconds, peak memory [bytes], tile), JSON types only.
    """

    outputs: dict[str, Volume]
    provenance: dict[str, Any]
    measurements: dict[str, Any] = field(default_factory=dict)


class Task(Protocol):
    """What panels, the command line, jobs and cohorts know of a task."""

    name: ClassVar[str]
    title: ClassVar[str]
    roles: ClassVar[tuple[InputRole, ...]]
    parameters_class: ClassVar[type[Parameters]]

    def check(self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: Parameters) -> list[Finding]:
        """Findings about the inputs, without torch and within a second."""

    def run(
        self, inputs: dict[str, Volume], bundle: Bundle | None, parameters: Parameters, progress: Progress
    ) -> TaskResult:
        """Do it. `inputs` are never changed. Raises SynthMRIError with a sentence for the user."""
