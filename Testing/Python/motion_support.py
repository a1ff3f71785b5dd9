"""Small heads that move, and small real bundles for motion correction, by the product's own simulation and export."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from bundle_support import described
from scipy import fft, ndimage
from simulation_phantoms import small_head
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.intensity import IntensityScale
from SynthMRILib.motion.condition import TOLD
from SynthMRILib.motion.features import image_features
from SynthMRILib.motion.severity import SeverityModel, contrast_features, fit
from SynthMRILib.motion.view_groups import Spokes, ViewGroups
from SynthMRILib.networks.diffusion import ConditionalDiffusion
from SynthMRILib.networks.severity import SeverityNet
from SynthMRILib.networks.unet import ResidualUNet
from SynthMRILib.simulation import motion
from SynthMRILib.simulation.motion import MotionRecord, MotionResult
from SynthMRILib.simulation.traces import EventRecord, TraceRecord
from SynthMRILib.simulation.view_orders import ViewOrderRecord
from SynthMRILib.training.export import write_bundle
from SynthMRILib.volume import Grid, Volume

INTENSITIES = {511: 0.9, 507: 0.5, 515: 0.1, 24: 0.15, 42: 0.5, 3: 0.55, 41: 0.75, 2: 0.8, 16: 0.7, 4: 0.1, 43: 0.12}
FEATURES = ("entropy_focus", "joint_variation", "ripples_fine")
CENTRIC = ViewOrderRecord("mprage", "centric", "A", "R")


@cache
def a_head(shape: tuple[int, int, int] = (36, 40, 38), spacing_mm: float = 2.0) -> Volume:
    """A head of sharp tissues, intensities up to 900."""
    table = np.zeros(600)
    for label, value in INTENSITIES.items():
        table[label] = 1000 * value
    voxels = ndimage.gaussian_filter(table[small_head(shape)], 0.6).astype(np.float32)
    return Volume(voxels, Grid.from_spacing(shape, (spacing_mm,) * 3))


def two_poses(pose: tuple[float, ...], *, start: float = 0.35) -> MotionRecord:
    """A scan from the center of k-space outward, in which the head takes another pose once."""
    return MotionRecord(TraceRecord(events=(EventRecord("step", start, pose),)), CENTRIC, noise=0.01)


@cache
def moving_head(size_mm: float, *, start: float = 0.35, shape: tuple[int, int, int] = (36, 40, 38)) -> MotionResult:
    """A head that makes a step of this size along A and S."""
    return motion.apply(two_poses((0, 0.6 * size_mm, 0.8 * size_mm, 0, 0, 0), start=start), a_head(shape))


def shifted_groups(voxels: np.ndarray, kind: type[ViewGroups], shift: tuple[float, float, float]) -> np.ndarray:
    """A volume with some groups of its k-space shifted [voxels]: lines beyond a third, or a third of the spokes."""
    groups = kind(voxels.shape)
    nu = np.meshgrid(*(fft.fftfreq(n) for n in voxels.shape), indexing="ij")
    turns = shifted_share(groups)[groups.of(voxels.shape)][..., None] * sum(n * s for n, s in zip(nu, shift))
    return fft.ifftn(fft.fftn(voxels) * np.exp(-2j * np.pi * turns)).real.astype(np.float32)


def shifted_share(groups: ViewGroups) -> np.ndarray:
    """How much of the shift of `shifted_groups` each group has, the last one (of what is never moved) none.

    The center of k-space, through which all spokes go, lies where they do on the mean.
    """
    third, share = groups.number // 3, np.zeros(groups.number + 1)
    if isinstance(groups, Spokes):
        share[:third] = 1
        share[:-1] -= share[:-1].mean()
    else:
        share[third:-1] = 1
    return share


def features_of(volume: Volume) -> dict[str, float]:
    voxels = IntensityScale.fit(volume.voxels).apply(volume.voxels)
    return image_features(voxels) | contrast_features(voxels)


@cache
def a_severity_model() -> SeverityModel:
    """Fitted to small heads with and without motion."""
    results = [moving_head(size) for size in (0.5, 1.0, 2.0, 4.0)]
    rows = [features_of(volume) for result in results for volume in (result.moved, result.still)]
    severities = [severity for result in results for severity in (result.effective_mm, 0.0)]
    levels = {"level_50": (float(np.mean([row["level_50"] for row in rows])), 0.1)}
    return SeverityModel(
        **{
            n: tuple(v) if isinstance(v, list) else v
            for n, v in fit(rows, severities, names=FEATURES, ridge=0.1).items()
        },
        quantile=0.5,
        coverage=0.9,
        threshold_mm=0.3,
        largest_mm=6.0,
        familiar=levels,
        familiar_limit=4.0,
    )


def make_motion_bundles(folder: Path) -> Bundle:
    """Bundles "motion-correction" (returned) and "motion-severity" in a folder, with random weights."""
    torch.manual_seed(0)
    arguments = {"channels": 2, "features": [4, 8], "convolutions": 1}
    network = ResidualUNet(**arguments)
    torch.nn.init.normal_(network.exit.weight, std=0.02)
    _write(folder / "motion-correction", "motion-correction", network, "ResidualUNet", arguments, TOLD)
    arguments = {"features": [4, 4], "convolutions": 1, "hidden": 4}
    section = {"severity": a_severity_model().as_dict()}
    _write(folder / "motion-severity", "motion-severity", SeverityNet(**arguments), "SeverityNet", arguments, section)
    return load_bundle(folder / "motion-correction")


def add_diffusion_bundle(folder: Path) -> None:
    """A bundle "motion-diffusion" with random weights, which sees one neighbor to either side."""
    torch.manual_seed(0)
    arguments = {"encoder_features": [4, 8], "features": [8, 16], "attention": [0, 0], "groups": 4}
    arguments["condition_channels"] = 3
    section = {"neighbors": 1, "highest": 0.5}
    network = ConditionalDiffusion(**arguments)
    _write(folder / "motion-diffusion", "motion-diffusion", network, "ConditionalDiffusion", arguments, section)


def _write(folder: Path, task: str, network: torch.nn.Module, name: str, arguments: dict, section: dict) -> None:
    write_bundle(folder, network.eval(), described(task, name, arguments, section))
