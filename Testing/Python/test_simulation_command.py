"""`synthmri simulate` writes volumes, masks, a picture and a record that makes the same sample again."""

import json

import numpy as np
import pytest
from simulation_phantoms import small_head
from SynthMRILib import cli
from SynthMRILib.simulation.kinds import KINDS
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume, write_volume

SHAPE = (32, 36, 34)


@pytest.fixture(scope="module")
def a_label_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "head.nii.gz"
    matrix = np.diag([-1.8, -1.8, 1.8, 1.0])
    matrix[:3, 3] = (30.0, 33.0, -20.0)
    write_volume(Volume(small_head(SHAPE), Grid(SHAPE, matrix)), path)
    return path


def simulate(kind, labels, output, *options) -> int:
    return cli.main(["simulate", kind, "--labels", str(labels), "--output", str(output), *options])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_writes_finite_volumes_a_record_and_a_picture(kind, a_label_file, tmp_path):
    folder = tmp_path / kind
    assert simulate(kind, a_label_file, folder, "--seed", "3") == 0
    summary = json.loads((folder / "record.json").read_text())
    assert summary["record"]["sample"] == kind
    assert "not for diagnosis" in summary["intended_use"]
    assert (folder / "gallery.png").read_bytes().startswith(b"\x89PNG")
    assert "labels.nii.gz" in summary["files"]
    for name in summary["files"]:
        volume = read_volume(folder / name)
        assert np.isfinite(volume.voxels).all()
        assert volume.voxels.max() > 0
        assert volume.voxels.min() >= 0


def test_a_sample_is_made_again_from_its_record(a_label_file, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert simulate("lesions", a_label_file, first, "--seed", "5", "--number", "4") == 0
    assert simulate("lesions", a_label_file, second, "--record", str(first / "record.json")) == 0
    for name in ("flair", "dir", "lesions"):
        volumes = [read_volume(folder / f"{name}.nii.gz").voxels for folder in (first, second)]
        assert np.array_equal(*volumes)


def test_the_same_seed_gives_the_same_sample_and_another_seed_another(a_label_file, tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        simulate("t2w", a_label_file, tmp_path / name, "--seed", seed, "--no-deformation")
    a, b, c = (read_volume(tmp_path / name / "t2w.nii.gz").voxels for name in "abc")
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_anatomy_stays_in_place_when_air_is_added(a_label_file, tmp_path):
    simulate("t1w", a_label_file, tmp_path / "out", "--no-deformation")
    given, written = read_volume(a_label_file), read_volume(tmp_path / "out" / "labels.nii.gz")
    centers = [v.grid.index_to_ras(np.argwhere(v.voxels == 16).mean(axis=0)[::-1]) for v in (given, written)]
    assert np.allclose(*centers, atol=1e-4)
    assert written.voxels.size > given.voxels.size


def test_motion_writes_its_labels_for_training(a_label_file, tmp_path):
    options = ("--severity", "2", "--sequence", "mprage", "--contrast", "t2w")
    assert simulate("motion", a_label_file, tmp_path / "motion", *options) == 0
    facts = json.loads((tmp_path / "motion" / "record.json").read_text())["facts"]["motion"]
    assert facts["severity_mm"] > 0
    assert len(facts["poses"]) == len(facts["seconds"]) == facts["shots"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    (
        (("--seed", "-1"), "The seed must not be negative, as -1 is."),
        (("--severity", "-1"), "--severity must be zero or more"),
        (("--field-strength", "0"), "--field-strength must be greater than zero"),
        (("--record", "missing.json"), "No such file"),
    ),
)
def test_a_bad_option_is_told_in_one_sentence(options, sentence, a_label_file, tmp_path, capsys):
    assert simulate("motion", a_label_file, tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_existing_simulation_is_kept_unless_told_otherwise(a_label_file, tmp_path, capsys):
    assert simulate("pd", a_label_file, tmp_path / "out") == 0
    assert simulate("pd", a_label_file, tmp_path / "out") == 2
    assert "holds a simulation already" in capsys.readouterr().err
    assert simulate("pd", a_label_file, tmp_path / "out", "--overwrite") == 0


def test_a_volume_that_holds_no_labels_is_refused(a_volume, tmp_path, capsys):
    path = tmp_path / "scan.nii.gz"
    write_volume(a_volume, path)
    assert simulate("t1w", path, tmp_path / "out") == 2
    assert "is no label map" in capsys.readouterr().err


def test_a_record_of_another_kind_is_refused(a_label_file, tmp_path, capsys):
    simulate("pd", a_label_file, tmp_path / "out")
    assert simulate("flair", a_label_file, tmp_path / "other", "--record", str(tmp_path / "out" / "record.json")) == 2
    assert "is the record of 'pd'" in capsys.readouterr().err
