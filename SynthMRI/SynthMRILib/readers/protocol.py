"""Reading the JSON files of a study, each checked before anything relies on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import InputError
from .paradigms import completed, is_pair, roles_needed
from .schema import PLAN, PROTOCOL, require

#: Intensity that is shown black and white when volumes are brought to common levels.
LEVELS = (0.0, 1000.0)


def read_json(path: Path, what: str) -> dict[str, Any]:
    """An object of a JSON file. Raises InputError in words of what the file is."""
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"There is no {what} '{path.name}' at that place; check the path.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The {what} '{path.name}' is not JSON ({error}); correct it.") from None
    if not isinstance(value, dict):
        raise InputError(f"The {what} '{path.name}' is not a JSON object; correct it.")
    return value


def read_plan(path: Path) -> dict[str, Any]:
    """A plan with defaults written out, checked as a whole; paths of volumes are taken relative to the plan.

    Raises:
        InputError: the plan departs from its schema, or its parts do not fit together.
    """
    plan = read_json(path, "plan")
    require(plan, PLAN, "plan")
    plan = {"mode": "independent", "washout_days": 0, "repeat_fraction": 0, "intensity": "levels", **plan}
    plan["questions"] = {name: completed(question) for name, question in plan["questions"].items()}
    if plan["intensity"] == "keep" and "display" not in plan:
        raise InputError("The plan keeps intensities as they are, so it must give 'display': [black, white].")
    plan.setdefault("display", list(LEVELS))
    for low, high in (plan["display"], plan.get("overlay", {}).get("range", LEVELS)):
        if low >= high:
            raise InputError(f"A range must go from a smaller to a larger number, not from {low:g} to {high:g}.")
    for number, case in enumerate(plan["cases"], start=1):
        _check_case(case, number, plan)
        case["volumes"] = {role: path.parent / file for role, file in case["volumes"].items()}
    _check_arms(plan)
    return plan


def read_protocol(path: Path) -> dict[str, Any]:
    """A protocol, checked. Raises InputError."""
    protocol = read_json(path, "protocol")
    require(protocol, PROTOCOL, "protocol")
    for name, trial in protocol["trials"].items():
        unknown = [
            *(set(trial["cases"]) - set(protocol["cases"])),
            *(set(trial["questions"]) - set(protocol["questions"])),
        ]
        if unknown:
            raise InputError(f"The protocol is not valid: trial '{name}' names '{unknown[0]}', which it does not have.")
    return protocol


def _check_case(case: dict[str, Any], number: int, plan: dict[str, Any]) -> None:
    if case["arm"] not in plan["arms"]:
        raise InputError(f"Case {number} of the plan has the arm '{case['arm']}', which 'arms' does not list.")
    needed = {role for question in plan["questions"].values() for role in roles_needed(question)}
    missing = sorted(needed - set(case["volumes"]))
    if missing:
        raise InputError(f"Case {number} of the plan lacks the volume '{missing[0]}', which its questions need.")
    if "overlay" in case["volumes"] and "overlay" not in plan:
        raise InputError('Some cases have an overlay; give the plan \'overlay\': {"range": [low, high], "unit": ...}.')


def _check_arms(plan: dict[str, Any]) -> None:
    seen = set()
    for case in plan["cases"]:
        if (case["subject"], case["arm"]) in seen:
            raise InputError(f"The plan has subject '{case['subject']}' twice under the arm '{case['arm']}'.")
        seen.add((case["subject"], case["arm"]))
    kinds = {kind: sum(value == kind for value in plan["arms"].values()) for kind in ("acquired", "synthetic")}
    for name, question in plan["questions"].items():
        if question["paradigm"] in ("real-or-synthetic", "two-alternative") and not all(kinds.values()):
            raise InputError(f"The question '{name}' needs arms of both kinds, acquired and synthetic.")
        if is_pair(question) and len(seen) == len({subject for subject, _ in seen}):
            raise InputError(f"The question '{name}' compares two arms, but no subject has two.")
