"""What may be answered under each paradigm, and with what a panel asks for it.

Paradigms of the literature that SynthMRI builds on: real or synthetic, two-alternative forced choice, lesion marking
and counting by region, presence, Likert ratings, new lesions between two visits, and preference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import InputError
from .schema import PAIR_PARADIGMS, POINT, REGIONS, Schema, problems

Question = dict[str, Any]

CONFIDENCE: Schema = {"type": "number", "minimum": 0, "maximum": 100}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 1000}
#: Roles of the volumes that a case needs; all other paradigms need "main".
NEEDED_ROLES = {"new-lesions": ("baseline", "followup")}


def completed(question: Question) -> Question:
    """The question with every default written out."""
    defaults: dict[str, dict[str, Any]] = {
        "real-or-synthetic": {"unsure": False},
        "two-alternative": {"target": "acquired"},
        "lesions": {"regions": list(REGIONS), "match_mm": 5.0},
        "new-lesions": {"regions": list(REGIONS), "match_mm": 5.0},
        "rating": {"items": ["quality", "ease", "trust"], "points": 5},
        "preference": {"none": True},
    }
    own = defaults.get(question["paradigm"], {})
    surplus = set(question) - {"paradigm", "prompt", *own}
    if surplus:
        raise InputError(f"A question of the paradigm {question['paradigm']} has no '{min(surplus)}'; remove it.")
    return {**own, **question}


def is_pair(question: Question) -> bool:
    return question["paradigm"] in PAIR_PARADIGMS


def roles_needed(question: Question) -> tuple[str, ...]:
    return NEEDED_ROLES.get(question["paradigm"], ("main",))


def answer_schema(question: Question) -> Schema:
    """JSON Schema of an answer to a completed question."""
    return _SCHEMAS[question["paradigm"]](question)


def check_answer(name: str, question: Question, answer: Any) -> None:
    """Raises InputError with a sentence when the answer does not fit the question."""
    for problem in problems(answer, answer_schema(question), f"the answer to '{name}'"):
        raise InputError(f"Not recorded: {problem}.")


def region_counts(question: Question, answer: dict[str, Any]) -> dict[str, int]:
    """Lesions by region, from marks where there are any, else from the numbers given."""
    if "marks" in answer:
        marked = [mark["region"] for mark in answer["marks"]]
        return {region: marked.count(region) for region in question["regions"]}
    return {region: int(answer["counts"].get(region, 0)) for region in question["regions"]}


def _choice(options: list[str], *, confident: bool = True) -> Schema:
    properties: dict[str, Schema] = {"choice": {"enum": options}}
    if confident:
        properties["confidence"] = CONFIDENCE
    return {"type": "object", "required": [*properties], "additionalProperties": False, "properties": properties}


def _real_or_synthetic(question: Question) -> Schema:
    return _choice(["real", "synthetic", *(["unsure"] if question["unsure"] else [])])


def _two_alternative(question: Question) -> Schema:  # noqa: ARG001
    return _choice(["left", "right"])


def _presence(question: Question) -> Schema:  # noqa: ARG001
    return _choice(["present", "absent"])


def _preference(question: Question) -> Schema:
    return _choice(["left", "right", *(["none"] if question["none"] else [])], confident=False)


def _rating(question: Question) -> Schema:
    score = {"type": "integer", "minimum": 1, "maximum": question["points"]}
    return {
        "type": "object",
        "required": question["items"],
        "additionalProperties": False,
        "properties": dict.fromkeys(question["items"], score),
    }


def _lesions(question: Question) -> Schema:
    mark = {
        "type": "object",
        "required": ["ras", "region"],
        "additionalProperties": False,
        "properties": {"ras": POINT, "region": {"enum": question["regions"]}, "confidence": CONFIDENCE},
    }
    counts = dict.fromkeys(question["regions"], COUNT)
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            "marks": {"type": "array", "items": mark},
            "counts": {"type": "object", "additionalProperties": False, "properties": counts},
        },
    }


_SCHEMAS: dict[str, Callable[[Question], Schema]] = {
    "real-or-synthetic": _real_or_synthetic,
    "two-alternative": _two_alternative,
    "presence": _presence,
    "preference": _preference,
    "rating": _rating,
    "lesions": _lesions,
    "new-lesions": _lesions,
}
