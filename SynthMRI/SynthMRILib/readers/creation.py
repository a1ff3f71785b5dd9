"""Turning a plan into a study: codes, common intensities, clean files, orders, and the key kept apart.

All volumes are written the same way (float32, uncompressed NIfTI with geometry only, in the order of their random
codes), so that neither name, header, size nor date of a file tells an arm. What the contents tell is judged by
`blinding.py`.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tempfile
from collections import defaultdict
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..findings import raise_on_error
from ..input_checks import check_intensities
from ..progress import Progress, no_progress
from ..provenance import volume_sha256
from ..volume import Volume
from ..volume_io import read_volume, write_volume
from .chain import digest_of
from .ordering import Trial, order_for
from .paradigms import is_pair
from .protocol import LEVELS, read_plan
from .schema import FORMAT, PROTOCOL, VERSION, require
from .study import Study, default_key_path, file_sha256, write_json

#: Percentile of the non-zero voxels that becomes the upper level.
WHITE_PERCENTILE = 99.9
#: Roles whose values mean something and are never rescaled.
KEPT_ROLES = ("overlay", "regions", "difference")


def create_study(
    plan_path: Path, folder: Path, *, key_path: Path | None = None, progress: Progress = no_progress
) -> Study:
    """Make a study folder and its key; both appear complete or not at all.

    Args:
        plan_path: JSON file, see Documentation/reader_studies.md.
        folder: the study to make; must not exist.
        key_path: where the key goes; beside the folder by default, never inside.
        progress: told after every volume.

    Raises:
        InputError: the plan, a volume of it or a place cannot be used, or the plan's texts name a subject.
    """
    plan = read_plan(plan_path)
    folder = folder.resolve()
    key_path = (key_path or default_key_path(folder)).resolve()
    _check_places(folder, key_path)
    _check_texts(plan)
    codes = _codes(len(plan["cases"]))
    staging = Path(tempfile.mkdtemp(prefix=".synthmri-", dir=folder.parent))
    try:
        files, sources = _write_cases(plan, codes, staging, progress)
        trials, asked = _trials(plan, codes)
        key = _key(plan, codes, sources)
        _write_study(staging, plan, files, trials, asked, key)
        staging.chmod(0o755)
        write_json(key_path, key)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Study(folder)


def _check_places(folder: Path, key_path: Path) -> None:
    for path in (folder, key_path):
        if path.exists():
            raise InputError(f"'{path.name}' exists already; choose another name.")
        if path.parent != folder and not path.parent.is_dir():
            raise InputError(f"The folder of '{path.name}' does not exist; make it first.")
    if folder in key_path.parents:
        raise InputError("The key may not lie in the study's folder, which readers open; choose another place.")


def _check_texts(plan: dict[str, Any]) -> None:
    """Readers see title, prompts and their own names: none may hold what tells a subject."""
    questions = [json.dumps(question) for question in plan["questions"].values()]
    shown = " ".join([plan["id"], plan["title"], *plan["readers"], *questions])
    for subject in {case["subject"] for case in plan["cases"]}:
        if len(subject) > 2 and re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", shown):
            raise InputError(
                f"The texts of the plan name the subject '{subject}'; readers would see it, so reword them."
            )


def _codes(count: int) -> list[str]:
    codes: set[str] = set()
    while len(codes) < count:
        codes.add(secrets.token_hex(4))
    shuffled = sorted(codes)
    secrets.SystemRandom().shuffle(shuffled)
    return shuffled


def _write_cases(
    plan: dict[str, Any], codes: list[str], staging: Path, progress: Progress
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    files: dict[str, dict[str, Any]] = {}
    sources: dict[str, dict[str, Any]] = {}
    for done, (code, case) in enumerate(sorted(zip(codes, plan["cases"]), key=lambda pair: pair[0])):
        (staging / "cases" / code).mkdir(parents=True)
        files[code], sources[code] = {}, {}
        for role, source in case["volumes"].items():
            progress(done / len(codes), f"Case {done + 1} of {len(codes)}")
            name = f"cases/{code}/{role}.nii"
            volume = _read(source, role)
            if role == "main" and plan["arms"][case["arm"]] == "acquired" and volume.header.get("Synthetic"):
                raise InputError(
                    f"A volume of the arm '{case['arm']}' is marked as synthetic, but the plan says that this arm is "
                    "acquired. Correct the plan."
                )
            sources[code][role] = {"sha256": volume_sha256(volume), "provenance": _provenance(source)}
            is_scaled = plan["intensity"] == "levels" and role not in KEPT_ROLES
            bare = Volume(to_levels(volume.voxels) if is_scaled else volume.voxels, volume.grid)
            write_volume(bare, staging / name, synthetic=False)
            files[code][role] = {"file": name, "sha256": file_sha256(staging / name)}
    progress(1.0, "All cases written")
    return files, sources


def _read(source: Path, role: str) -> Volume:
    volume = read_volume(source)
    if role not in ("regions", "overlay", "difference"):
        raise_on_error(check_intensities(volume))
    return volume


def to_levels(voxels: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 to 1000, the 99.9th percentile of the positive voxels being 1000: one range for all.

    Args:
        voxels: array (k, j, i); negative values become 0.
    """
    positive = voxels[voxels > 0]
    white = float(np.percentile(positive, WHITE_PERCENTILE)) if positive.size else 1.0
    return np.rint(np.clip(voxels / white, 0, 1) * LEVELS[1]).astype(np.float32)


