"""What autofocus does to held-out pairs, from which its least falls of the entropy were chosen.

    python Testing/Benchmarks/motion_autofocus.py PAIRS.safetensors [--record]
    python Testing/Benchmarks/motion_autofocus.py PAIRS.safetensors --only 0 2 4 2> rows.log
    python Testing/Benchmarks/motion_autofocus.py PAIRS.safetensors --rows rows.log more_rows.log --record
    python Testing/Benchmarks/motion_autofocus.py PAIRS.safetensors --bounds --record

The last one writes a record of its own: what poses of the same kind gain that were fitted to the volume without motion,
along the axis that gains most. Slices (2D) are left out.

PAIRS is a cache of `synthmri pack-motion` of the validation part. Each pair gives the gain in PSNR and SSIM over the
volume with motion, everything registered, and the fall of the entropy of both volumes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from motion_quality import figures

CHECKOUT = Path(__file__).resolve().parents[2]
FIGURES = CHECKOUT / "Documentation" / "figures"
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.evaluation.metrics import psnr, quality_mask  # noqa: E402
from SynthMRILib.motion import autofocus  # noqa: E402
from SynthMRILib.motion.pose_search import RIGID, SHIFTS, WHOLE, PoseSearch  # noqa: E402
from SynthMRILib.motion.view_groups import Lines, Spokes  # noqa: E402
from SynthMRILib.training.cache import Cache  # noqa: E402
from SynthMRILib.volume import Grid  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--rows", type=Path, nargs="*", default=[], help="error output of runs with --only")
    parser.add_argument("--only", type=int, nargs="*", help="indices of the pairs to look at")
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    parser.add_argument("--bounds", action="store_true", help="measure what the true volume would find instead")
    arguments = parser.parse_args()
    if arguments.bounds:
        return bounds(Cache(arguments.pairs), write=arguments.record)
    cache, rows = Cache(arguments.pairs), [row for path in arguments.rows for row in rows_in(path)]
    if not arguments.rows:
        for index in arguments.only or range(0, len(cache), 2):
            rows.append(measured(cache, index))
            sys.stderr.write(json.dumps(rows[-1]) + "\n")
    rows.sort(key=lambda row: row["index"])
    record = {
        "command": f"motion_autofocus.py {arguments.pairs.name} {'--rows ROWS ' if arguments.rows else ''}--record",
        "commit": records.current_commit(CHECKOUT),
        "data": "heads 13-15 and longitudinal03, parts of 88 voxels along the readout and some whole volumes",
        "least_fall": autofocus.LEAST_FALL,
        "summary": summary(rows),
        "rows": rows,
    }
    if arguments.record:
        records.write_record(FIGURES / "motion_autofocus.json", record)
    sys.stdout.write(json.dumps(record["summary"], indent=2) + "\n")
    return 0


def bounds(cache: Cache, *, write: bool) -> int:
    """What poses that were fitted to the volume without motion gain, by order."""
    rows = []
    for index in range(0, len(cache), 2):
        if "2d" not in cache.entries[index].extra["sequence"]:
            rows.append(bound(cache, index))
            sys.stderr.write(json.dumps(rows[-1]) + "\n")
    orders = sorted({row["order"] for row in rows})
    by_order = {order: [row["gain_db"] for row in rows if row["order"] == order] for order in orders}
    found = {
        "command": "motion_autofocus.py PAIRS --bounds --record",
        "commit": records.current_commit(CHECKOUT),
        "gain_db": {order: round(float(np.mean(gains)), 2) for order, gains in by_order.items()},
        "least_gain_db": {order: min(gains) for order, gains in by_order.items()},
        "rows": rows,
    }
    if write:
        records.write_record(FIGURES / "motion_autofocus_bounds.json", found)
    sys.stdout.write(json.dumps({k: v for k, v in found.items() if k != "rows"}, indent=2) + "\n")
    return 0


def bound(cache: Cache, index: int) -> dict[str, Any]:
    """Largest gain [dB] of a pair over the axes and over shifts alone and shifts with turns; nothing is registered."""
    entry = cache.entries[index]
    moved, still = (cache.volume(index + n).astype(np.float32) for n in (0, 1))
    mask, phase = quality_mask(still), entry.extra["phase_axis"]
    others = [axis for axis in range(3) if axis != phase]
    if "tse" in entry.extra["sequence"]:
        kind, orders = Spokes, [[*(a for a in range(3) if a != readout), readout] for readout in others]
    else:
        kind, orders = Lines, [[phase, *others]]
    before = psnr(still, moved, mask=mask)
    gains = []
    for order in orders:
        back = np.argsort(order)
        image, truth = (np.ascontiguousarray(v.transpose(order)) for v in (moved, still))
        spacing = np.array(entry.extra["spacing_kji"])[order]
        search = PoseSearch(image, spacing, kind(image.shape), fast=True)
        for numbers, parts, rounds in ((SHIFTS, WHOLE, 2), (RIGID, (2, 2, 2), 3)):
            search = PoseSearch(image, spacing, search.groups, parts=parts, poses=search.poses, fast=True)
            for _ in range(rounds):
                search.fit_to(truth, 1.0, numbers=numbers)
            made = np.maximum(search.corrected(), 0).transpose(back)
            gains.append(psnr(still, made, mask=mask) - before)
    return {
        "index": index,
        "order": f"{entry.extra['sequence']} {entry.extra['order']}",
        "severity_mm": round(entry.extra["severity_mm"], 3),
        "gain_db": round(max(gains), 2),
    }


def rows_in(path: Path) -> list[dict[str, Any]]:
    """Rows that an earlier run wrote."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def measured(cache: Cache, index: int) -> dict[str, Any]:
    """Gain [dB] and falls of the entropy of a pair, as the task does it."""
    entry = cache.entries[index]
    moved, still = (cache.volume(index + n).astype(np.float32) for n in (0, 1))
    grid = Grid.from_spacing(moved.shape, tuple(entry.extra["spacing_kji"][::-1]))
    found, rest = (autofocus.autofocus(voxels, grid) for voxels in (moved, still))
    mask = quality_mask(still)
    before = after = figures(still, moved, mask, grid)
    if found.found:
        after = figures(still, found.voxels, mask, grid)
    return {
        "index": index,
        "subject": entry.subject,
        "contrast": entry.contrast,
        "order": f"{entry.extra['sequence']} {entry.extra['order']}",
        "severity_mm": round(entry.extra["severity_mm"], 3),
        "phase_axis_kji": entry.extra["phase_axis"],
        "kind": found.kind,
        "axis_kji": found.axis,
        "turn_deg": found.as_dict()["turn_largest_deg"],
        "fall": round(found.fall, 6),
        "kind_without_motion": rest.kind,
        "fall_without_motion": round(rest.fall, 6),
        "gain_db": round(after["psnr"] - before["psnr"], 3),
        "ssim_gain": round(after["ssim"] - before["ssim"], 4),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and worst gain by order, and the largest fall of a volume without motion."""
    found: dict[str, Any] = {"corrected_without_motion": sum(row["kind_without_motion"] is not None for row in rows)}
    for order in sorted({row["order"] for row in rows}):
        group = [row for row in rows if row["order"] == order]
        gains = [row["gain_db"] for row in group]
        found[order] = {
            "pairs": len(group),
            "corrected": sum(row["kind"] is not None for row in group),
            "gain_db": round(float(np.mean(gains)), 2),
            "worst_gain_db": min(gains),
            "ssim_gain": round(float(np.mean([row["ssim_gain"] for row in group])), 4),
        }
    return found


if __name__ == "__main__":
    sys.exit(main())
