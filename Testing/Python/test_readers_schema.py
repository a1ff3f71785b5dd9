"""The schema of a plan means the same to SynthMRI and to any JSON Schema validator, and is published."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest
from reader_support import make_study, write_plan
from SynthMRILib.readers.schema import PLAN, PROTOCOL, as_json_schema, problems

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def a_plan(tmp_path_factory):
    return json.loads(write_plan(tmp_path_factory.mktemp("plan"), subjects=1).read_text())


def test_the_published_schema_is_the_one_in_use_and_is_sound():
    published = json.loads((ROOT / "Documentation" / "reader_study_plan.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(published)
    assert {name: published[name] for name in as_json_schema(PLAN)} == as_json_schema(PLAN)


@pytest.mark.parametrize(
    "change",
    [
        dict,
        lambda plan: plan.pop("cases"),
        lambda plan: plan.update(cases=[]),
        lambda plan: plan.update(arms={}),
        lambda plan: plan.update(arms={"a b": "acquired"}),
        lambda plan: plan.update(seed=-1),
        lambda plan: plan.update(seed="1"),
        lambda plan: plan.update(display=[1]),
        lambda plan: plan.update(title="x" * 501),
        lambda plan: plan.update(washout_days=True),
        lambda plan: plan.update(readers=["R1", "R1"]),
        lambda plan: plan["cases"][0].update(truth={"lesions": [[1, 2]]}),
        lambda plan: plan["cases"][0]["volumes"].update(other="x.nii"),
        lambda plan: plan["questions"]["lesions"].update(match_mm=0),
        lambda plan: plan["questions"]["rating"].update(points=2.5),
    ],
)
def test_both_validators_agree(a_plan, change):
    plan = copy.deepcopy(a_plan)
    change(plan)
    is_valid = jsonschema.Draft202012Validator(as_json_schema(PLAN)).is_valid(plan)
    assert (problems(plan, PLAN, "") == []) == is_valid == (plan == a_plan)


def test_a_protocol_that_the_program_wrote_is_valid(tmp_path):
    study = make_study(tmp_path, subjects=2)
    jsonschema.Draft202012Validator(as_json_schema(PROTOCOL)).validate(study.protocol)