def _provenance(source: Path) -> dict[str, Any] | None:
    """Bundle and task that made a synthetic volume, from the record SynthMRI wrote beside it."""
    with suppress(OSError, ValueError, AttributeError):
        beside = source.with_name(re.sub(r"\.(nii(\.gz)?|nrrd|nhdr|mha|mhd)$", "", source.name) + ".json")
        record = json.loads(beside.read_text(encoding="utf-8"))
        return {name: record[name] for name in ("task", "bundle", "parameters") if name in record} or None
    return None


def _trials(plan: dict[str, Any], codes: list[str]) -> tuple[list[Trial], dict[str, list[str]]]:
    """All trials under shuffled names, and the questions of each."""
    single = [name for name, question in plan["questions"].items() if not is_pair(question)]
    paired = [name for name, question in plan["questions"].items() if is_pair(question)]
    by_subject: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for code, case in zip(codes, plan["cases"]):
        by_subject[case["subject"]].append((case["arm"], code))
    drafts: list[tuple[Trial, list[str]]] = []
    for subject, members in by_subject.items():
        drafts += [(Trial("", (code,), (arm,), subject), single) for arm, code in members if single]
        for a, b in combinations(sorted(members), 2):
            asked = [name for name in paired if _fits(plan["questions"][name], plan["arms"], (a[0], b[0]))]
            if asked:
                drafts.append((Trial("", (a[1], b[1]), (a[0], b[0]), subject), asked))
    secrets.SystemRandom().shuffle(drafts)
    trials, asked_by = [], {}
    for number, (draft, asked) in enumerate(drafts, start=1):
        name = f"T{number:04d}"
        trials.append(Trial(name, draft.cases, draft.arms, draft.subject))
        asked_by[name] = asked
    return trials, asked_by


def _fits(question: dict[str, Any], kinds: dict[str, str], arms: tuple[str, str]) -> bool:
    """Which of two is acquired can only be asked of one acquired and one synthetic case."""
    return question["paradigm"] != "two-alternative" or kinds[arms[0]] != kinds[arms[1]]


def _key(plan: dict[str, Any], codes: list[str], sources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The salt keeps the hash in the protocol from being guessed."""
    cases = {
        code: {"subject": case["subject"], "arm": case["arm"], "truth": case.get("truth", {}), "sources": sources[code]}
        for code, case in zip(codes, plan["cases"])
    }
    return {
        "study": plan["id"],
        "salt": secrets.token_hex(16),
        "seed": plan["seed"],
        "repeat_fraction": plan["repeat_fraction"],
        "arms": plan["arms"],
        "cases": cases,
    }


def _write_study(
    staging: Path,
    plan: dict[str, Any],
    files: dict[str, dict[str, Any]],
    trials: list[Trial],
    asked: dict[str, list[str]],
    key: dict[str, Any],
) -> None:
    for name in ("orders", "answers"):
        (staging / name).mkdir()
    readers = {}
    for number, reader in enumerate(plan["readers"]):
        sessions = order_for(
            trials,
            reader=number,
            seed=plan["seed"],
            has_washout=plan["washout_days"] > 0,
            repeat_fraction=plan["repeat_fraction"],
        )
        order = {"reader": reader, "sessions": sessions}
        write_json(staging / "orders" / f"{reader}.json", order)
        readers[reader] = digest_of(order)
    protocol = {
        "format": FORMAT,
        "version": VERSION,
        **{
            name: plan[name] for name in ("id", "title", "mode", "washout_days", "questions", "overlay") if name in plan
        },
        "display": plan["display"],
        "readers": readers,
        "cases": files,
        "trials": {t.name: {"cases": sorted(t.cases), "questions": asked[t.name]} for t in trials},
        "key_sha256": digest_of(key),
    }
    require(protocol, PROTOCOL, "protocol")
    write_json(staging / "protocol.json", protocol)
