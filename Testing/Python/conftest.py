"""Fixtures that many tests share: small volumes with structure, and real data beside the checkout."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from scipy.spatial.transform import Rotation
from SlicerDesktop.fixtures import slicer_desktop  # noqa: F401
from SynthMRILib.volume import Grid, Volume

# The same cases every time, however slow the machine is.
settings.register_profile("steady", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("steady")

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture
def shared_data() -> Path:
    """Folder of the shared MR data beside the checkout; the test is skipped where it is missing."""
    if not (SHARED_DATA / "README.md").exists():
        pytest.skip("The shared MR data (../shared/data beside the checkout) are not on this machine.")
    return SHARED_DATA


def head_like(shape: tuple[int, int, int]) -> np.ndarray:
    """float32 array (k, j, i): a smooth ellipsoid with texture in air, the least that a check takes for MR."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.sqrt(sum(a**2 for a in axes))
    texture = 60 * np.sin(7 * axes[0]) * np.cos(9 * axes[1]) * np.sin(8 * axes[2] + 1)
    return np.where(radius < 0.9, 400 + texture - 150 * radius, 0).astype(np.float32)


def placed_grid(
    shape: tuple[int, int, int],
    *,
    spacing: tuple[float, float, float],
    rotation: tuple[float, float, float] = (0, 0, 0),
    origin: tuple[float, float, float] = (0, 0, 0),
    left_handed: bool = False,
) -> Grid:
    """Grid turned by `rotation` (degrees about R, A, S) with voxel (0, 0, 0) at `origin` in RAS [mm]."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rotation, degrees=True).as_matrix() * np.array(spacing)
    matrix[:3, 0] *= -1 if left_handed else 1
    matrix[:3, 3] = origin
    return Grid(shape, matrix)


@pytest.fixture
def a_volume() -> Volume:
    """Axis-aligned, 20 x 22 x 24 (k, j, i), 1 x 1.2 x 2 mm."""
    grid = placed_grid((20, 22, 24), spacing=(1, 1.2, 2), origin=(-12, -13, -20))
    return Volume(head_like(grid.shape), grid, {"Modality": "MR"})


@pytest.fixture
def an_oblique_volume() -> Volume:
    """Turned about all axes, sub-millimetre, far from the origin."""
    spacing = (0.4297, math.pi / 7, 0.9)
    grid = placed_grid((18, 20, 22), spacing=spacing, rotation=(11.3, -27.9, 163.1), origin=(83.21, -141.7, 57.33))
    return Volume(head_like(grid.shape), grid, {"Modality": "MR"})


@pytest.fixture
def slicer_scene(slicer_desktop: Any) -> Iterator[Any]:  # noqa: ARG001, F811
    """The module `slicer` with an empty scene, in the stand-in for Slicer; the child process ends with the test."""
    import slicer
    from SynthMRIModuleLib.engine import close_shared_client
    from SynthMRIModuleLib.synthetic_mark import remove_mark

    yield slicer
    close_shared_client()
    remove_mark()


@pytest.fixture
def desktop(slicer_desktop: Any, slicer_scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: F811
    """The stand-in for Slicer's desktop with our modules loaded and no model installed."""
    from module_support import SUPER_RESOLUTION, UNCERTAINTY

    assert slicer_scene.mrmlScene is not None
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    for module in (SUPER_RESOLUTION, UNCERTAINTY):
        slicer_desktop.load_module(module)
    return slicer_desktop
