"""The severity of motion in a volume, from the installed bundle of the task "motion-severity"."""

from __future__ import annotations

import numpy as np

from ..bundles import Bundle, find_bundles
from ..errors import BundleError
from ..inference.precision import autocast, resolve_device, resolve_precision
from ..inference.runner import ready_network
from ..progress import Progress, part_of
from ..tasks.base import Parameters
from ..volume import Grid
from .agreement import agreement_features
from .autofocus import FirstLook, first_look
from .block_severity import block_features, change_features
from .features import image_features
from .focused_severity import SECTION_WITH_NETWORK, FocusedSeverityModel
from .severity import SeverityEstimate, SeverityModel, contrast_features

TASK = "motion-severity"
CORRECTION = "motion-correction"


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
        grid: of the volume; given it, autofocus takes a first look, which takes seconds and makes the estimate better,
            and the correcting network is asked what it would change, if it is the one that the estimate knows.
        look: what autofocus saw in these voxels at first, where it has looked already.
        focused: whether autofocus has changed these voxels.
    """
    bundle = severity_bundle()
    model = FocusedSeverityModel.from_section(bundle.section)
    if model is not None and look is None and grid is not None:
        look = first_look(voxels, grid, progress=part_of(progress, 0.0, 0.6))
    features = all_features(bundle, voxels, parameters, part_of(progress, 0.6, 0.8))
    quick = SeverityModel.from_section(bundle.section).estimate(features)
    if grid is None or look is None or model is None:
        return quick
    features |= focused_features(voxels, grid.spacing, look)
    with_network = FocusedSeverityModel.from_section(bundle.section, SECTION_WITH_NETWORK)
    network = None if with_network is None else correcting_bundle(with_network.network_sha256)
    if network is not None:
        model, features = with_network, features | asked_features(network, voxels, parameters)
    progress(1.0, "Measuring motion")
    return model.improved(quick, features, focused=focused)


def correcting_bundle(weights_sha256: str) -> Bundle | None:
    """The installed bundle for motion correction with these weights, if there is one."""
    return next((b for b in find_bundles(CORRECTION) if b.weights_sha256 == weights_sha256), None)


def asked_features(bundle: Bundle, voxels: np.ndarray, parameters: Parameters) -> dict[str, float]:
    """What the network of a bundle would change of a volume, see `change_features`."""
    device = resolve_device(parameters.device)
    with autocast(device, resolve_precision(parameters.precision, device)):
        return change_features(ready_network(bundle, device), voxels)


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
