"""A folder of results holds those of one run: what an earlier run left goes, and nothing is lost when a run fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bundle_support import make_bundle
from conftest import head_like
from SynthMRILib import cli
from SynthMRILib.commands.result_folder import earlier_results, new_results
from SynthMRILib.errors import InputError, ResourceError
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

SHAPE = (20, 22, 24)


def scan(path: Path, scale: float = 1) -> Path:
    write_volume(
        Volume(head_like(SHAPE) * np.float32(scale), Grid.from_spacing(SHAPE, (1, 1, 1))), path, synthetic=False
    )
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_maps_of_another_patient_do_not_stay(tmp_path):
    bundle, out = make_bundle(tmp_path / "models" / "a-network"), tmp_path / "out"
    words = ["uncertainty", "super-resolution", "--samples", "3", "--bundle", str(bundle.folder), "--output", str(out)]
    first, second = scan(tmp_path / "first.nii.gz"), scan(tmp_path / "second.nii.gz", 2)
    assert cli.main([*words, str(first), "--blend", "--augmentations", "4"]) == 0
    before = contents(out)
    gone = {"augmentation-spatial.nii.gz", "augmentation-spatial.json", "blend.nii.gz", "blend.json"}
    assert gone <= set(before)
    (out / "notes.txt").write_text("mine")
    scan(out / "mine.nii.gz")
    assert cli.main([*words, str(second), "--overwrite"]) == 0
    after = contents(out)
    assert set(after) == set(before) - {name for name in before if "augmentation" in name or "blend" in name} | {
        "notes.txt",
        "mine.nii.gz",
    }
    sources = {json.loads(text)["inputs"]["input"]["sha256"] for name, text in after.items() if is_sidecar(name)}
    assert len(sources) == 1


def is_sidecar(name: str) -> bool:
    return name.endswith(".json") and name != "findings.json"


def test_a_run_that_fails_leaves_the_earlier_results(tmp_path, monkeypatch):
    bundle, out = make_bundle(tmp_path / "models" / "a-network"), tmp_path / "out"
    words = ["uncertainty", "super-resolution", "--samples", "3", "--bundle", str(bundle.folder), "--output", str(out)]
    first = scan(tmp_path / "first.nii.gz")
    assert cli.main([*words, str(first)]) == 0
    before = contents(out)

    def full(*_arguments: object, **_options: object) -> None:
        raise ResourceError("There is no space left.")

    monkeypatch.setattr("SynthMRILib.uncertainty.page.write_page", full)
    assert cli.main([*words, str(first), "--overwrite"]) == 2
    assert contents(out) == before


@pytest.mark.parametrize("name", ["mean.nii.gz", "findings.json", "new.nii.gz"])
def test_an_input_in_the_folder_of_results_is_never_replaced(tmp_path, name, capsys):
    bundle, out = make_bundle(tmp_path / "models" / "a-network"), tmp_path / "out"
    out.mkdir()
    source = scan(out / "mean.nii.gz") if name == "mean.nii.gz" else scan(out / "other.nii.gz")
    points = ["--points", str(out / name)] if name == "findings.json" else []
    if points:
        (out / name).write_text("R,A,S\n1,1,1\n")
    before = contents(out)
    words = ["uncertainty", "super-resolution", "--samples", "3", "--bundle", str(bundle.folder), "--output", str(out)]
    expected = 0 if name == "new.nii.gz" else 2
    assert cli.main([*words, str(source), *points, "--overwrite"]) == expected
    after = contents(out)
    assert {key: after[key] for key in before} == before
    if expected:
        assert after == before and "is an input and would be replaced" in capsys.readouterr().err


def test_a_subtraction_leaves_no_maps_of_an_earlier_one(tmp_path, capsys):
    out = tmp_path / "out"
    first, second = scan(tmp_path / "first.nii.gz"), scan(tmp_path / "second.nii.gz")
    words = ["subtraction", str(first), str(second), str(out), "--registered", "--method", "none"]
    assert cli.main(words) == 0
    before = set(contents(out))
    stale = Volume(head_like(SHAPE), Grid.from_spacing(SHAPE, (1, 1, 1)))
    write_volume(stale, out / "dir_z.nii.gz", provenance={"task": "subtraction"})
    write_volume(stale, out / "another.nii.gz", provenance={"task": "denoising"})
    assert cli.main([*words, "--overwrite"]) == 0
    assert set(contents(out)) == before | {"another.nii.gz", "another.json"}
    table = (out / "candidates.csv").rename(tmp_path / "kept.csv")
    inside = scan(out / "flair_z.nii.gz") if not (out / "flair_z.nii.gz").unlink() else None
    assert table.exists() and inside is not None
    words = ["subtraction", str(inside), str(second), str(out), "--registered", "--method", "none", "--overwrite"]
    assert cli.main(words) == 2 and "is an input" in capsys.readouterr().err


def test_a_simulation_leaves_nothing_of_an_earlier_one_and_keeps_its_label_map(tmp_path, capsys):
    labels = np.zeros(SHAPE, np.float32)
    labels[4:16, 4:18, 4:20] = 2
    labels[7:13, 7:15, 7:17] = 3
    out = tmp_path / "out"
    out.mkdir()
    grid = Grid.from_spacing(SHAPE, (4, 4, 4))
    write_volume(Volume(labels, grid), tmp_path / "map.nii.gz", synthetic=False)
    words = ["simulate", "motion", "--output", str(out), "--labels"]
    assert cli.main([*words, str(tmp_path / "map.nii.gz"), "--contrast", "t1w"]) == 0
    before = set(contents(out))
    write_volume(Volume(labels, grid), out / "mine.nii.gz", synthetic=False)
    words[1] = "t1w"
    assert cli.main([*words, str(tmp_path / "map.nii.gz"), "--overwrite"]) == 0
    files = json.loads((out / "record.json").read_text())["files"]
    assert before - {*files, "record.json", "gallery.png"}, "the first kind has volumes that the second has not"
    assert set(contents(out)) == {*files, "record.json", "gallery.png", "mine.nii.gz"}
    for path in out.iterdir():
        path.unlink()
    write_volume(Volume(labels, grid), out / "labels.nii.gz", synthetic=False)
    before = contents(out)
    assert cli.main([*words, str(out / "labels.nii.gz"), "--overwrite"]) == 2
    assert contents(out) == before and "is an input" in capsys.readouterr().err


def test_files_that_cannot_be_put_in_place_leave_the_folder_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("old a")
    (tmp_path / "gone.txt").write_text("old")
    before, rename = contents(tmp_path), Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name == "b.txt" and target.parent == tmp_path:
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    earlier = [tmp_path / "gone.txt"]
    with (
        pytest.raises(ResourceError, match="No space left"),
        new_results(tmp_path, earlier=lambda: earlier, inputs=[], overwrite=True) as new,
    ):
        (new / "a.txt").write_text("new a")
        (new / "b.txt").write_text("new b")
    assert contents(tmp_path) == before


def test_a_file_that_may_not_be_replaced_and_a_folder_that_was_never_filled(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with (
        pytest.raises(InputError, match=r"'a\.txt' exists already"),
        new_results(tmp_path, earlier=list, inputs=[], overwrite=False) as new,
    ):
        (new / "a.txt").write_text("new")
    assert contents(tmp_path) == {"a.txt": b"old"}
    with pytest.raises(KeyError), new_results(tmp_path / "deep", earlier=list, inputs=[], overwrite=False):
        raise KeyError
    assert not (tmp_path / "deep").exists() and earlier_results(tmp_path / "deep", "t", ["x"]) == []


@pytest.mark.parametrize("command", ["uncertainty super-resolution IN --output OUT", "subtraction IN IN OUT"])
def test_a_folder_that_cannot_be_written_is_found_before_the_work(tmp_path, monkeypatch, capsys, command):
    source, out = scan(tmp_path / "a.nii.gz"), tmp_path / "out"

    def refuse(*_arguments: object, **_options: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    assert cli.main(command.replace("IN", str(source)).replace("OUT", str(out)).split()) == 2
    assert "'out' cannot be written there." in capsys.readouterr().err and not out.exists()
