"""What Slicer's Python layer offers: classes, members and their signatures, read from manifest.json.gz.

A member is found the way PythonQt finds it: a property of the class or of any base wins over a method of the same
name; then come signals, slots, invokable and other wrapped methods; then enum values. Plain public C++ methods of CTK
and Slicer classes ("cpp_only") are known, but cannot be reached from Python.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

METHOD_KEYS = ("slots", "invokables", "decorators", "methods", "static")
_SIGNATURE = re.compile(r"(?:(?P<returns>.*?)\s*)?\b(?P<name>\w+)\((?P<arguments>.*)\)$", re.DOTALL)
_OWNERSHIP = re.compile(r"\bPythonQt\w+<(.*)>$")


@dataclass(frozen=True)
class Signature:
    """One overload: the types of its arguments and how many of them are required."""

    name: str
    types: tuple[str, ...]
    required: int
    returns: str = ""

    def accepts(self, count: int) -> bool:
        """Whether a call with `count` arguments fits."""
        return self.required <= count <= len(self.types)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.types)})"


@dataclass
class Member:
    """One name of a class: kind is property, signal, method, static, enum or enum value; None fields do not apply."""

    kind: str
    name: str
    owner: str
    signatures: list[Signature] = field(default_factory=list)
    type: str = ""
    writable: bool = False
    keys: tuple[str, ...] = ()


@cache
def load() -> dict[str, Any]:
    """The manifest as stored beside this file."""
    with gzip.open(Path(__file__).with_name("manifest.json.gz"), "rt", encoding="utf-8") as stream:
        return json.load(stream)


def classes() -> dict[str, dict]:
    """Every described class by name."""
    return load()["classes"]


@cache
def lineage(class_name: str) -> tuple[str, ...]:
    """The class and all its described bases, nearest first, each once."""
    names = [class_name]
    for base in classes().get(class_name, {}).get("bases", ()):
        names += [name for name in lineage(base) if name not in names]
    return tuple(name for name in names if name in classes())


def normalized_type(text: str) -> str:
    """A C++ argument type without const, reference, ownership marks and spaces before the star."""
    text = text.strip()
    while match := _OWNERSHIP.match(text):
        text = match.group(1)
    text = re.sub(r"\bconst\b", "", text).replace("&", "")
    return re.sub(r"\s*\*", "*", text).strip()


def split_arguments(text: str) -> list[str]:
    """Split an argument list at its top-level commas."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character in "<(") - (character in ">)")
        if character == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


@cache
def parse_signature(text: str, *, named_arguments: bool = True) -> Signature:
    """Read 'ReturnType name(type argument, type argument=)', or 'name(type,type)' without argument names."""
    match = _SIGNATURE.match(text.strip())
    if match is None:
        raise ValueError(f"Cannot read the signature '{text}'.")
    types, required = [], 0
    for argument in split_arguments(match["arguments"]):
        optional = argument.endswith("=")
        words = argument.rstrip("=").strip()
        if named_arguments and " " in words and not words.endswith(("*", "&", ">")):
            words = words.rsplit(" ", 1)[0]
        types.append(normalized_type(words))
        required += not optional
    return Signature(match["name"], tuple(types), required, normalized_type(match["returns"] or ""))


def _own_members(class_name: str) -> list[Member]:
    """The members that one class adds, bases left aside."""
    description = classes()[class_name]
    found = []
    for name, (type_name, writable, *version) in description.get("properties", {}).items():
        if not version and not (class_name == "QTimer" and name == "singleShot"):
            found.append(Member("property", name, class_name, type=type_name, writable=writable))
    for text in description.get("signals", ()):
        signature = parse_signature(text, named_arguments=False)
        found.append(Member("signal", signature.name, class_name, [signature]))
    for key in METHOD_KEYS:
        for text in description.get(key, ()):
            signature = parse_signature(text)
            found.append(Member("static" if key == "static" else "method", signature.name, class_name, [signature]))
    for text in description.get("slot_signatures", ()):
        signature = parse_signature(text, named_arguments=False)
        found.append(Member("method", signature.name, class_name, [signature]))
    for name, keys in description.get("enums", {}).items():
        found.append(Member("enum", name, class_name, keys=tuple(keys)))
        found += [Member("enum value", key, class_name, type=name) for key in keys]
    return found


_RANK = {"property": 0, "signal": 1, "method": 2, "static": 2, "enum": 3, "enum value": 3}


@cache
def members(class_name: str) -> dict[str, Member]:
    """All members of a class and its bases by name, one kind each."""
    found: dict[str, Member] = {}
    for name in lineage(class_name):
        for member in _own_members(name):
            known = found.get(member.name)
            if known is None or _RANK[member.kind] < _RANK[known.kind]:
                found[member.name] = member
            elif _RANK[known.kind] == _RANK[member.kind]:
                seen = {signature.types for signature in known.signatures}
                known.signatures += [s for s in member.signatures if s.types not in seen]
                known.writable = known.writable or member.writable
    if "objectName" in found:
        found.setdefault("name", found["objectName"])
    return found


def signals(class_name: str) -> dict[str, Signature]:
    """All signals of a class and its bases: normalized signature -> what it passes."""
    found = {}
    for name in lineage(class_name):
        for text in classes()[name].get("signals", ()):
            found[text] = parse_signature(text, named_arguments=False)
    return found


def slots(class_name: str) -> dict[str, Signature]:
    """All public slots of a class and its bases: normalized signature -> what it takes."""
    found = {}
    for name in lineage(class_name):
        for text in classes()[name].get("slot_signatures", ()):
            found[text] = parse_signature(text, named_arguments=False)
    return found


def why_absent(class_name: str, name: str) -> str:
    """A sentence that says why Python cannot reach `name`, with the nearest existing names."""
    import difflib

    for owner in lineage(class_name):
        description = classes()[owner]
        if name in description.get("cpp_only", ()) or name in description.get("cpp_only_enums", ()):
            return (
                f"'{class_name}.{name}' is C++ only: Slicer's Python cannot call it. Use a property or a slot instead."
            )
        version = (description.get("properties", {}).get(name) or ["", False])[2:]
        for qt in ("5", "6"):
            listed = [text.split("(")[0] for text in description.get(f"signals_qt{qt}_only", ())]
            listed += [text.split("(")[0] for text in description.get(f"slot_signatures_qt{qt}_only", ())]
            if qt in version or name in listed:
                return f"'{class_name}.{name}' exists in Qt {qt} only: it fails when Slicer is built with the other Qt."
    near = difflib.get_close_matches(name, members(class_name), n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"Slicer's '{class_name}' has no '{name}' that Python can reach.{hint}"
