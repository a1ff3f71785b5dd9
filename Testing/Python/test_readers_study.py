"""A reader study on disk: its plan, what readers may see, the lock, and what happens when files are altered."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from reader_support import QUESTIONS, make_study, read_all, write_plan
from SynthMRILib.errors import InputError
from SynthMRILib.readers.chain import TamperedError
from SynthMRILib.readers.creation import create_study, to_levels
from SynthMRILib.readers.study import Study
from SynthMRILib.volume_io import read_volume

RATING = {"rating": QUESTIONS["rating"]}


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def rate(presentation):  # noqa: ARG001
    return {"rating": {"quality": 3, "ease": 4, "trust": 5}}


@pytest.fixture
def a_study(tmp_path):
    return make_study(tmp_path, subjects=2, questions=RATING, readers=["R1", "R2"])


def test_nothing_in_the_folder_tells_subjects_arms_or_sources(tmp_path):
    study = make_study(tmp_path, subjects=3)
    for path in study.folder.rglob("*"):
        assert not re.search("patient|flair|dir", path.name)
        if path.suffix == ".json":
            assert not re.search(
                'patient|flair|"dir|acquired"[,}]', path.read_text().replace('"target": "acquired"', "")
            )
        elif path.is_file():
            assert b"patient" not in path.read_bytes() and b"SYNTHETIC" not in path.read_bytes()
    assert len({path.stat().st_size for path in study.folder.rglob("*.nii")}) == 1
    assert study.default_key_path.parent == study.folder.parent


def test_the_key_tells_what_every_case_is(tmp_path):
    study = make_study(tmp_path, subjects=3)
    key = study.read_key()
    assert set(key["cases"]) == set(study.protocol["cases"])
    assert {(case["subject"], case["arm"]) for case in key["cases"].values()} == {
        (f"patient{n:02d}", arm) for n in range(3) for arm in ("flair", "dir")
    }


def test_two_studies_of_one_plan_have_other_codes(tmp_path):
    plan = write_plan(tmp_path / "source", subjects=2, questions=RATING)
    first, second = create_study(plan, tmp_path / "a"), create_study(plan, tmp_path / "b")
    assert not set(first.protocol["cases"]) & set(second.protocol["cases"])


def test_cases_keep_their_place_and_are_brought_to_common_levels(tmp_path):
    study = make_study(tmp_path, subjects=1, questions=RATING)
    for code in study.protocol["cases"]:
        volume = read_volume(study.volume_path(code, "main"))
        assert volume.spacing == (1, 1, 1.5)
        assert volume.voxels.max() == 1000 and np.array_equal(volume.voxels, np.rint(volume.voxels))
    assert to_levels(np.zeros((2, 2, 2))).max() == 0


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda plan: plan.pop("seed"), "lacks 'seed'"),
        (lambda plan: plan.update(sed=1), "unknown entry 'sed'"),
        (lambda plan: plan.update(seed=True), "seed must be a whole number"),
        (lambda plan: plan.update(readers=["R1", "R1"]), "holds the same entry twice"),
        (lambda plan: plan.update(readers=["../R1"]), "may not be '../R1'"),
        (lambda plan: plan.update(repeat_fraction=0.9), "too large"),
        (lambda plan: plan["cases"][0].update(arm="t1"), "arm 't1'"),
        (lambda plan: plan["cases"].append(plan["cases"][0]), "twice under the arm"),
        (lambda plan: plan["cases"][0].update(volumes={"overlay": "x.nii"}), "lacks the volume 'main'"),
        (lambda plan: plan.update(title="About patient00"), "name the subject 'patient00'"),
        (lambda plan: plan["questions"]["rating"].update(target="acquired"), "has no 'target'"),
        (lambda plan: plan["questions"]["rating"].update(paradigm="guess"), "must be one of"),
        (lambda plan: plan.update(arms={"flair": "acquired", "dir": "acquired"}, questions={
            "real": QUESTIONS["real"]}), "arms of both kinds"),
        (lambda plan: plan.update(intensity="keep"), "must give 'display'"),
        (lambda plan: plan.update(display=[5, 5]), "from a smaller to a larger"),
        (lambda plan: plan["cases"][0]["volumes"].update(main="gone.nii"), "no file or folder 'gone.nii'"),
    ],
)  # fmt: skip
def test_an_unsound_plan_is_refused_in_a_sentence_and_leaves_nothing(tmp_path, change, sentence):
    plan = write_plan(tmp_path / "source", subjects=1, questions=RATING)
    edit(plan, change)
    with pytest.raises(InputError, match=sentence):
        create_study(plan, tmp_path / "study")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_the_key_may_not_lie_in_the_study_and_nothing_is_replaced(tmp_path, a_study):
    plan = tmp_path / "source" / "plan.json"
    with pytest.raises(InputError, match="may not lie in the study"):
        create_study(plan, tmp_path / "other", key_path=tmp_path / "other" / "key.json")
    with pytest.raises(InputError, match="exists already"):
        create_study(plan, a_study.folder)


def test_the_key_opens_only_after_locking_and_a_lock_ends_the_reading(a_study):
    read_all(a_study, "R1", rate)
    with pytest.raises(InputError, match="not locked"):
        a_study.unblind()
    with pytest.raises(InputError, match="Answers are missing \\(R2: 4\\)"):
        a_study.lock()
    read_all(a_study, "R2", rate, most=2)
    assert a_study.lock(incomplete=True)["missing"] == {"R2": 2}
    assert len(a_study.unblind()["cases"]) == 4
    with pytest.raises(InputError, match="locked already"):
        a_study.lock()
    with pytest.raises(InputError, match="locked"):
        read_all(a_study, "R2", rate)


def lines_of(study, reader):
    return study.answers_path(reader).read_text().splitlines(keepends=True)


def rewrite(study, reader, change):
    study.answers_path(reader).write_text("".join(change(lines_of(study, reader))))


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], *(line.replace('"trust": 5', '"trust": 1') for line in lines[1:])],
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines[:3], "{}\n", *lines[3:]],
        lambda lines: [*lines[:3], "nonsense\n", *lines[3:]],
        lambda lines: [*lines, "[]\n"],
    ],
    ids=["changed", "removed", "swapped", "doubled", "inserted", "garbled", "appended"],
)
def test_altered_answers_are_noticed_at_once(a_study, change):
    read_all(a_study, "R1", rate)
    rewrite(a_study, "R1", change)
    with pytest.raises(TamperedError, match=r"R1\.jsonl' was altered"):
        a_study.records("R1")
    with pytest.raises(TamperedError):
        read_all(a_study, "R1", rate)
    with pytest.raises(TamperedError):
        a_study.lock(incomplete=True)


@pytest.mark.parametrize(
    "alter, sentence",
    [
        (lambda s: rewrite(s, "R1", lambda lines: lines[:-1]), "answers of reader 'R1'"),
        (lambda s: s.answers_path("R1").unlink(), "answers of reader 'R1'"),
        (lambda s: edit(s.folder / "locked.json", lambda lock: lock.update(missing={})), "lock"),
        (lambda s: edit(s.folder / "orders" / "R1.json", lambda o: o["sessions"][0].reverse()), "order of reader 'R1'"),
        (lambda s: edit(s.default_key_path, lambda key: key["arms"].update(dir="acquired")), "not the key"),
        (lambda s: next(s.folder.rglob("*.nii")).write_bytes(b"x"), "altered"),
        (lambda s: next(s.folder.rglob("*.nii")).unlink(), "missing"),
        (lambda s: edit(s.folder / "protocol.json", lambda p: p.update(title="Another")), "protocol"),
    ],
)
def test_whatever_is_altered_after_locking_stops_the_unblinding(a_study, alter, sentence):
    read_all(a_study, "R1", rate)
    a_study.lock(incomplete=True)
    alter(a_study)
    with pytest.raises(TamperedError, match=sentence):
        study = Study(a_study.folder)
        study.sessions("R1")
        study.unblind()


def test_a_changed_protocol_is_noticed_before_reading_goes_on(a_study):
    read_all(a_study, "R1", rate, most=1)
    edit(a_study.folder / "protocol.json", lambda protocol: protocol["questions"]["rating"].update(points=3))
    with pytest.raises(TamperedError, match="another protocol"):
        read_all(Study(a_study.folder), "R1", rate)


def test_a_folder_that_is_no_study_is_refused(tmp_path):
    with pytest.raises(InputError, match="no reader study"):
        Study(tmp_path)
