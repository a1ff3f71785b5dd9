"""What a plan (written by a person) and a protocol (written by the program) of a reader study must look like.

The schemas are JSON Schema, of which `problems` understands what they use, so that no package has to be installed.
"""

from __future__ import annotations

import re
from typing import Any

from ..errors import InputError

SINGLE_PARADIGMS = ("real-or-synthetic", "lesions", "presence", "rating", "new-lesions")
PAIR_PARADIGMS = ("two-alternative", "preference")
REGIONS = ("juxtacortical", "periventricular", "infratentorial", "subcortical")
ROLES = ("main", "baseline", "followup", "difference", "overlay", "regions")
FORMAT = "synthmri-reader-study"
VERSION = 1

Schema = dict[str, Any]

NAME: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"}
TEXT: Schema = {"type": "string", "maxLength": 500}
RANGE: Schema = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
POINT: Schema = {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}

QUESTION: Schema = {
    "type": "object",
    "required": ["paradigm", "prompt"],
    "additionalProperties": False,
    "properties": {
        "paradigm": {"enum": [*SINGLE_PARADIGMS, *PAIR_PARADIGMS]},
        "prompt": TEXT,
        "unsure": {"type": "boolean"},
        "target": {"enum": ["acquired", "synthetic"]},
        "regions": {"type": "array", "items": NAME, "minItems": 1, "uniqueItems": True},
        "match_mm": {"type": "number", "exclusiveMinimum": 0},
        "items": {"type": "array", "items": NAME, "minItems": 1, "uniqueItems": True},
        "points": {"type": "integer", "minimum": 2, "maximum": 11},
        "none": {"type": "boolean"},
    },
}
TRUTH: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"present": {"type": "boolean"}, "lesions": {"type": "array", "items": POINT}},
}
COMMON: dict[str, Schema] = {
    "id": NAME,
    "title": TEXT,
    "mode": {"enum": ["independent", "consensus"]},
    "washout_days": {"type": "number", "minimum": 0, "maximum": 3650},
    "questions": {"type": "object", "names": NAME, "values": QUESTION, "minProperties": 1},
    "overlay": {
        "type": "object",
        "required": ["range", "unit"],
        "additionalProperties": False,
        "properties": {"range": RANGE, "unit": TEXT},
    },
}
PLAN: Schema = {
    "type": "object",
    "required": ["id", "title", "seed", "readers", "arms", "questions", "cases"],
    "additionalProperties": False,
    "properties": {
        **COMMON,
        "seed": {"type": "integer", "minimum": 0},
        "repeat_fraction": {"type": "number", "minimum": 0, "maximum": 0.5},
        "readers": {"type": "array", "items": NAME, "minItems": 1, "uniqueItems": True},
        "intensity": {"enum": ["levels", "keep"]},
        "display": RANGE,
        "arms": {"type": "object", "names": NAME, "values": {"enum": ["acquired", "synthetic"]}, "minProperties": 1},
        "cases": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["subject", "arm", "volumes"],
                "additionalProperties": False,
                "properties": {
                    "subject": NAME,
                    "arm": NAME,
                    "volumes": {"type": "object", "names": {"enum": list(ROLES)}, "values": {"type": "string"}},
                    "truth": TRUTH,
                },
            },
        },
    },
}
FILE: Schema = {
    "type": "object",
    "required": ["file", "sha256"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "pattern": r"^cases/[0-9a-f]{8}/[a-z]+\.nii$"},
        "sha256": SHA256,
    },
}
PROTOCOL: Schema = {
    "type": "object",
    "required": [
        "format",
        "version",
        "id",
        "title",
        "questions",
        "cases",
        "trials",
        "readers",
        "display",
        "key_sha256",
    ],
    "additionalProperties": False,
    "properties": {
        **COMMON,
        "format": {"enum": [FORMAT]},
        "version": {"enum": [VERSION]},
        "display": RANGE,
        "readers": {"type": "object", "names": NAME, "values": SHA256, "minProperties": 1},
        "key_sha256": SHA256,
        "cases": {
            "type": "object",
            "minProperties": 1,
            "values": {"type": "object", "names": {"enum": list(ROLES)}, "values": FILE, "minProperties": 1},
        },
        "trials": {
            "type": "object",
            "minProperties": 1,
            "values": {
                "type": "object",
                "required": ["cases", "questions"],
                "additionalProperties": False,
                "properties": {
                    "cases": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
                    "questions": {"type": "array", "items": NAME, "minItems": 1},
                },
            },
        },
    },
}


