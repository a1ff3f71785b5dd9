"""No command replaces what it reads, and what cannot be written is found before the work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import head_like
from SynthMRILib import cli, tasks
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

SIDECAR = {"RepetitionTime": 8.5, "EchoTime": 0.09}


@pytest.fixture
def scan(tmp_path) -> Path:
    """An acquired volume with the JSON file that BIDS keeps beside it."""
    shape = (20, 22, 24)
    write_volume(
        Volume(head_like(shape), Grid.from_spacing(shape, (1, 1, 1))), tmp_path / "src.nii.gz", synthetic=False
    )
    (tmp_path / "src.json").write_text(json.dumps(SIDECAR))
    return tmp_path / "src.nii.gz"


@pytest.fixture
def no_work(monkeypatch) -> None:
    """The test fails when a volume is computed."""

    def never(*_arguments: object) -> None:
        raise AssertionError("the work began")

    for name in tasks.task_names():
        task = tasks.get_task(name)
        monkeypatch.setattr(type(task), "run", never)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(capsys, folder: Path, *words: object) -> str:
    """The sentence with which a command ends, after which the folder is as it was."""
    before = contents(folder)
    assert cli.main([str(word) for word in words]) == 2
    assert contents(folder) == before and not list(folder.glob(".synthmri-*"))
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("synthmri: ") and "Traceback" not in captured.err
    return captured.err.removeprefix("synthmri: ").strip()


BSPLINE = ("--method", "bspline", "--overwrite")


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("task", ["super-resolution", "denoising", "motion-correction"])
def test_an_input_is_never_replaced(capsys, tmp_path, scan, task):
    sentence = "'src.nii.gz' is an input and would be replaced. Choose another name for the output."
    assert refused(capsys, tmp_path, task, scan, scan, "--overwrite") == sentence
    (tmp_path / "sub").mkdir()
    assert refused(capsys, tmp_path, task, scan, tmp_path / "sub" / ".." / "src.nii.gz", "--overwrite") == sentence
    (tmp_path / "link.nii.gz").symlink_to(scan)
    assert "is an input" in refused(capsys, tmp_path, task, scan, tmp_path / "link.nii.gz", "--overwrite")


@pytest.mark.usefixtures("no_work")
def test_the_json_file_of_an_input_or_of_another_volume_is_never_replaced(capsys, tmp_path, scan):
    said = refused(capsys, tmp_path, "super-resolution", scan, tmp_path / "src.nrrd", *BSPLINE)
    assert said.startswith("'src.json' belongs to the input 'src.nii.gz' and would be replaced.")
    (tmp_path / "other.nii").write_bytes(b"another scan")
    said = refused(capsys, tmp_path, "super-resolution", scan, tmp_path / "other.nrrd", *BSPLINE)
    assert said.startswith("'other.json' beside 'other.nrrd' would be taken for that of 'other.nii' too.")


@pytest.mark.usefixtures("no_work")
def test_the_detached_voxels_of_an_input_are_never_replaced(capsys, tmp_path, scan):
    (tmp_path / "a.nhdr").write_text("NRRD0004\ntype: short\nData File: b.raw.gz\n")
    (tmp_path / "b.raw.gz").write_bytes(b"voxels")
    said = refused(capsys, tmp_path, "super-resolution", tmp_path / "a.nhdr", tmp_path / "b.nhdr", *BSPLINE)
    assert said.startswith("'b.raw.gz' belongs to the input 'a.nhdr'")
    assert scan.exists()


@pytest.mark.usefixtures("no_work")
def test_inputs_of_tasks_with_several_are_never_replaced(capsys, tmp_path, scan):
    said = refused(capsys, tmp_path, "synthetic-dir", scan, "--flair", scan, "--overwrite")
    assert said.startswith("'src.nii.gz' is an input")
    said = refused(capsys, tmp_path, "super-resolution", scan, tmp_path / "a.nii", "--residual", scan, "--overwrite")
    assert said.startswith("'src.nii.gz' is an input")


@pytest.mark.parametrize("name", ["src.json", "src.nii.gz"])
def test_an_evaluation_replaces_no_input(capsys, tmp_path, scan, name):
    words = ("evaluate", "super-resolution", "--reference", scan, "--output", tmp_path / name, "--overwrite")
    assert "Choose another name for the output." in refused(capsys, tmp_path, *words)
    folders = [tmp_path / "real", tmp_path / "made"]
    for folder in folders:
        folder.mkdir()
        (folder / name).write_bytes(b"there")
    words = ("evaluate", "set", *folders, "--output", folders[1] / name, "--overwrite")
    assert "lies in the input 'made'" in refused(capsys, tmp_path, *words)


def test_packed_files_do_not_replace_their_source(capsys, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"packed")
    same = tmp_path / "a.safetensors"
    words = ("pack-examinations", "--heads", same, "--output", same)
    assert "is an input" in refused(capsys, tmp_path, *words)
    words = ("pack-motion", "--source", same, "--data", tmp_path, "--output", same)
    assert "is an input" in refused(capsys, tmp_path, *words)


def test_the_demo_does_not_replace_its_template(capsys, tmp_path, scan):
    template = scan.rename(tmp_path / "reference.nii.gz")
    words = ("demo", "--template", template, "--output", tmp_path, "--overwrite")
    assert "'reference.nii.gz' is an input" in refused(capsys, tmp_path, *words)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x.txt", "'x.txt' has no suffix SynthMRI can write"),
        ("x", "'x' has no suffix SynthMRI can write"),
        ("none/x.nii.gz", "The folder of 'x.nii.gz' does not exist. Make it first."),
        ("folder.nii", "'folder.nii' is a folder."),
        ("old.nii.gz", "'old.nii.gz' exists already."),
        ("half.nii.gz", "'half.json' exists already."),
        ("locked/x.nii.gz", "'x.nii.gz' cannot be written there."),
    ],
)
def test_what_cannot_be_written_is_found_before_the_work(capsys, tmp_path, scan, monkeypatch, name, said):
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "locked").mkdir()
    (tmp_path / "old.nii.gz").write_bytes(b"old")
    (tmp_path / "half.json").write_text("{}")
    if name.startswith("locked"):
        lock(monkeypatch)
    for task, *words in (["super-resolution", scan], ["synthetic-dir", "--t1", scan]):
        assert refused(capsys, tmp_path, task, *words, tmp_path / name).startswith(said)


def lock(monkeypatch) -> None:
    """The system refuses new files, as it does in a folder of somebody else (not for root, so it is played)."""

    def refuse(*_arguments: object, **_options: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)


@pytest.mark.usefixtures("no_work")
def test_outputs_of_one_run_have_names_of_their_own(capsys, tmp_path, scan):
    words = ("super-resolution", scan, tmp_path / "out.nii.gz", "--residual")
    assert refused(capsys, tmp_path, *words, tmp_path / "out.nii.gz", "--overwrite") == (
        "The outputs 'out.nii.gz' and 'out.nii.gz' are one file. Give each a name of its own."
    )
    assert "would share 'out.json'" in refused(capsys, tmp_path, *words, tmp_path / "out.nrrd")


def test_a_residual_is_refused_where_there_is_none(capsys, tmp_path, scan):
    words = ("super-resolution", scan, tmp_path / "out.nii.gz", "--residual", tmp_path / "res.nii.gz")
    assert "leave out the residual" in refused(capsys, tmp_path, *words, "--method", "bspline")
    thick = ("--spacing", "1", "1", "0.5", "--method", "bspline")
    assert cli.main([str(word) for word in (*words, *thick)]) == 0
    assert (tmp_path / "res.nii.gz").exists(), "with --spacing every method is compared with the input"


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--spacing", "1", "1", "1", "--sharpness", "0.5"), "--sharpness does not go with --spacing."),
        (("--spacing", "1", "1", "1", "--keep-acquired"), "--keep-acquired does not go with --spacing."),
        (("--spacing", "1", "1", "1", "--factor", "2"), "--factor does not go with --spacing."),
        (("--gap", "1"), "--gap needs --spacing."),
        (("--profile", "box"), "--profile needs --spacing."),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(capsys, tmp_path, scan, words, option):
    assert refused(capsys, tmp_path, "super-resolution", scan, tmp_path / "out.nii.gz", *words).startswith(option)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("words", [(), ("--method", "diffusion"), ("--draws", "3")])
def test_a_spread_is_refused_where_only_one_sample_is_drawn(capsys, tmp_path, scan, words):
    spread = ("--spread", tmp_path / "spread.nii.gz")
    said = refused(capsys, tmp_path, "motion-correction", scan, tmp_path / "out.nii.gz", *spread, *words)
    assert said.startswith("--spread needs --method diffusion and --draws 2 or more.")


def test_what_was_asked_for_and_may_be_replaced_is_written(capsys, tmp_path, scan):
    for _ in range(2):
        assert cli.main(["super-resolution", str(scan), str(tmp_path / "out.nii.gz"), *BSPLINE]) == 0
    assert json.loads((tmp_path / "src.json").read_text()) == SIDECAR
    assert json.loads((tmp_path / "out.json").read_text())["task"] == "super-resolution"
    assert not list(tmp_path.glob(".synthmri-*"))
    assert "Research use only" in capsys.readouterr().out


def test_a_batch_never_replaces_its_own_input(capsys, tmp_path, scan):
    out = tmp_path / "out"
    out.mkdir()
    source = scan.rename(out / "a_desc-superresolution.nii.gz")
    before = source.read_bytes()
    (tmp_path / "list.csv").write_text(f"case,input\na,{source}\n")
    words = ("batch", "super-resolution", "--input", tmp_path / "list.csv", "--output", out, "--overwrite")
    assert cli.main([*map(str, words), "--set", "method=bspline"]) == 1
    assert source.read_bytes() == before and "own input would be replaced" in capsys.readouterr().err
