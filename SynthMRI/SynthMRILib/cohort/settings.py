"""What is the same for all cases of a batch: task, parameters, bundle and where the outputs go."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..bundles import Bundle, best_bundle, load_bundle
from ..errors import BundleError, ResourceError
from ..findings import raise_on_error
from ..provenance import bundle_facts
from ..tasks import get_task
from ..tasks.base import Parameters
from ..volume import Grid, Volume
from .cases import Case, input_signature

#: Tasks that need a bundle when their method is the network.
BUNDLE_TASKS = ("super-resolution", "through-plane", "denoising", "motion-correction")
#: What the main output of a task is called in file names, where it is not the task's name.
MAIN_LABELS = {"uncertainty": "mean"}


@dataclass(frozen=True)
class Settings:
    """Settings of a batch; plain values, so that they travel to other machines.

    Args:
        task: name of the task.
        parameters: all its parameters, JSON types.
        output: absolute path of the output folder.
        bundle: absolute path of the bundle's folder; None when the run needs none.
        bundle_facts: name, version and SHA-256 of the bundle.
        overwrite: whether files of somebody else in the output folder may be replaced.
    """

    task: str
    parameters: dict[str, Any]
    output: Path
    bundle: str | None = None
    bundle_facts: dict[str, Any] | None = None
    overwrite: bool = False

    def identity(self) -> dict[str, Any]:
        """What decides the results, JSON types: cases with another identity do not belong to the same cohort."""
        return {
            "task": self.task,
            "parameters": self.parameters,
            "bundle": self.bundle_facts,
            "software": f"SynthMRI {__version__}",
        }

    def keyed(self, case: Case) -> Case:
        """The case with its key: equal keys mean that the same would come out."""
        text = json.dumps(self.identity(), sort_keys=True) + input_signature(case.inputs)
        return replace(case, key=hashlib.sha256(text.encode()).hexdigest())

    def task_parameters(self) -> Parameters:
        return get_task(self.task).parameters_class.from_dict(self.parameters)

    def load_bundle(self) -> Bundle | None:
        """The bundle, also on a machine that keeps it elsewhere. Raises BundleError when it is another one there."""
        if self.bundle is None or self.bundle_facts is None:
            return None
        bundle = load_bundle(self.bundle if Path(self.bundle).is_dir() else self.bundle_facts["name"])
        if bundle.weights_sha256 != self.bundle_facts["sha256"]:
            raise BundleError(f"The bundle '{bundle.name}' of this machine has other weights; install the same one.")
        return bundle

    def label(self, role: str) -> str:
        """What an output is called in file names, letters and digits only."""
        text = MAIN_LABELS.get(self.task, self.task) if role == "output" else role
        return "".join(c for c in text if c.isalnum())


def make_settings(
    task: str, values: dict[str, Any], *, output: Path, bundle: str | None = None, overwrite: bool = False
) -> Settings:
    """Settings that were checked, with the best installed bundle when the run needs one and none is named.

    Raises InputError for parameters the task does not have or refuses, BundleError for a bundle it cannot use.
    """
    parameters = get_task(task).parameters_class.from_dict(values)
    used = chosen_bundle(task, parameters, bundle)
    check_parameters(task, parameters, used)
    return Settings(
        task,
        parameters.as_dict(),
        output.resolve(),
        bundle=None if used is None else str(used.folder.resolve()),
        bundle_facts=bundle_facts(used),
        overwrite=overwrite,
    )


def chosen_bundle(task: str, parameters: Parameters, bundle: str | None) -> Bundle | None:
    if bundle is not None:
        return load_bundle(bundle)
    # The uncertainty of a task needs the bundle of that task.
    needed = getattr(parameters, "task", task) if task == "uncertainty" else task
    if needed not in BUNDLE_TASKS or getattr(parameters, "method", "network") != "network":
        return None
    try:
        return best_bundle(needed)
    except BundleError:
        if hasattr(get_task(task), "fallback_method"):
            return None
        raise


def check_parameters(task: str, parameters: Parameters, bundle: Bundle | None) -> None:
    """Raise InputError for settings no case can be run with, before any is tried: the task checks noise with them."""
    noise = np.random.default_rng(0).random((32, 32, 32), dtype=np.float32)
    volume = Volume(noise, Grid.from_spacing(noise.shape, (1.0, 1.0, 1.0)))
    inputs = {role.name: volume for role in get_task(task).roles}
    findings = get_task(task).check(inputs, bundle, parameters)
    names = {*parameters.as_dict(), "bundle-task"}
    names |= {name.replace("_", "-") for name in names}
    raise_on_error(finding for finding in findings if finding.code in names)
    check_machine(parameters)


def check_machine(parameters: Parameters) -> None:
    """Raise InputError for a device or precision that no machine has; this one need not be where cases run."""
    from ..inference.precision import resolve_device, resolve_precision

    device = resolve_device("cpu")
    with suppress(ResourceError):
        device = resolve_device(getattr(parameters, "device", "auto"))
    precision = getattr(parameters, "precision", "auto")
    if precision != "float16":  # Which other machines may have.
        resolve_precision(precision, device)
