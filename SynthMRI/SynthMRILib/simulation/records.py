"""Records: what was drawn for a sample, in plain JSON types, so that any sample can be made again from its record.

Randomness is drawn once into a record (`draw(rng)`); applying a record (`apply(record, ...)`) has no randomness of its
own. Where a whole field is random, the record holds the seed of that field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..errors import InputError


def sample_generator(seed: int, index: int = 0) -> np.random.Generator:
    """The generator of sample `index` of a run: depends on nothing else, so any number of workers gives the same.

    Raises InputError for a negative seed.
    """
    if seed < 0:
        raise InputError(f"The seed must not be negative, as {seed} is.")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))


def draw_seed(rng: np.random.Generator) -> int:
    """A seed for a field, small enough for every JSON reader."""
    return int(rng.integers(2**31))


@dataclass(frozen=True)
class Record:
    """Base of all records: a frozen dataclass of JSON types, other records, and tuples or dictionaries of these."""

    kind: ClassVar[str] = "record"
    _kinds: ClassVar[dict[str, type[Record]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.kind in Record._kinds:
            raise TypeError(f"two records are called {cls.kind!r}")
        Record._kinds[cls.kind] = cls

    def as_dict(self) -> dict[str, Any]:
        """JSON types only; "kind" names the class."""
        values = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        return {"kind": self.kind, **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The record that `as_dict` described. Raises InputError when it is not one of this class."""
        record = _from_plain(dict(values))
        if not isinstance(record, cls):
            raise InputError(f"This is not a {cls.kind} record of a simulation; give the record.json of one.")
        return record


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.as_dict()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.integer, np.floating, np.bool_)):
        return value.item()
    if is_dataclass(value):
        raise TypeError(f"{type(value).__name__} is not a Record")
    return value


def _from_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        items = {key: _from_plain(item) for key, item in value.items() if key != "kind"}
        return _build(value["kind"], items) if "kind" in value else items
    if isinstance(value, list):
        return tuple(_from_plain(item) for item in value)
    return value


def _build(kind: str, items: dict[str, Any]) -> Record:
    if kind not in Record._kinds:
        raise InputError(f"Unknown simulation record '{kind}'; it was written by another version.")
    known = Record._kinds[kind]
    if set(items) - {f.name for f in fields(known)}:
        raise InputError(f"The simulation record '{kind}' holds fields of another version; simulate anew.")
    return known(**items)
