"""Splits by subject, kept in a JSON file: every volume of a subject is on the same side.

The order of subjects is that of a hash of seed and label, so that it depends on nothing else: a split is the same on
every machine, and subjects that join later move few of the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..cohort.files import write_json
from ..errors import InputError

FORMAT = 1
PARTS = ("train", "validate", "test")


@dataclass(frozen=True)
class Split:
    """Which subject is for what.

    Args:
        train, validate, test: labels of subjects, sorted; no subject is in two of them. SynthMRI never reads volumes
            of the test part for training.
        seed: the seed that made it; None for a split written by hand.
    """

    train: tuple[str, ...]
    validate: tuple[str, ...]
    test: tuple[str, ...] = ()
    seed: int | None = None

    def __post_init__(self) -> None:
        labels = [*self.train, *self.validate, *self.test]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise InputError(f"The split names the subject '{twice[0]}' more than once; leave it in one part only.")

    def part_of(self, subject: str) -> str:
        """The part a subject is in, or ""."""
        return next((part for part in PARTS if subject in getattr(self, part)), "")


def make_split(subjects: Iterable[str], *, held_out: float = 0.2, seed: int = 0) -> Split:
    """Hold out a share of the subjects for validation, at least one.

    Args:
        subjects: labels, in any order.
        held_out: share of the subjects that validate, between 0 and 1.
        seed: another seed holds out others.

    Raises:
        InputError: there are fewer than two subjects, or the share leaves none to train on.
    """
    labels = sorted(set(subjects))
    if not 0 < held_out < 1:
        raise InputError(f"The share of subjects held out must lie between 0 and 1, not {held_out:g}.")
    number = max(1, round(held_out * len(labels)))
    if number >= len(labels):
        raise InputError(f"A split needs subjects on both sides, but there are only {len(labels)}; add subjects.")
    ranked = sorted(labels, key=lambda label: hashlib.sha256(f"{seed}:{label}".encode()).hexdigest())
    return Split(tuple(sorted(ranked[number:])), tuple(sorted(ranked[:number])), seed=seed)


def split_at(path: Path, subjects: Iterable[str], *, held_out: float = 0.2, seed: int = 0) -> Split:
    """The split in the file `path`, or a new one that is written there. An existing file is never changed."""
    if path.exists():
        return read_split(path)
    split = make_split(subjects, held_out=held_out, seed=seed)
    write_split(path, split)
    return split


def read_split(path: Path) -> Split:
    """Raises InputError when the file is missing or no split."""
    try:
        contents = json.loads(path.read_text(encoding="utf-8"))
        parts = {part: contents.get(part, []) for part in PARTS}
        if not all(isinstance(labels, list) and all(isinstance(x, str) for x in labels) for labels in parts.values()):
            raise ValueError
    except FileNotFoundError:
        raise InputError(f"There is no split '{path.name}'; check its name.") from None
    except (ValueError, AttributeError):
        message = f"'{path.name}' is no split: it needs lists of subjects under 'train' and 'validate'."
        raise InputError(message) from None
    return Split(**{part: tuple(sorted(labels)) for part, labels in parts.items()}, seed=contents.get("seed"))


def write_split(path: Path, split: Split) -> None:
    """Write a split as JSON."""
    write_json(path, {"format": FORMAT, **asdict(split)})
