"""What a reader does: answers kept through crashes, wash-out, reading times, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from reader_support import QUESTIONS, SimulatedReader, make_study, read_all, ticking, write_plan
from SynthMRILib.errors import InputError
from SynthMRILib.readers.analysis import analyze
from SynthMRILib.readers.chain import Chain, TamperedError, read_chain
from SynthMRILib.readers.creation import create_study
from SynthMRILib.readers.paradigms import completed, region_counts
from SynthMRILib.readers.responses import ReaderSession
from SynthMRILib.readers.table import study_rows
from SynthMRILib.volume_io import read_volume

TESTS = Path(__file__).parent
RATING = {"rating": QUESTIONS["rating"]}
RATED = {"rating": {"quality": 3, "ease": 4, "trust": 5}}

READING = """
import sys, time
from pathlib import Path
from reader_support import SimulatedReader
from SynthMRILib.readers.responses import ReaderSession
from SynthMRILib.readers.study import Study

study = Study(Path(sys.argv[1]))
answers = SimulatedReader(study.read_key())
with ReaderSession(study, "R1") as session:
    for _ in range(int(sys.argv[2])):
        session.answer(answers(session.show()))
    session.show()
    sys.stdout.write("reading")
    sys.stdout.flush()
    time.sleep(600)
"""


@pytest.fixture
def a_study(tmp_path):
    return make_study(tmp_path, subjects=2, questions=RATING, readers=["R1"])


def kill_while_reading(study, *, answers: int) -> None:
    """Let a process answer as reader R1, and kill it while it shows the next case."""
    paths = os.pathsep.join([str(TESTS), str(TESTS.parents[1] / "SynthMRI")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", READING, study.folder, str(answers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout.read(7) == b"reading"
        child.send_signal(signal.SIGKILL)


def test_a_killed_reader_goes_on_where_the_last_answer_was(tmp_path):
    study = make_study(tmp_path, subjects=4, readers=["R1"])
    kill_while_reading(study, answers=5)
    kept = [record for record in study.records("R1") if record["kind"] == "answer"]
    with ReaderSession(study, "R1") as session:
        assert session.done == len(kept) == 5
    assert read_all(study, "R1", SimulatedReader(study.read_key())) == 12
    records = study.records("R1")
    answers = [record for record in records if record["kind"] == "answer"]
    assert answers[: len(kept)] == kept and [record["presentation"] for record in answers] == list(range(12))
    assert [record["kind"] for record in records].count("resumed") == 2


def test_a_record_cut_anywhere_loses_only_itself(tmp_path, a_study):
    read_all(a_study, "R1", lambda _: RATED, most=2)
    whole = a_study.answers_path("R1").read_bytes()
    start = whole.rstrip(b"\n").rindex(b"\n") + 1
    for cut in range(start, len(whole), 29):
        path = tmp_path / f"cut{cut}.jsonl"
        path.write_bytes(whole[:cut])
        chain = Chain(path)
        chain.append("note", {})
        chain.close()
        records, torn = read_chain(path)
        kept = [record for record in records if record["kind"] == "answer"]
        assert not torn and len(kept) == 1
        assert [record["bytes"] for record in records if record["kind"] == "recovered"] == (
            [cut - start] if cut > start else []
        )


def test_every_record_is_time_stamped_and_hangs_on_the_one_before(a_study):
    read_all(a_study, "R1", lambda _: RATED)
    records = a_study.records("R1")
    assert [record["kind"] for record in records] == ["opened", *["shown", "answer"] * 4]
    for before, after in pairwise(records):
        assert after["previous"] == before["sha256"] and after["time"] >= before["time"]


def test_a_file_is_written_by_one_window_at_a_time(a_study):
    with ReaderSession(a_study, "R1"), pytest.raises(InputError, match="open in another window"):
        ReaderSession(a_study, "R1")
    ReaderSession(a_study, "R1").close()


def test_a_study_is_not_locked_while_somebody_reads(a_study):
    with ReaderSession(a_study, "R1"), pytest.raises(InputError, match="open in another window"):
        a_study.lock(incomplete=True)
    a_study.lock(incomplete=True)
    assert a_study.check_lock()["missing"] == {"R1": 4}


def test_the_receipt_is_the_hash_of_the_last_record(a_study):
    with ReaderSession(a_study, "R1") as session:
        session.show()
        session.answer(RATED)
        receipt = session.receipt
    assert receipt == json.loads(a_study.answers_path("R1").read_text().splitlines()[-1])["sha256"]


def test_the_next_session_opens_after_the_wash_out(tmp_path):
    study = make_study(tmp_path, subjects=2, questions=RATING, readers=["R1"], washout_days=14)
    assert [len(steps) for steps in study.sessions("R1")] == [2, 2]
    read_all(study, "R1", lambda _: RATED, most=2, clock=ticking([0]))
    with ReaderSession(study, "R1", clock=ticking([13.9])) as session:
        assert session.opens_at - ticking([0])() == timedelta(days=14)
        with pytest.raises(InputError, match="opens on 2026-01-15"):
            session.show()
    assert read_all(study, "R1", lambda _: RATED, clock=ticking([14.1])) == 4


def test_reading_time_and_overlay_time_are_kept_with_the_answer(a_study):
    now = [100.0]
    with ReaderSession(a_study, "R1", timer=lambda: now[0], profile={"role": "resident", "years": 3}) as session:
        session.show()
        for wait, visible in ((5, True), (2, False), (4, True), (1.5, True)):
            now[0] += wait
            session.set_overlay(visible)
        now[0] += 0.5
        session.answer(RATED, comment="grainy")
    records = a_study.records("R1")
    assert records[0]["profile"] == {"role": "resident", "years": 3}
    assert (records[-1]["seconds"], records[-1]["overlay_seconds"], records[-1]["comment"]) == (13.0, 4.0, "grainy")


@pytest.mark.parametrize(
    "question, answer",
    [
        ("real", {"choice": "fake", "confidence": 50}),
        ("real", {"choice": "real"}),
        ("real", {"choice": "real", "confidence": 101}),
        ("real", {"choice": "real", "confidence": float("nan")}),
        ("rating", {"quality": 6, "ease": 1, "trust": 1}),
        ("rating", {"quality": 2.5, "ease": 1, "trust": 1}),
        ("rating", {"quality": 2}),
        ("lesions", {}),
        ("lesions", {"marks": [{"ras": [1, 2], "region": "subcortical"}]}),
        ("lesions", {"marks": [{"ras": [1, 2, 3], "region": "elsewhere"}]}),
        ("lesions", {"counts": {"subcortical": -1}}),
        ("present", {"choice": True, "confidence": 1}),
        ("present", None),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_not_recorded(tmp_path, question, answer):
    study = make_study(tmp_path, subjects=1, questions={question: QUESTIONS[question]}, readers=["R1"])
    with ReaderSession(study, "R1") as session:
        session.show()
        with pytest.raises(InputError, match="Not recorded"):
            session.answer({question: answer})
        assert session.done == 0


def test_nothing_is_answered_unseen_unasked_or_in_part(a_study):
    with ReaderSession(a_study, "R1") as session:
        with pytest.raises(InputError, match="no case on the screen"):
            session.answer(RATED)
        session.show()
        for answers, sentence in (({}, "not answered yet"), ({**RATED, "x": 1}, "was not asked")):
            with pytest.raises(InputError, match=sentence):
                session.answer(answers)
        with pytest.raises(InputError, match="comment is longer"):
            session.answer(RATED, comment="x" * 2001)


@pytest.mark.parametrize("profile", [{"name": "A. Person"}, {"years": -1}, {"years": "ten"}])
def test_a_profile_holds_role_and_years_only(a_study, profile):
    with pytest.raises(InputError, match="profile"):
        ReaderSession(a_study, "R1", profile=profile)
    ReaderSession(a_study, "R1").close()


def test_a_reader_of_another_study_is_refused(a_study):
    with pytest.raises(InputError, match="no reader 'R9'"):
        ReaderSession(a_study, "R9")


def test_answers_that_skip_the_order_are_noticed(a_study):
    read_all(a_study, "R1", lambda _: RATED, most=1)
    with_another = a_study.sessions("R1")[0][3]
    path = a_study.answers_path("R1")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    chain = Chain(path)
    own = {"number", "previous", "time", "kind", "sha256"}
    for record in records:
        content = {name: value for name, value in record.items() if name not in own}
        chain.append(record["kind"], content | ({**with_another} if record["kind"] == "answer" else {}))
    chain.close()
    with pytest.raises(TamperedError, match="do not follow the order"):
        ReaderSession(a_study, "R1")


def test_counts_by_region_come_from_marks_or_numbers():
    question = completed({"paradigm": "lesions", "prompt": "", "regions": ["left", "right"]})
    marks = [{"ras": [0, 0, 0], "region": "left"}, {"ras": [1, 0, 0], "region": "left"}]
    assert region_counts(question, {"marks": marks}) == {"left": 2, "right": 0}
    assert region_counts(question, {"counts": {"right": 3}}) == {"left": 0, "right": 3}


def test_an_answer_is_on_the_disk_within_a_moment(a_study):
    with ReaderSession(a_study, "R1") as session:
        session.show()
        started = time.monotonic()
        session.answer(RATED)
        assert time.monotonic() - started < 5
        assert read_chain(a_study.answers_path("R1"))[0][-1]["kind"] == "answer"


def test_new_lesions_between_two_visits_with_an_overlay_on_a_fixed_scale(tmp_path):
    question = {"paradigm": "new-lesions", "prompt": "Mark new lesions.", "regions": ["left", "right"]}
    plan = write_plan(tmp_path / "source", subjects=2, questions={"new": question}, readers=["R1"])
    content = json.loads(plan.read_text())
    for case in content["cases"]:
        file = case["volumes"]["main"]
        case["volumes"] = {"baseline": file, "followup": file, "overlay": file}
    plan.write_text(json.dumps(content))
    with pytest.raises(InputError, match="give the plan 'overlay'"):
        create_study(plan, tmp_path / "study")
    plan.write_text(json.dumps(content | {"overlay": {"range": [0, 0.1], "unit": "standard deviation"}}))
    study = create_study(plan, tmp_path / "study")
    marks = {"new": {"marks": [{"ras": [1.0, 2.0, 3.0], "region": "left", "confidence": 70}]}}
    with ReaderSession(study, "R1") as session:
        presentation = session.show()
        assert {path.name for path in presentation.volumes[0].values()} == {
            "baseline.nii",
            "followup.nii",
            "overlay.nii",
        }
        session.answer(marks)
    while_kept = read_volume(study.volume_path(presentation.cases[0], "overlay")).voxels
    sources = [read_volume(path).voxels for path in (tmp_path / "source").glob("*.nii.gz")]
    assert any(np.array_equal(while_kept, source) for source in sources), "an overlay keeps its unit"
    read_all(study, "R1", lambda _: marks)
    study.lock()
    lines = analyze(study_rows(study, study.unblind()), study.questions)
    assert {entry["value"] for entry in lines if entry["of"].startswith("left, ") and "mean" in entry["statistic"]} == {
        1
    }


def test_a_case_can_be_loaded_before_its_time_starts(a_study):
    seconds = iter([100.0, 107.0, 107.0])
    with ReaderSession(a_study, "R1", timer=lambda: next(seconds)) as session:
        upcoming, records = session.upcoming(), len(a_study.records("R1"))
        assert session.upcoming() == upcoming and len(a_study.records("R1")) == records, "looking leaves no trace"
        assert session.show() == upcoming
        session.answer(RATED)
    (answer,) = (record for record in a_study.records("R1") if record["kind"] == "answer")
    assert answer["seconds"] == 7.0
