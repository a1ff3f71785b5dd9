"""The task super-resolution: geometry, units, findings, and the command line around it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_support import make_bundle
from SynthMRILib import cli
from SynthMRILib.bundles import Bundle
from SynthMRILib.errors import InputError, ResourceError
from SynthMRILib.inference import precision
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task, task_names
from SynthMRILib.tasks.super_resolution import SuperResolutionParameters
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume, write_volume

OBLIQUE = np.array(
    [[0.0, -0.72, 0.69, 12.5], [1.0, 0.0, 0.0, -40.25], [0.0, 0.69, 0.72, 7.0], [0.0, 0.0, 0.0, 1.0]]
) @ np.diag([0.9, 0.9, 1.1, 1.0])


@pytest.fixture(scope="module")
def a_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("models") / "test-network")


@pytest.fixture
def a_head() -> Volume:
    """A textured ball in air, in arbitrary units around 800, on an oblique left-handed grid."""
    k, j, i = np.indices((24, 26, 28))
    radius = np.sqrt((k - 12) ** 2 + (j - 13) ** 2 + (i - 14) ** 2)
    voxels = np.where(radius < 10, 800 + 100 * np.sin(i) * np.cos(j), 0)
    return Volume(voxels.astype(np.float32), Grid(voxels.shape, OBLIQUE))


def run(volume: Volume, bundle: Bundle | None, **values: object) -> Volume:
    task = get_task("super-resolution")
    return task.run({"input": volume}, bundle, SuperResolutionParameters(**values), no_progress).outputs["output"]


@pytest.mark.parametrize("method", ["network", "bspline"])
def test_output_has_half_the_spacing_over_the_same_field_of_view(a_head: Volume, a_bundle: Bundle, method: str) -> None:
    output = run(a_head, a_bundle, method=method)
    assert output.spacing == pytest.approx([s / 2 for s in a_head.spacing])
    assert output.grid.extent == pytest.approx(a_head.grid.extent)
    first_corner = a_head.grid.index_to_ras([-0.5] * 3)
    assert np.abs(output.grid.index_to_ras([-0.5] * 3) - first_corner).max() < 1e-9
    moved = a_head.grid.ras_to_index(np.array(output.grid.origin))
    assert moved == pytest.approx([-0.25] * 3)


def test_output_is_in_the_units_of_the_input_and_scales_with_them(a_head: Volume, a_bundle: Bundle) -> None:
    one = run(a_head, a_bundle).voxels
    thousand = run(a_head.with_voxels(a_head.voxels * 1000), a_bundle).voxels
    assert np.abs(thousand / 1000 - one).max() < 1e-3 * one.max()
    assert one[one > 0].mean() == pytest.approx(a_head.voxels[a_head.voxels > 0].mean(), rel=0.2)


def test_air_of_a_stripped_volume_stays_exactly_zero(a_head: Volume, a_bundle: Bundle) -> None:
    output = run(a_head, a_bundle).voxels
    assert (output[:2] == 0).all()
    assert output.min() >= 0


def test_the_input_is_never_changed(a_head: Volume, a_bundle: Bundle) -> None:
    before = a_head.voxels.copy()
    run(a_head, a_bundle)
    assert np.array_equal(a_head.voxels, before)


def test_same_run_gives_the_same_bits(a_head: Volume, a_bundle: Bundle) -> None:
    assert np.array_equal(run(a_head, a_bundle).voxels, run(a_head, a_bundle).voxels)


def test_bfloat16_stays_close_to_float32(a_head: Volume, a_bundle: Bundle) -> None:
    exact, fast = (run(a_head, a_bundle, precision=p).voxels for p in ("float32", "bfloat16"))
    assert not np.array_equal(exact, fast)
    assert np.abs(exact - fast).max() < 0.02 * exact.max()


def test_provenance_names_bundle_hash_and_input_hash_and_no_path(a_head: Volume, a_bundle: Bundle) -> None:
    task = get_task("super-resolution")
    result = task.run({"input": a_head}, a_bundle, SuperResolutionParameters(), no_progress)
    facts = result.provenance
    assert facts["synthetic"] is True
    assert "not for diagnosis" in facts["intended_use"]
    assert facts["bundle"]["sha256"] == a_bundle.weights_sha256
    assert len(facts["inputs"]["input"]["sha256"]) == 64
    assert str(a_bundle.folder.parent) not in json.dumps(facts)
    assert result.measurements["seconds"] > 0


BAD_RUNS = {
    "factor": ({"factor": 3}, InputError, "Choose factor 2"),
    "method": ({"method": "magic"}, InputError, "Unknown method 'magic'"),
    "tile": ({"tile": -1}, InputError, "tile size must be positive"),
    "device name": ({"device": "abacus"}, InputError, "Unknown device 'abacus'"),
    "no such GPU": ({"device": "cuda:99"}, ResourceError, "not available"),
    "precision": ({"precision": "float8"}, InputError, "Unknown precision"),
    "float16 on a CPU": ({"device": "cpu", "precision": "float16"}, InputError, "for GPUs only"),
}


@pytest.mark.parametrize("case", BAD_RUNS)
def test_bad_parameters_get_one_sentence(a_head: Volume, a_bundle: Bundle, case: str) -> None:
    values, kind, sentence = BAD_RUNS[case]
    with pytest.raises(kind, match=sentence):
        run(a_head, a_bundle, **values)


def test_bundle_of_another_task_is_refused(a_head: Volume, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other", task="synthetic-dir")
    with pytest.raises(InputError, match="made for synthetic-dir, not for super-resolution"):
        run(a_head, other)


def test_thick_slices_are_warned_of(a_head: Volume) -> None:
    thick = Volume(a_head.voxels, Grid.from_spacing(a_head.shape, (0.7, 0.7, 4.0)))
    findings = get_task("super-resolution").check({"input": thick}, None, SuperResolutionParameters())
    assert any(f.severity == "warning" and "0.7 x 0.7 x 4 mm" in f.message for f in findings)


def test_automatic_precision_follows_the_hardware() -> None:
    expected = torch.bfloat16 if precision.cpu_has_bfloat16() else torch.float32
    assert precision.resolve_precision("auto", torch.device("cpu")) == expected


def test_unknown_task_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="super-resolution"):
        get_task("nothing")
    assert task_names()[0] == "super-resolution"


def test_command_writes_the_volume_and_says_it_is_synthetic(
    a_head: Volume, a_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    write_volume(a_head, tmp_path / "in.nrrd")
    arguments = ["super-resolution", str(tmp_path / "in.nrrd"), str(tmp_path / "out.nrrd")]
    assert cli.main([*arguments, "--bundle", str(a_bundle.folder)]) == 0
    assert "not for diagnosis" in capsys.readouterr().out
    output = read_volume(tmp_path / "out.nrrd")
    assert output.grid.matches(a_head.grid.upsampled(2), tolerance=1e-4)


BAD_COMMANDS = {
    "existing output": (["in.nrrd", "there.nrrd"], "exists already"),
    "missing folder": (["in.nrrd", "no/folder/out.nrrd"], "does not exist"),
    "missing bundle": (["in.nrrd", "out.nrrd", "--bundle", "nothing"], "no bundle 'nothing'"),
    "missing input": (["nothing.nrrd", "out.nrrd"], "nothing.nrrd"),
    "unknown device": (["in.nrrd", "out.nrrd", "--device", "abacus"], "Unknown device"),
}


@pytest.mark.parametrize("case", BAD_COMMANDS)
def test_bad_commands_exit_with_2_and_one_sentence(
    a_head: Volume,
    a_bundle: Bundle,
    tmp_path: Path,
    case: str,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments, sentence = BAD_COMMANDS[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHMRI_MODELS", str(a_bundle.folder.parent))
    write_volume(a_head, tmp_path / "in.nrrd")
    (tmp_path / "there.nrrd").write_bytes(b"keep me")
    before = sorted(p.name for p in tmp_path.iterdir())
    assert cli.main(["super-resolution", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) <= 3
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert (tmp_path / "there.nrrd").read_bytes() == b"keep me"
