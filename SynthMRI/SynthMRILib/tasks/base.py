"""The shape every task has: inputs by role, a dataclass of parameters, findings before a run, volumes after it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

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


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """What the network of a task gets to see, in the units it was trained in.

    Args:
        voxels: float32 (k, j, i), or (channels, k, j, i) for a network of several inputs.
        volume: an input on the grid of `voxels`; the result takes its header and its field of view.
        unit: intensity of the result for 1 in network units.
        conditions: numbers that the network sees as further channels, each constant over the volume.
        images: how many of the leading channels are intensities; all by default. The others (masks, what is there)
            are moved by test-time augmentation but never get noise or another contrast.
        same_contrast: whether the result has the contrast of the first channel, and so scales with it.
        strength: share of what the network would change that the result has; other than 1 only for networks whose
            result lies on the grid of the input, which is then their first channel.
        facts: what decided the preparation, for the provenance; JSON types only.
    """

    voxels: np.ndarray
    volume: Volume
    unit: float
    conditions: tuple[float, ...] = ()
    images: int | None = None
    same_contrast: bool = True
    strength: float = 1.0
    facts: dict[str, Any] = field(default_factory=dict)

    def as_volume(self, voxels: np.ndarray, *, spread: bool = False) -> Volume:
        """Voxels of the network as a volume in the units of the result: what most tasks need for `finish`.

        Args:
            voxels: (k, j, i) in network units, on the grid of `volume` or a whole number of times finer.
            spread: they are standard deviations. Means are kept from falling below zero when the input never does.
        """
        result = voxels * np.float32(self.unit)
        if not spread and self.volume.voxels.min() >= 0:
            np.maximum(result, 0, out=result)
        factor = result.shape[0] // self.volume.shape[0]
        return self.volume.with_voxels(result, self.volume.grid.upsampled(factor) if factor > 1 else None)


class NetworkTask(Task, Protocol):
    """A task that can be computed by one network: with these two methods it gets uncertainty without knowing of it.

    `run` of such a task is `prepare`, then `inference.runner.run_volume` on what it gave, then `finish`. Where another
    network has to measure something of the input first, a third one, `measured(prepared, bundle, parameters,
    progress)`, gives what it adds to the `NetworkInput`. Where the result mixes the network's with something else, a
    fourth one, `mixed_maps(prepared, maps)`, gives mean and deviations of the mixture, and `mixed_methods` names the
    methods that do so; they are calibrated by themselves.
    """

    def prepare(
        self, inputs: dict[str, Volume], bundle: Bundle, parameters: Parameters, progress: Progress
    ) -> NetworkInput:
        """What the network sees of checked inputs. Neither runs the network nor imports torch."""

    def finish(
        self, prepared: NetworkInput, voxels: np.ndarray, parameters: Parameters, *, spread: bool = False
    ) -> Volume:
        """The result from what the network gave, (k, j, i) in network units.

        Args:
            spread: `voxels` are standard deviations, 0 and above: they are scaled (and, outside of where the result
                is meant to be, zeroed) like the result, but neither shifted nor clipped.
        """
