"""The benchmark of super-resolution's peers: what it records, and how it runs peers that live in another Python."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from Benchmarks import super_resolution_peers
from Benchmarks.denoising_peers import estimates_of_peers
from conftest import head_like, placed_grid
from SynthMRILib.bundles import best_bundle
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import write_volume

DIPY = """
def nlmeans(noisy, sigma, **settings):
    return noisy - 0.5 * sigma
"""
ANTS = """
class Image:
    def __init__(self, voxels): self.voxels = voxels
    def numpy(self): return self.voxels
def from_numpy(voxels): return Image(voxels)
def denoise_image(image, **settings): return Image(2 * image.voxels)
"""


@pytest.fixture
def python_with_peers(tmp_path: Path) -> str:
    """A Python that finds packages in the place of DIPY and ANTs, with a simple rule each."""
    packages = tmp_path / "packages"
    denoise = packages / "dipy" / "denoise"
    denoise.mkdir(parents=True)
    (packages / "dipy" / "__init__.py").touch()
    (denoise / "__init__.py").touch()
    (denoise / "nlmeans.py").write_text(DIPY)
    (denoise / "noise_estimate.py").write_text("def estimate_sigma(noisy, N):\n    return 0.2\n")
    (packages / "ants.py").write_text(ANTS)
    for name in ("dipy", "antspyx"):
        facts = packages / f"{name}-9.9.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9\n")
    launcher = tmp_path / "python_with_peers"
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH="{packages}" exec "{sys.executable}" "$@"\n')
    launcher.chmod(0o700)
    return str(launcher)


def test_peers_in_another_python_get_the_volume_and_give_theirs(python_with_peers: str) -> None:
    noisy = np.linspace(1, 2, 60, dtype=np.float32).reshape(3, 4, 5)
    arrays, told = estimates_of_peers(noisy, noisy > 0, python_with_peers)
    np.testing.assert_allclose(arrays["dipy-nlmeans"], noisy - 0.1, rtol=1e-6)
    np.testing.assert_allclose(arrays["ants-denoise"], 2 * noisy, rtol=1e-6)
    assert told["versions"] == {"dipy": "9.9", "antspyx": "9.9"}
    assert told["dipy-nlmeans"]["seconds"] >= 0


def test_all_methods_get_the_same_input_and_openings_are_noted(tmp_path: Path, python_with_peers: str) -> None:
    grid = placed_grid((36, 36, 36), spacing=(1, 1, 1))
    path = tmp_path / "t1w.nii.gz"
    write_volume(Volume(head_like(grid.shape), grid), path)
    words = [str(path), "--subject", "someone", "--split", "test", "--edge", "32", "--peers", python_with_peers]
    assert super_resolution_peers.main([*words, "--documentation", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "figures" / "super_resolution_peers_someone.json").read_text())
    rows = {row["method"]: row for row in record["volumes"]["t1w"]}
    ours = best_bundle("super-resolution")
    assert {
        "trilinear",
        "bspline",
        "total-variation",
        "dipy-nlmeans+bspline",
        "ants-denoise+bspline",
        ours.name,
    } <= set(rows)
    assert rows["ants-denoise+bspline"]["psnr"] < rows["dipy-nlmeans+bspline"]["psnr"]
    assert str(tmp_path) not in record["command"]
    (opening,) = csv.DictReader((tmp_path / "evaluations.csv").open())
    assert (opening["subject"], opening["bundle_sha256"]) == ("someone/t1w", ours.weights_sha256)
    assert json.loads(opening["figures"])["mean"]["psnr"] == pytest.approx(rows[ours.name]["psnr"])
