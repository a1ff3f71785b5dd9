"""After Ctrl+C the command line says what is true: nothing was written, or where what was written is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import head_like
from SynthMRILib import cli, tasks
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

SHAPE = (20, 22, 24)


@pytest.fixture
def scan(tmp_path) -> Path:
    volume = Volume(head_like(SHAPE), Grid.from_spacing(SHAPE, (1, 1, 1)))
    write_volume(volume, tmp_path / "src.nii.gz", synthetic=False)
    return tmp_path / "src.nii.gz"


def stop(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt


def said(capsys, *words: object) -> str:
    assert cli.main([str(word) for word in words]) == 2
    return capsys.readouterr().err.removeprefix("synthmri: ").strip()


def test_a_run_that_is_stopped_before_it_writes_says_so(capsys, tmp_path, scan, monkeypatch):
    monkeypatch.setattr(type(tasks.get_task("super-resolution")), "run", stop)
    words = ("super-resolution", scan, tmp_path / "out.nii.gz", "--method", "bspline")
    assert said(capsys, *words) == "Stopped. Nothing was written."
    (tmp_path / "out.nii.gz").write_bytes(b"of an earlier run")
    os.utime(tmp_path / "out.nii.gz", (1e9, 1e9))
    assert said(capsys, *words, "--overwrite") == "Stopped. Nothing was written."


def test_a_run_that_is_stopped_between_two_files_names_the_first(capsys, tmp_path, scan, monkeypatch):
    def write_then_stop(volume: Volume, path: Path, **options: object) -> None:
        if path.name == "residual.nii.gz":
            raise KeyboardInterrupt
        write_volume(volume, path, **options)

    monkeypatch.setattr("SynthMRILib.commands.enhance.write_volume", write_then_stop)
    words = ("super-resolution", scan, tmp_path / "out.nii.gz", "--residual", tmp_path / "residual.nii.gz")
    thick = ("--spacing", "1", "1", "0.5", "--method", "bspline")
    sentence = "Stopped. What was written until then stays in 'out.nii.gz' and may not be all."
    assert said(capsys, *words, *thick) == sentence


@pytest.mark.parametrize("name", ["train.safetensors", "checkpoints/last.pt", ""])
def test_a_training_that_is_stopped_says_where_it_is_and_how_it_goes_on(capsys, tmp_path, monkeypatch, name):
    def begin(*_arguments: object, **_options: object) -> None:
        if name:
            (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "run" / name).write_bytes(b"packed")
        raise KeyboardInterrupt

    monkeypatch.setattr("SynthMRILib.training.finetuning.finetune", begin)
    monkeypatch.setattr("SynthMRILib.commands.finetune.best_bundle", lambda _task: None)
    words = ("finetune", "denoising", "--pairs", tmp_path, "--output", tmp_path / "run")
    there = "Stopped. What was done until then is in 'run'; the same command goes on from there."
    assert said(capsys, *words) == (there if name else "Stopped. Nothing was written.")


@pytest.mark.parametrize("name", ["packed.safetensors", "packed.report.json", "split.json"])
def test_what_a_packing_wrote_beside_its_file_is_not_denied(capsys, tmp_path, monkeypatch, name):
    def begin(*_arguments: object, **_options: object) -> None:
        (tmp_path / name).write_bytes(b"packed")
        raise KeyboardInterrupt

    monkeypatch.setattr("SynthMRILib.training.own_packing.pack_own", begin)
    words = ("pack-training", "--data", tmp_path, "--output", tmp_path / "packed.safetensors")
    assert said(capsys, *words).startswith("Stopped. What was written until then stays in 'packed.safetensors'")


def test_of_a_command_without_an_output_nothing_is_claimed(capsys, monkeypatch):
    monkeypatch.setattr("SynthMRILib.commands.models.find_bundles", stop)
    assert said(capsys, "models", "list") == "Stopped."
