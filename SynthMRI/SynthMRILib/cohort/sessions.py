"""Cases of tasks that combine several contrasts: the volumes of one session of a BIDS data set belong together.

A session has one case for each volume of the task's first contrast. The others are those with the same entities, or the
only ones of their contrast in the session; where several could be meant, the session is left out with the reason, and a
list can name what is meant. Volumes with a contrast agent (entity `ce`) are not taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..tasks.base import InputRole
from . import bids
from .cases import Case, Skipped
from .files import reason_if_synthetic, stem_of, volume_suffix, walk

#: BIDS suffix of a role; roles that are not here cannot be found in a data set.
SUFFIX_OF_ROLE = {"flair": "FLAIR", "t1": "T1w", "t2": "T2w", "pd": "PDw", "mask": "mask"}
#: Entities that do not have to agree within a case: they say how a volume was made, not which repetition it is.
IGNORED = ("acq", "desc", "rec", "res", "space", "label")


@dataclass(frozen=True)
class Candidate:
    """A volume of a session.

    Args:
        file: where it lies.
        suffix: its BIDS suffix.
        entities: key and value in the order of the name.
    """

    file: Path
    suffix: str
    entities: tuple[tuple[str, str], ...]

    @property
    def repetition(self) -> tuple[tuple[str, str], ...]:
        """The entities that volumes of one case share."""
        return tuple(entity for entity in self.entities if entity[0] not in IGNORED)

    def value(self, key: str) -> str:
        return dict(self.entities).get(key, "")


def session_cases(
    source: Path, roles: Sequence[InputRole], *, output: Path, output_suffix: str
) -> tuple[list[Case], list[Skipped]]:
    """Cases of all sessions.

    Args:
        source: a BIDS data set.
        roles: of the task; the first is the one whose grid and name the result has.
        output: folder that is never searched.
        output_suffix: BIDS suffix of what the task makes, e.g. "DIR".

    Raises:
        InputError: the task has a required role that a data set cannot hold.
    """
    unknown = [role.name for role in roles if role.required and role.name not in SUFFIX_OF_ROLE]
    if unknown or roles[0].name not in SUFFIX_OF_ROLE:
        names = ", ".join(role.name for role in roles)
        raise InputError(
            f"This task cannot find its inputs in a data set: list them in a CSV file with: case, {names}."
        )
    cases: list[Case] = []
    skipped: list[Skipped] = []
    for subject in sorted(path for path in source.glob("sub-*") if path.is_dir()):
        for folder, names in walk(subject, output):
            files = [folder / name for name in names if volume_suffix(name)]
            if folder.name == "anat":
                _add_session(source, files, roles, output_suffix, cases, skipped)
            else:
                skipped += [
                    Skipped(file.relative_to(source).as_posix(), f"not anatomical ({folder.name})") for file in files
                ]
    return cases, skipped


def _add_session(
    source: Path,
    files: list[Path],
    roles: Sequence[InputRole],
    output_suffix: str,
    cases: list[Case],
    skipped: list[Skipped],
) -> None:
    by_suffix: dict[str, list[Candidate]] = defaultdict(list)
    wanted = {SUFFIX_OF_ROLE[role.name] for role in roles if role.name in SUFFIX_OF_ROLE}
    for file in files:
        candidate = candidate_of(file)
        reason = reason_to_skip(file, candidate, wanted)
        if reason or candidate is None:
            skipped.append(Skipped(file.relative_to(source).as_posix(), reason))
        else:
            by_suffix[candidate.suffix].append(candidate)
    first = by_suffix[SUFFIX_OF_ROLE[roles[0].name]]
    if not first:
        left = [candidate.file for found in by_suffix.values() for candidate in found]
        reason = f"session without {SUFFIX_OF_ROLE[roles[0].name]}"
        skipped += [Skipped(file.relative_to(source).as_posix(), reason) for file in left]
    for candidate in first:
        inputs, reason = _inputs(candidate, first, roles, by_suffix)
        if reason:
            skipped.append(Skipped(candidate.file.relative_to(source).as_posix(), reason))
        else:
            cases.append(_case(source, candidate, inputs, output_suffix))


def candidate_of(file: Path) -> Candidate | None:
    """A volume by its name; None when that is not as BIDS asks."""
    *entities, suffix = stem_of(file.name).split("_")
    if not entities or not all(bids.ENTITY.fullmatch(entity) for entity in entities):
        return None
    parts = (entity.partition("-") for entity in entities)
    return Candidate(file, suffix, tuple((key, value) for key, _, value in parts))


def reason_to_skip(file: Path, candidate: Candidate | None, wanted: set[str]) -> str:
    """Why a volume of a session is left out, or ""."""
    if candidate is None:
        return "not named as BIDS asks"
    if candidate.suffix not in wanted:
        return f"contrast {candidate.suffix}, not {' or '.join(sorted(wanted))}"
    if candidate.suffix == "mask":
        return "" if candidate.value("desc") == "brain" else "no mask of the brain"
    if candidate.value("ce"):
        return "with contrast agent"
    if candidate.value("part") not in ("", "mag"):
        return f"{candidate.value('part')}, not magnitude"
    return reason_if_synthetic(file)


def _inputs(
    candidate: Candidate, first: list[Candidate], roles: Sequence[InputRole], by_suffix: dict[str, list[Candidate]]
) -> tuple[dict[str, Path], str]:
    """Files by role, and why there is no case ("" when there is one)."""
    inputs = {roles[0].name: candidate.file.resolve()}
    for role in roles[1:]:
        found = by_suffix.get(SUFFIX_OF_ROLE.get(role.name, ""), [])
        same = [other for other in found if other.repetition == candidate.repetition]
        chosen = same or (found if len(first) == 1 else [])
        if len(chosen) > 1:
            return {}, f"several {SUFFIX_OF_ROLE[role.name]} could go with it; name one in a list"
        if chosen:
            inputs[role.name] = chosen[0].file.resolve()
        elif role.required:
            return {}, f"session without {SUFFIX_OF_ROLE[role.name]}"
    needed = sum(role.required for role in roles)
    if len([name for name in inputs if name != "mask"]) < max(2, needed):
        others = " or ".join(SUFFIX_OF_ROLE[role.name] for role in roles[1:] if role.name not in ("mask",))
        return {}, f"nothing to combine it with ({others})"
    return inputs, ""


def _case(source: Path, candidate: Candidate, inputs: dict[str, Path], output_suffix: str) -> Case:
    """Named after the first volume; the output keeps its entities but `desc`."""
    entities = [f"{key}-{value}" for key, value in candidate.entities if key != "desc"]
    start = "_".join(entities)
    folder = candidate.file.parent.relative_to(source).as_posix()
    facts = bids.sidecar_facts(candidate.file)
    return Case(start, inputs, folder, start, f"_{output_suffix}", facts)
