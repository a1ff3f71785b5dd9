"""A whole study on the command line: made, read by three readers of whom one is killed, locked, analyzed, reported."""

from __future__ import annotations

import csv
import json
import re
import sys

import pytest
from reader_support import QUESTIONS, SimulatedReader, read_all, write_plan
from SynthMRILib.cli import main
from SynthMRILib.readers.study import Study
from test_readers_answers import kill_while_reading


def synthmri(*arguments):
    return main([str(argument) for argument in arguments])


def answered(capsys):
    return json.loads(capsys.readouterr().out)


def lines_in(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def a_study(tmp_path):
    questions = {name: QUESTIONS[name] for name in ("real", "lesions")}
    plan = write_plan(tmp_path / "source", subjects=4, questions=questions)
    assert synthmri("readers", tmp_path / "study", "--create", plan) == 0
    return Study(tmp_path / "study")


def test_a_study_goes_from_plan_to_report_although_a_reader_is_killed(tmp_path, a_study, capsys):
    kill_while_reading(a_study, answers=3)
    capsys.readouterr()
    assert synthmri("readers", a_study.folder, "--status", "--json") == 0
    assert answered(capsys) == {"locked": False, "missing": {"R1": 5, "R2": 8, "R3": 8}}
    key = a_study.read_key()
    for number, reader in enumerate(a_study.readers):
        read_all(a_study, reader, SimulatedReader(key, seed=number), profile={"role": "=neuroradiologist", "years": 9})
    assert synthmri("readers", a_study.folder) == 2
    assert "not locked" in capsys.readouterr().err
    assert synthmri("readers", a_study.folder, "--lock") == 0
    capsys.readouterr()
    assert synthmri("readers", a_study.folder, "--json") == 0
    result = answered(capsys)
    report = tmp_path / "study-report"
    assert sorted(path.name for path in report.iterdir()) == sorted(result["files"])
    assert len(lines_in(report / "responses.csv")) == result["answers"] == 3 * 8 * 2
    assert len(lines_in(report / "statistics.csv")) == len(result["statistics"])
    assert {"R", "A", "S", "region"} <= set(lines_in(report / "marks.csv")[0])
    page = (report / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5 and "not for diagnosis" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert synthmri("readers", a_study.folder) == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert synthmri("readers", a_study.folder, "--overwrite") == 0


def test_a_report_without_matplotlib_says_what_to_install(tmp_path, a_study, capsys, monkeypatch):
    for reader in a_study.readers:
        read_all(a_study, reader, SimulatedReader(a_study.read_key()))
    a_study.lock()
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert synthmri("readers", a_study.folder) == 2
    assert "pip install 'synthmri[demo]'" in capsys.readouterr().err
    assert not (tmp_path / "study-report").exists()


def test_the_report_may_not_lie_where_readers_look(a_study, capsys):
    a_study.lock(incomplete=True)
    assert synthmri("readers", a_study.folder, "--output", a_study.folder / "report") == 2
    assert "may not lie in the study" in capsys.readouterr().err
    assert synthmri("readers", a_study.folder) == 2
    assert "holds no answer" in capsys.readouterr().err


def test_the_audit_warns_on_standard_error(tmp_path, capsys):
    def silenced(volume, arm):
        return volume.with_voxels(volume.voxels * (volume.voxels > 60)) if arm == "dir" else volume

    plan = write_plan(tmp_path / "source", questions={"real": QUESTIONS["real"]}, alter=silenced)
    assert synthmri("readers", tmp_path / "study", "--create", plan) == 0
    capsys.readouterr()
    assert synthmri("readers", tmp_path / "study", "--audit", "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["comparisons"][0]["area"] > 0.9
    assert "A trivial classifier tells" in printed.err


def test_the_audit_says_what_it_could_not_test(tmp_path, capsys):
    plan = write_plan(tmp_path / "source", subjects=2, questions={"real": QUESTIONS["real"]})
    assert synthmri("readers", tmp_path / "study", "--create", plan) == 0
    capsys.readouterr()
    assert synthmri("readers", tmp_path / "study", "--audit") == 0
    told = capsys.readouterr().out
    assert "not tested" in told and "too few cases" in told.lower() and "nan" not in told


def test_a_synthetic_volume_is_no_acquired_one(tmp_path, capsys):
    plan = write_plan(tmp_path / "source", questions={"real": QUESTIONS["real"]})
    words = json.loads(plan.read_text())
    other = {"acquired": "synthetic", "synthetic": "acquired"}
    words["arms"] = {arm: other[kind] for arm, kind in words["arms"].items()}
    plan.write_text(json.dumps(words), encoding="utf-8-sig")
    assert synthmri("readers", tmp_path / "study", "--create", plan) == 2
    assert "marked as synthetic" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--cases", 64], {"cases": 64, "critical": 41}),
        (["--accuracy", 1.0], {"cases": 6, "critical": 6}),
        (["--margin", 0.1], {}),
    ],
)
def test_the_sample_size_is_told(capsys, arguments, expected):
    assert synthmri("sample-size", *arguments, "--json") == 0
    told = answered(capsys)
    assert expected.items() <= told.items()
    assert synthmri("sample-size", *arguments) == 0
    assert str(told["cases"]) in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["readers", "nowhere"],
        ["readers", "nowhere", "--create", "none.json"],
        ["readers", ".", "--incomplete"],
        ["sample-size", "--accuracy", 0.4],
        ["sample-size", "--cases", 0],
    ],
)
def test_bad_input_ends_with_one_sentence(tmp_path, capsys, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    assert synthmri(*arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