def as_json_schema(schema: Schema) -> Schema:
    """The schema in the words of JSON Schema 2020-12, for other programs."""
    renamed = {"names": "propertyNames"}
    out: Schema = {}
    for word, value in schema.items():
        if word == "values":
            out["additionalProperties"] = as_json_schema(value)
        elif word in ("names", "items"):
            out[renamed.get(word, word)] = as_json_schema(value)
        elif word == "properties":
            out[word] = {name: as_json_schema(part) for name, part in value.items()}
        else:
            out[word] = value
    return out


def require(value: Any, schema: Schema, what: str) -> None:
    """Raises InputError with the first thing in which `value` departs from the schema."""
    for problem in problems(value, schema, ""):
        raise InputError(f"The {what} is not valid: {problem}.")


def problems(value: Any, schema: Schema, place: str) -> list[str]:
    """One clause for everything wrong; `place` is where the value stands ("" at the top)."""
    here = place or "it"
    if "enum" in schema:
        options = ", ".join(map(str, schema["enum"]))
        return [] if value in schema["enum"] else [f"{here} must be one of {options}, not {_short(value)}"]
    kind = schema.get("type", "object")
    if not _is(value, kind):
        return [f"{here} must be {KINDS[kind]}, not {_short(value)}"]
    return {"object": _of_object, "array": _of_array, "string": _of_string}.get(kind, _of_number)(value, schema, place)


KINDS = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
}


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    types = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool}
    return isinstance(value, types[kind])


def _of_object(value: dict[str, Any], schema: Schema, place: str) -> list[str]:
    here, prefix = place or "it", f"{place}." if place else ""
    found = [f"{here} lacks '{name}'" for name in schema.get("required", ()) if name not in value]
    known = schema.get("properties", {})
    if len(value) < schema.get("minProperties", 0):
        found.append(f"{here} is empty")
    for name, part in value.items():
        if "names" in schema:
            found += problems(name, schema["names"], f"the name '{name}' in {here}")
        if name in known or "values" in schema:
            found += problems(part, known.get(name, schema.get("values")), f"{prefix}{name}")
        elif schema.get("additionalProperties") is False:
            found.append(f"{here} has an unknown entry '{name}' (known: {', '.join(known)})")
    return found


def _of_array(value: list[Any], schema: Schema, place: str) -> list[str]:
    low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
    if not low <= len(value) <= high:
        return [f"{place} must have {low if low == high else f'{low} or more'} entries, not {len(value)}"]
    if schema.get("uniqueItems") and len(set(map(str, value))) < len(value):
        return [f"{place} holds the same entry twice"]
    return [p for n, item in enumerate(value) for p in problems(item, schema.get("items", {}), f"{place}[{n}]")]


def _of_string(value: str, schema: Schema, place: str) -> list[str]:
    if "pattern" in schema and not re.fullmatch(schema["pattern"].strip("^$"), value):
        return [f"{place} may not be {_short(value)} (letters, digits, '_', '-' and '.' only)"]
    if len(value) > schema.get("maxLength", len(value)):
        return [f"{place} is longer than {schema['maxLength']} characters"]
    return []


def _of_number(value: float, schema: Schema, place: str) -> list[str]:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return [f"{place} must be finite"]
    if value < schema.get("minimum", value) or value <= schema.get("exclusiveMinimum", value - 1):
        return [f"{place} is too small ({value})"]
    if value > schema.get("maximum", value):
        return [f"{place} is too large ({value})"]
    return []


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
