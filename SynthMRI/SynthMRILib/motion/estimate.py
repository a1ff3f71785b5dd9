"""The severity of motion in a volume, from the installed bundle of the task "motion-severity"."""

from __future__ import annotations

import numpy as np

from ..bundles import Bundle, find_bundles
from ..errors import BundleError
from ..inference.precision import resolve_device
from ..inference.runner import ready_network
from ..progress import Progress, part_of
from ..tasks.base import Parameters
from ..volume import Grid
from .agreement import agreement_features
from .autofocus import FirstLook, first_look
from .block_severity import block_features
from .features import image_features
from .focused_severity import FocusedSeverityModel
from .severity import SeverityEstimate, SeverityModel, contrast_features

TASK = "motion-severity"


def severity_bundle() -> Bundle:
    """The bundle that estimates severity. Raises BundleError when none is installed."""
    found = find_bundles(TASK)
    if not found:
        raise BundleError(f"No bundle for {TASK} is installed, so motion cannot be measured. Install one.")
    return found[0]


def estimate_severity(
    voxels: np.ndarray,
    parameters: Parameters,
    progress: Progress,
    *,
    grid: Grid | None = None,
    look: FirstLook | None = None,
    focused: bool = False,
) -> SeverityEstimate:
    """The severity of motion.

    Args:
        voxels: float32 (k, j, i) in network units.
        parameters: device of the run.
        grid: of the volume; given it, autofocus takes a first look, which takes seconds and makes the estimate better.
        look: what autofocus saw in these voxels at first, where it has looked already.
        focused: whether autofocus has changed these voxels.
    """
    bundle = severity_bundle()
    model = FocusedSeverityModel.from_section(bundle.section)
    if model is not None and look is None and grid is not None:
        look = first_look(voxels, grid, progress=part_of(progress, 0.0, 0.8))
    features = all_features(bundle, voxels, parameters, part_of(progress, 0.8, 1.0))
    quick = SeverityModel.from_section(bundle.section).estimate(features)
    if grid is None or look is None or model is None:
        return quick
    return model.improved(quick, features | focused_features(voxels, grid.spacing, look), focused=focused)


def focused_features(voxels: np.ndarray, spacing: tuple[float, float, float], look: FirstLook) -> dict[str, float]:
    """What an estimate with autofocus is made from, by name."""
    return agreement_features(voxels, spacing) | look.features()


def all_features(bundle: Bundle, voxels: np.ndarray, parameters: Parameters, progress: Progress) -> dict[str, float]:
    """Everything that the estimate can be made from, by name."""
    progress(0.0, "Measuring motion")
    features = image_features(voxels) | contrast_features(voxels)
    progress(0.5, "Measuring motion")
    network = ready_network(bundle, resolve_device(parameters.device))
    features |= block_features(network, voxels)
    progress(1.0, "Measuring motion")
    return features
