"""The no-invention check: averaging undoes enlarging, and an object nobody acquired is noticed and found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bundle_support import make_bundle
from conftest import head_like, placed_grid
from SynthMRILib import cli
from SynthMRILib.bundles import METADATA, Bundle, load_bundle
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation.baselines import upsample
from SynthMRILib.evaluation.degrade import degrade
from SynthMRILib.evaluation.no_invention import compare, findings_of, levels_of
from SynthMRILib.progress import no_progress
from SynthMRILib.slice_profile import Acquisition, profile_matrix, truncation_matrix
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.super_resolution import SuperResolutionParameters
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume, write_volume

LEVELS = {"rms_percent": 1.0, "peak_percent": 1.0}


@pytest.fixture
def a_pair() -> tuple[Volume, Volume]:
    """A sharp volume (48, 44, 40) on an oblique grid and the input that it averages to."""
    grid = placed_grid((48, 44, 40), spacing=(1, 1.1, 1.2), rotation=(10, -20, 30), origin=(-20, 4, 9))
    sharp = Volume(head_like(grid.shape), grid)
    return degrade(sharp, "mean"), sharp


def test_a_block_average_is_undone_exactly(a_pair: tuple[Volume, Volume]) -> None:
    source, sharp = a_pair
    found = compare(source, sharp)
    assert np.abs(found.residual.voxels).max() < 1e-3
    assert found.rms_percent < 1e-4
    assert found.residual.grid.matches(source.grid)


def test_an_invented_object_is_warned_of_and_found(a_pair: tuple[Volume, Volume]) -> None:
    source, sharp = a_pair
    invented = sharp.voxels.copy()
    place = (24, 12, 26)
    invented[tuple(slice(p - 3, p + 3) for p in place)] += 200
    found = compare(source, sharp.with_voxels(invented))
    findings = findings_of(found, LEVELS)
    assert [f.severity for f in findings] == ["warning"]
    assert "may show what the input does not" in findings[0].message
    at = sharp.grid.index_to_ras(np.array(place[::-1]) - 0.5)
    assert np.linalg.norm(np.array(found.peak_ras) - at) < 2.0


def test_a_removed_object_is_warned_of_too(a_pair: tuple[Volume, Volume]) -> None:
    source, sharp = a_pair
    removed = sharp.voxels.copy()
    removed[20:27, 20:27, 20:27] = 100
    assert findings_of(compare(source, sharp.with_voxels(removed)), LEVELS)[0].severity == "warning"


def test_taking_away_noise_is_no_invention(a_pair: tuple[Volume, Volume]) -> None:
    source, sharp = a_pair
    noisy = source.with_voxels(source.voxels + np.random.default_rng(0).normal(0, 4, source.shape))
    findings = findings_of(compare(noisy, sharp), {"rms_percent": 1.5, "peak_percent": 1.5})
    assert [f.severity for f in findings] == ["info"]


def test_an_interpolation_agrees_with_its_input(a_pair: tuple[Volume, Volume]) -> None:
    source, _ = a_pair
    assert compare(source, upsample(source, 2, "bspline")).rms_percent < 5


def test_levels_of_other_weights_do_not_count() -> None:
    section = {"sha256": "a", "consistency": {**LEVELS, "bundle_sha256": "b"}}
    assert levels_of(section) is None
    assert levels_of({**section, "sha256": "b"}) == LEVELS
    assert levels_of({"sha256": "a"}) is None


def test_without_a_level_the_numbers_are_told(a_pair: tuple[Volume, Volume]) -> None:
    finding = findings_of(compare(*a_pair), None)[0]
    assert finding.severity == "info"
    assert "no level is known" in finding.message


def test_other_axes_are_refused(a_pair: tuple[Volume, Volume]) -> None:
    source, sharp = a_pair
    turned = Volume(sharp.voxels, Grid.from_spacing(sharp.shape, (1, 1, 1)))
    with pytest.raises(InputError, match="different axes"):
        compare(source, turned)


@pytest.mark.parametrize("kind", ["box", "gaussian"])
@pytest.mark.parametrize("thickness", [1.0, 2.7, 4.0])
def test_a_profile_keeps_positions_and_constants(kind: str, thickness: float) -> None:
    centers = np.array([9.3, 14.0, 20.5])
    matrix = profile_matrix(centers, thickness, size=32, kind=kind)
    assert matrix.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert matrix @ np.arange(32) == pytest.approx(centers, abs=0.13 if thickness < 2 else 0.05)


def test_a_box_weighs_voxels_by_what_it_covers_of_them() -> None:
    matrix = profile_matrix(np.array([3.5]), 3.0, size=8)
    assert matrix[0] == pytest.approx([0, 0, 1 / 6, 1 / 3, 1 / 3, 1 / 6, 0, 0], abs=1e-6)


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(InputError, match="Unknown slice profile 'sharp'"):
        profile_matrix(np.array([1.0]), 2.0, size=4, kind="sharp")


def test_the_adjoint_is_the_adjoint() -> None:
    fine, coarse = Grid.from_spacing((12, 10, 9), (1, 1, 1)), Grid.from_spacing((4, 10, 5), (2, 1, 3.3))
    acquisition = Acquisition.between(fine, coarse, thickness=(2, 1, 2.5), kind="gaussian")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=fine.shape), rng.normal(size=coarse.shape)
    assert (acquisition.apply(x) * y).sum() == pytest.approx((x * acquisition.transposed(y)).sum(), rel=1e-4)


def leveled(bundle: Bundle, **levels: float) -> Bundle:
    """The bundle with levels of validation in its metadata."""
    path = bundle.folder / METADATA
    metadata = json.loads(path.read_text())
    metadata["synthmri"]["consistency"] = {**levels, "bundle_sha256": bundle.weights_sha256}
    path.write_text(json.dumps(metadata))
    return load_bundle(bundle.folder)


@pytest.mark.parametrize(("level", "warned"), [(1e-6, True), (1e6, False)])
def test_the_command_warns_above_the_level_and_writes_the_residual(
    a_volume: Volume, tmp_path: Path, capsys: pytest.CaptureFixture, level: float, warned: bool
) -> None:
    bundle = leveled(make_bundle(tmp_path / "Models" / "net"), rms_percent=level, peak_percent=level)
    write_volume(a_volume, tmp_path / "in.nrrd")
    words = ["super-resolution", str(tmp_path / "in.nrrd"), str(tmp_path / "out.nrrd"), "--json"]
    words += ["--bundle", str(bundle.folder), "--residual", str(tmp_path / "residual.nrrd")]
    assert cli.main(words) == 0
    told = capsys.readouterr()
    assert ("may show what the input does not" in told.err) == warned
    assert json.loads(told.out)["consistency"]["rms_percent"] > 0
    assert read_volume(tmp_path / "residual.nrrd").grid.matches(a_volume.grid, tolerance=1e-4)


@pytest.mark.parametrize("size", [15, 16])
def test_truncation_of_k_space_is_the_one_that_figures_are_taken_with(size: int) -> None:
    sharp = Volume(head_like((2 * size,) * 3), Grid.from_spacing((2 * size,) * 3, (1, 1, 1)))
    coarse = degrade(sharp, "kspace")
    seen = Acquisition.of_k_space(coarse.grid).apply(sharp.voxels)
    assert np.abs(np.abs(seen) - coarse.voxels).max() < 1e-5 * sharp.voxels.max()
    assert truncation_matrix(size, 3).sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_what_was_acquired_is_put_back_and_nothing_else_is_changed(a_pair: tuple[Volume, Volume]) -> None:
    source, sharp = a_pair
    rng = np.random.default_rng(0)
    acquisition = Acquisition.of_k_space(source.grid)
    estimate = sharp.voxels + rng.normal(0, 20, sharp.shape).astype(np.float32)
    kept = acquisition.keep(estimate, source.voxels)
    assert np.abs(acquisition.apply(kept) - source.voxels).max() < 1e-4 * source.voxels.max()
    assert np.abs(acquisition.keep(kept, source.voxels) - kept).max() < 1e-4 * source.voxels.max()
    change = kept - estimate
    smooth = acquisition.keep(np.zeros_like(change), acquisition.apply(change))
    assert np.abs(smooth - change).max() < 1e-4 * source.voxels.max(), "the change has acquired frequencies alone"


def test_acquired_frequencies_survive_a_network(tmp_path: Path) -> None:
    grid = placed_grid((24, 26, 22), spacing=(1, 1.1, 1.2), rotation=(10, -20, 30))
    source = degrade(Volume(head_like((48, 52, 44)), placed_grid((48, 52, 44), spacing=(0.5, 0.55, 0.6))), "kspace")
    source = Volume(source.voxels, grid)
    task, bundle = get_task("super-resolution"), make_bundle(tmp_path / "net")
    plain, kept = (
        task.run({"input": source}, bundle, SuperResolutionParameters(keep_acquired=k, residual=True), no_progress)
        for k in (False, True)
    )
    acquisition = Acquisition.of_k_space(source.grid)

    def strays(output: Volume) -> float:
        return float(np.square(acquisition.apply(output.voxels) - source.voxels).mean())

    assert strays(kept.outputs["output"]) < 0.15 * strays(plain.outputs["output"]), "what is left was below zero"
    assert kept.outputs["output"].voxels.min() >= 0
    assert kept.outputs["output"].grid.matches(plain.outputs["output"].grid)
    assert kept.measurements["findings"][0]["severity"] == "info"
    assert "noise included" in kept.measurements["findings"][0]["message"]
    assert kept.provenance["parameters"]["keep_acquired"] is True


def test_keeping_what_was_acquired_is_for_the_network_and_has_no_uncertainty(tmp_path: Path) -> None:
    source = Volume(head_like((24, 24, 24)), Grid.from_spacing((24, 24, 24), (1, 1, 1)))
    with pytest.raises(InputError, match="kept by the network alone"):
        get_task("super-resolution").run(
            {"input": source}, None, SuperResolutionParameters(method="bspline", keep_acquired=True), no_progress
        )
    task, bundle = get_task("uncertainty"), make_bundle(tmp_path / "net")
    parameters = task.parameters_class(options={"keep_acquired": True})
    with pytest.raises(InputError, match="not known where acquired frequencies are kept"):
        task.run({"input": source}, bundle, parameters, no_progress)
