"""Subtraction of two visits, of FLAIR and, where a synthetic DIR can be made of each visit, of that beside it.

After the reader study of Schlaeger et al. 2023, where subtraction of synthetic DIR showed readers more new lesions than
subtraction of FLAIR. What is found here are candidates for a reader, not findings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from .. import INTENDED_USE
from ..bundles import Bundle
from ..dir_synthesis.brain import RULE
from ..dir_synthesis.preprocessing import brain_mask, is_stripped
from ..findings import Finding, raise_on_error
from ..input_checks import check_volume
from ..progress import Progress, no_progress, part_of
from ..volume import Volume
from .changes import Candidate, ChangeRule, Changes, find_changes
from .halfway import HalfwaySpace, halfway_space

Visit = Mapping[str, Volume]
#: What a synthetic DIR may be made from beside FLAIR.
FURTHER_CONTRASTS = ("t1", "t2")
NO_DIR = "none"
#: Thinner slices than this need no tolerance for where they lie [mm].
ISOTROPIC_MM = 1.5


@dataclass(frozen=True, eq=False)
class Subtraction:
    """Result of a comparison, in the halfway space.

    Args:
        space: where both visits meet.
        changes: by what was subtracted: "flair" and, where there is one, "dir".
        brain: where both visits have data.
        facts: what decided the result, JSON types.
    """

    space: HalfwaySpace
    changes: dict[str, Changes]
    brain: np.ndarray
    facts: dict[str, Any]

    def volumes(self) -> dict[str, Volume]:
        """Everything to look at, by name."""
        found = {}
        for source, changes in self.changes.items():
            maps = {"visit1": changes.before, "visit2": changes.after, "difference": changes.difference, "z": changes.z}
            found |= {f"{source}_{name}": Volume(voxels, self.space.grid) for name, voxels in maps.items()}
            found[f"{source}_candidates"] = Volume(changes.labels.astype(np.float32), self.space.grid)
        return found

    def table(self) -> list[dict[str, Any]]:
        """One row a candidate; "also_in" names the other subtraction where it overlaps a candidate of the same sign."""
        rows = []
        for source, changes in self.changes.items():
            for number, candidate in enumerate(changes.candidates, start=1):
                also = self._also_in(source, changes.labels == number, candidate)
                rows.append({"source": source, **candidate.as_row(number), "also_in": also})
        return rows

    def _also_in(self, source: str, part: np.ndarray, candidate: Candidate) -> str:
        near = ndimage.binary_dilation(part, iterations=2)
        for name, other in self.changes.items():
            hits = [other.candidates[n - 1] for n in np.unique(other.labels[near]) if n > 0]
            if name != source and any((hit.mean_z > 0) == (candidate.mean_z > 0) for hit in hits):
                return name
        return ""


def subtract(
    first: Visit,
    second: Visit,
    *,
    bundle: Bundle | None = None,
    method: str = "auto",
    registered: bool = False,
    rule: ChangeRule | None = None,
    progress: Progress = no_progress,
) -> Subtraction:
    """Compare two visits.

    Args:
        first, second: "flair" and any of "t1", "t2" and "mask" (brain), each in its own geometry.
        bundle, method: of the synthetic DIR, see `tasks.synthetic_dir`; a DIR is made when both visits have the same
            further contrasts, and left out when there are none.
        registered: the FLAIR volumes of both visits are aligned already.

    Raises:
        InputError: FLAIR is missing, a volume is none to compare, no brain is found, or the visits do not register.
    """
    raise_on_error(check_visits(first, second, bundle=bundle, method=method))
    rule = rule or ChangeRule()
    brains = [visit_brain(visit) for visit in (first, second)]
    progress(0.1, "Registering the visits")
    masks = [brain.voxels > 0.5 for brain in brains]
    space = halfway_space(first["flair"], second["flair"], *masks, registered=registered)
    pairs = {"flair": (first["flair"], second["flair"])}
    dirs = synthetic_dirs((first, second), brains, bundle, method, part_of(progress, 0.3, 0.8))
    if dirs:
        pairs["dir"] = tuple(volume for volume, _ in dirs)
    brain = common_brain(space, brains, (first, second))
    reach_mm = half_slice(first["flair"], second["flair"])
    changes = {}
    for source, pair in pairs.items():
        progress(0.85, f"Comparing {source.upper()}")
        moved = [np.maximum(space.bring(volume, n).voxels, 0) for n, volume in enumerate(pair)]
        changes[source] = find_changes(*moved, brain, space.grid, rule, reach_mm=reach_mm)
    facts = {
        "intended_use": INTENDED_USE,
        "registration": space.facts,
        "brain": ["rough" if "mask" not in v and not is_stripped(v["flair"]) else "given" for v in (first, second)],
        "rough_brain_rule": RULE,
        "rule": {**rule.as_dict(), "reach_mm": round(reach_mm, 2)},
        "dir": [provenance for _, provenance in dirs],
        "spacing_mm": [round(s, 4) for s in space.grid.spacing],
    }
    progress(1.0, "Done")
    return Subtraction(space, changes, brain, facts)


def check_visits(first: Visit, second: Visit, *, bundle: Bundle | None = None, method: str = "auto") -> list[Finding]:
    """What keeps the visits from being compared, or what their owner should know; see `subtract`."""
    from ..tasks.synthetic_dir import METHODS

    findings = []
    if method not in (*METHODS, NO_DIR):
        known = ", ".join((*METHODS, NO_DIR))
        findings.append(Finding("error", "method", f"Unknown method '{method}'. Choose one of: {known}."))
    for visit, name in ((first, "first"), (second, "second")):
        if "flair" not in visit:
            text = f"The {name} visit has no FLAIR volume; give one for each visit."
            findings.append(Finding("error", "visit-flair", text))
        for role in ("flair", *FURTHER_CONTRASTS):
            found = check_volume(visit[role]) if role in visit else []
            which = f"{role.upper()} of the {name} visit"
            findings += [Finding(f.severity, f.code, f"{which}: {f.message}") for f in found]
    if bundle is not None and (method == NO_DIR or not shared_contrasts(first, second)):
        text = (
            f"The bundle '{bundle.name}' has nothing to make a synthetic DIR from. Give T1w or T2w of both visits "
            f"and a method other than {NO_DIR}, or leave the bundle out."
        )
        findings.append(Finding("error", "bundle-unused", text))
    return findings


def shared_contrasts(first: Visit, second: Visit) -> list[str]:
    """What both visits have beside FLAIR."""
    return [name for name in FURTHER_CONTRASTS if name in first and name in second]


def half_slice(*volumes: Volume) -> float:
    """Half of the thickest slice of some volumes [mm]; zero for voxels of about 1 mm."""
    thickest = max(max(volume.grid.spacing) for volume in volumes)
    return thickest / 2 if thickest > ISOTROPIC_MM else 0.0


def visit_brain(visit: Visit) -> Volume:
    """Brain of a visit on the grid of its FLAIR: the given mask, what stripping left, or a rough mask of the head."""
    flair = visit["flair"]
    brain, _ = brain_mask(flair, visit.get("mask"))
    return flair.with_voxels(brain.astype(np.float32))


def common_brain(space: HalfwaySpace, brains: list[Volume], visits: tuple[Visit, Visit]) -> np.ndarray:
    """Brain of both visits in the halfway space, where both FLAIR volumes have data."""
    inside = [space.bring(brain, n, linear=True).voxels > 0.5 for n, brain in enumerate(brains)]
    return np.logical_and.reduce([*inside, *(space.reaches(visit["flair"], n) for n, visit in enumerate(visits))])


def synthetic_dirs(
    visits: tuple[Visit, Visit], brains: list[Volume], bundle: Bundle | None, method: str, progress: Progress
) -> list[tuple[Volume, dict[str, Any]]]:
    """DIR of both visits on the grid of their FLAIR, made from the same contrasts; none when FLAIR is all there is."""
    from ..tasks import get_task

    shared = shared_contrasts(*visits)
    if not shared or method == NO_DIR:
        return []
    task = get_task("synthetic-dir")
    parameters = task.parameters_class(method=method)
    found = []
    for n, (visit, brain) in enumerate(zip(visits, brains)):
        inputs = {"mask": brain, **{name: visit[name] for name in ("flair", *shared)}}
        result = task.run(inputs, bundle, parameters, part_of(progress, n / 2, (n + 1) / 2))
        found.append((result.outputs["output"], result.provenance))
    return found
