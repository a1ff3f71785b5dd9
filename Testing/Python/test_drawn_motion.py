"""Motion that is drawn anew for every sample of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from motion_support import a_head
from SynthMRILib.simulation.motion import effective_displacement, head_mask, residual_shift
from SynthMRILib.training.cache import Cache, Entry, prepared, write_cache
from SynthMRILib.training.drawn_motion import (
    WAYS,
    DrawnMotionConfig,
    DrawnMotionSampler,
    drawn_curve,
    moved_region,
)

SPACING = (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def a_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair whose second volume is the one that samples are made of."""
    path = tmp_path_factory.mktemp("drawn") / "pairs.safetensors"
    head = prepared(a_head().voxels)
    entry = Entry("head_01", "t1w", "simulated", False, {"spacing_kji": [2.0, 1.0, 1.5]})
    write_cache(path, [(entry, np.zeros_like(head)), (entry, head)])
    return path


def a_region() -> np.ndarray:
    voxels = a_head().voxels
    return voxels / voxels.max()


def moved(way: str, size: float, *, seed: int = 0, turning: bool = False) -> np.ndarray:
    return moved_region(a_region(), way, size, np.random.default_rng(seed), turning=turning)


@pytest.mark.parametrize("turning", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_larger_shifts_change_a_region_more(way, turning):
    still = a_region()
    seen = [effective_displacement(moved(way, size, turning=turning), still, SPACING) for size in (0.0, 0.3, 1.0)]
    assert seen[0] == 0 < seen[1] < seen[2] < 4


@pytest.mark.parametrize("way", WAYS)
def test_the_head_stays_where_it_was(way):
    still, scan = a_region(), moved(way, 0.3)
    assert scan.min() >= 0 and scan.shape == still.shape
    energy = [float((v.astype(float) ** 2).sum()) for v in (still, scan)]
    assert energy[1] == pytest.approx(energy[0], rel=0.03)
    assert np.abs(residual_shift(scan, still, head_mask(still))).max() < 0.1


def test_ghosts_of_lines_lie_along_the_first_axis():
    bar = np.zeros((64, 32, 32), np.float32)
    bar[28:36, 8:24, 8:24] = 1
    scan = moved_region(bar, "lines", 1.0, np.random.default_rng(1), turning=False)
    beside = [scan[:12, 10:22, 10:22].mean(), scan[30:34, :3, 10:22].mean()]
    assert beside[0] > 2 * beside[1]


def test_curves_have_three_shifts_and_differ():
    curves = [drawn_curve(50, np.random.default_rng(n)) for n in (0, 0, 1)]
    assert curves[0].shape == (50, 3) and np.array_equal(curves[0], curves[1])
    assert not np.array_equal(curves[0], curves[2])
    assert drawn_curve(1, np.random.default_rng(0)).shape == (1, 3)


def test_a_sample_depends_on_its_number_alone(a_cache):
    config = DrawnMotionConfig(size=24)
    samplers = [DrawnMotionSampler(Cache(a_cache), config, seed=5) for _ in range(2)]
    forward = [samplers[0].sample(n) for n in range(8)]
    backward = [samplers[1].sample(n) for n in reversed(range(8))][::-1]
    for a, b in zip(forward, backward, strict=True):
        assert np.array_equal(a.moved, b.moved) and np.array_equal(a.still, b.still) and a.spacing == b.spacing
        assert a.moved.shape == (24, 24, 24) and np.isfinite(a.moved).all() and sorted(a.spacing) == [1.0, 1.5, 2.0]


def test_some_samples_do_not_move_and_the_others_do_in_many_ways(a_cache):
    sampler = DrawnMotionSampler(Cache(a_cache), DrawnMotionConfig(size=24, clean=0.3, noise=0.0), seed=1)
    samples = [sampler.sample(n) for n in range(0, 160, 4)]
    seen = np.array([effective_displacement(s.moved, s.still, s.spacing) for s in samples])
    assert 0.1 < (seen == 0).mean() < 0.5
    assert np.ptp(np.log(seen[seen > 0])) > np.log(8)


def test_noise_is_the_same_with_motion_and_without(a_cache):
    sampler = DrawnMotionSampler(Cache(a_cache), DrawnMotionConfig(size=24, clean=1.0), seed=2)
    for n in range(0, 40, 4):
        sample = sampler.sample(n)
        assert np.array_equal(sample.moved, sample.still)
