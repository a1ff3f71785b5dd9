"""What the diffusion model makes of volumes with motion, at any number of steps, beside the network and doing nothing.

    python Testing/Benchmarks/motion_diffusion_quality.py CASES.safetensors [--bundle NAME] [--starts ...] [--steps ...]

CASES is what motion_cases.py or `synthmri pack-motion` made. Of cases with enough motion, spread evenly over the file,
the middle is corrected: by the network (true severity told, their whole change made: the best they can do) and by
samples that start from the middle as it is, or from what the network made of it. Start and steps are chosen on
held-out pairs; `--record` is for the test cases, once. Points of the grid with few steps are drawn several times, and
the mean of the draws is measured, too. Before any figure is taken everything is moved rigidly by what lays the volume
with motion onto the reference: registered one by one, such small parts differ by as much as the methods do.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "SynthMRI"), str(CHECKOUT / "Testing" / "Benchmarks")]
from motion_quality import Middle, alignment, moved_by, pair  # noqa: E402
from SynthMRILib.bundles import Bundle, load_bundle  # noqa: E402
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.evaluation.metrics import hfen, psnr, quality_mask, ssim  # noqa: E402
from SynthMRILib.evaluation.spectrum import detail_power_db  # noqa: E402
from SynthMRILib.inference import runner  # noqa: E402
from SynthMRILib.inference.diffusion import stripe_index  # noqa: E402
from SynthMRILib.motion.condition import condition_of, expected_change  # noqa: E402
from SynthMRILib.motion.correction import diffusion_draws  # noqa: E402
from SynthMRILib.progress import no_progress  # noqa: E402
from SynthMRILib.tasks import get_task  # noqa: E402
from SynthMRILib.tasks.base import NetworkInput  # noqa: E402
from SynthMRILib.tasks.super_resolution import forward_mean  # noqa: E402
from SynthMRILib.training.cache import Entry  # noqa: E402
from SynthMRILib.volume import Grid  # noqa: E402

TASK = get_task("motion-correction")
MARGIN = 4
"""Voxels at every border that figures leave out: some come from outside where a part is moved onto the reference."""
FEW = 10
"""Steps up to which a point of the grid is drawn several times and also started from what the network made."""
WANTED_DB = 1.0
"""Gain over the input from which on the model may become standard, if its HFEN is below that of the network, too."""
DIGITS = {"psnr": 3, "ssim": 4, "hfen": 4, "detail_power_db": 2, "stripe_index": 5, "cpu_seconds": 2}


@dataclass(frozen=True)
class Variant:
    """A way to sample: network evaluations, share of the noise to start with, and what is started from."""

    steps: int
    start: float
    source: str = "input"

    @property
    def name(self) -> str:
        return f"{self.steps} steps, start {self.start:g} from {self.source}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", type=Path)
    parser.add_argument("--bundle", default="motion-diffusion", help="name or folder of the diffusion model")
    parser.add_argument("--network", default="motion-correction", help="name or folder of what it is compared with")
    parser.add_argument("--starts", type=float, nargs="+", default=[0.2])
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 4, 10, 20, 50, 200])
    parser.add_argument("--draws", type=int, default=4, help=f"where there are at most {FEW} steps")
    parser.add_argument("--block", type=int, default=48, help="edge of the middle that is looked at")
    parser.add_argument("--number", type=int, default=8, help="cases at most")
    parser.add_argument("--least", type=float, default=0.75, help="effective displacement [mm] of a case at least")
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bundles = [load_bundle(arguments.bundle), load_bundle(arguments.network)]
    cache, variants = Middle(arguments.cases, arguments.block), grid(arguments.steps, arguments.starts)
    rows = []
    for index in chosen(cache.entries, arguments.least, arguments.number):
        methods = measured(cache, index, bundles, variants, arguments.draws)
        rows.append({**case_name(cache.entries[index]), "methods": methods})
        sys.stderr.write(json.dumps(rows[-1]) + "\n")
    found = summary(rows)
    record = {
        "command": f"motion_diffusion_quality.py {arguments.cases.name} --starts {words(arguments.starts)} "
        f"--steps {words(arguments.steps)} --draws {arguments.draws} --block {arguments.block} "
        f"--number {arguments.number} --least {arguments.least:g} --record",
        "commit": records.current_commit(CHECKOUT),
        "bundles": {b.name: b.weights_sha256 for b in bundles},
        "data": sorted({row["subject"] for row in rows}),
        "floors": floors(found),
        "summary": found,
        "rows": rows,
    }
    if arguments.record:
        records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_diffusion.json", record)
        opened = {"task": "motion-diffusion", "bundles": record["bundles"], "record": "motion_diffusion.json"}
        records.append_opening(
            CHECKOUT / records.TABLE, subject="patient19/FLAIR+T1", commit=record["commit"], record=opened
        )
    sys.stdout.write(json.dumps({"floors": record["floors"], "summary": found}, indent=2) + "\n")
    return 0


def words(numbers: Sequence[float]) -> str:
    return " ".join(f"{n:g}" for n in numbers)


def grid(steps: Sequence[int], starts: Sequence[float]) -> list[Variant]:
    """Every number of steps with every start; those of few steps also from what the network made."""
    return [
        Variant(count, start, source)
        for start, count, source in product(starts, steps, ("input", "network"))
        if source == "input" or count <= FEW
    ]


def chosen(entries: Sequence[Entry], least_mm: float, number: int) -> list[int]:
    """Positions of at most `number` pairs with an effective displacement of `least_mm` or more, spread evenly."""
    able = [n for n in range(0, len(entries), 2) if entries[n].extra["severity_mm"] >= least_mm]
    at = np.linspace(0, len(able) - 1, min(number, len(able))).round().astype(int)
    return [able[n] for n in at]


def case_name(entry: Entry) -> dict[str, Any]:
    """What a case is; held-out pairs are all of our own simulation, and their kind is not told."""
    numbers = {name: round(entry.extra[name], 3) for name in ("severity_mm", "displacement_mm")}
    return {
        "subject": entry.subject,
        "contrast": entry.contrast,
        "motion": entry.extra.get("kind", "own"),
        **numbers,
    }


def measured(
    cache: Middle, index: int, bundles: Sequence[Bundle], variants: Sequence[Variant], draws: int
) -> dict[str, dict[str, float]]:
    """Figures of a case as it is, by the network and by every variant, by name."""
    model, network = bundles
    moved, still = pair(cache, index)
    parameters = TASK.parameters_class(device="cpu", method="diffusion")
    prepared = TASK.prepare({"input": moved}, None, parameters, no_progress)
    estimates = {"input": prepared.voxels}
    started = time.process_time()
    estimates["network"] = by_network(prepared, network, cache.entries[index].extra["severity_mm"])
    seconds = {"input": 0.0, "network": time.process_time() - started}
    judge = Judge(still, moved.grid, alignment(still, moved.voxels, moved.grid, sampled=1.0))
    found = {n: judge.figures(v * prepared.unit, seconds[n]) for n, v in estimates.items()}
    for variant in variants:
        values = TASK.parameters_class(device="cpu", method="diffusion", steps=variant.steps, start=variant.start)
        draw, _ = diffusion_draws(prepared, estimates[variant.source], values, bundle=model)
        started = time.process_time()
        made = [draw(seed, no_progress) * prepared.unit for seed in range(draws if variant.steps <= FEW else 1)]
        seconds_each = (time.process_time() - started) / len(made)
        found[variant.name] = judge.figures(made[0], seconds_each)
        if len(made) > 1:
            name = f"{variant.name}, mean of {len(made)}"
            found[name] = judge.figures(np.mean(made, axis=0), len(made) * seconds_each)
    return found


def by_network(prepared: NetworkInput, bundle: Bundle, severity_mm: float) -> np.ndarray:
    """What the network makes of a volume in network units, told what motion of this severity changes."""
    parameters = TASK.parameters_class(device="cpu")
    conditions = (condition_of(expected_change(prepared.voxels, severity_mm, prepared.volume.spacing)),)
    made, _, _ = runner.run_volume(
        bundle,
        prepared.voxels,
        parameters,
        forward=forward_mean,
        outputs=1,
        progress=no_progress,
        conditions=conditions,
    )
    return made[0]


@dataclass(frozen=True, eq=False)
class Judge:
    """Compares volumes (k, j, i) with a reference after moving them by one transform."""

    still: np.ndarray
    grid: Grid
    transform: sitk.Transform | None

    def figures(self, voxels: np.ndarray, seconds: float) -> dict[str, float]:
        """Agreement with the reference, power of detail relative to it [dB], stripes, and processor time [s]."""
        inner = tuple(slice(MARGIN, n - MARGIN) for n in self.still.shape)
        still, aligned = self.still[inner], moved_by(self.transform, voxels.astype(np.float32), self.grid)[inner]
        mask = quality_mask(still)
        axis = int(np.argmax(np.round(self.grid.spacing[::-1], 3)))
        values = {
            "psnr": psnr(still, aligned, mask=mask),
            "ssim": ssim(still, aligned, mask=mask),
            "hfen": hfen(still, aligned, mask=mask),
            "detail_power_db": detail_power_db(still, aligned),
            "stripe_index": stripe_index(voxels, axis, level=0.05 * float(still.max())),
            "cpu_seconds": seconds,
        }
        return {name: round(float(value), DIGITS[name]) for name, value in values.items()}


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Means over the cases by method, with the mean and the worst gain over the input [dB]."""
    found = {}
    for method in rows[0]["methods"]:
        means = {k: round(float(np.mean([r["methods"][method][k] for r in rows])), DIGITS[k]) for k in DIGITS}
        gains = [r["methods"][method]["psnr"] - r["methods"]["input"]["psnr"] for r in rows]
        found[method] = {
            "gain_db": round(float(np.mean(gains)), 3),
            "worst_gain_db": round(min(gains), 3),
            "cases_that_gained": sum(g > 0 for g in gains),
            "cases": len(gains),
            **means,
        }
    return found


def floors(found: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Which ways to sample keep both floors, and which one has the highest gain."""
    sampled = {name: values for name, values in found.items() if name not in ("input", "network")}
    kept = [
        name
        for name, values in sampled.items()
        if values["gain_db"] >= WANTED_DB and values["hfen"] < found["network"]["hfen"]
    ]
    return {"kept_by": kept, "highest_gain": max(sampled, key=lambda name: sampled[name]["gain_db"])}


if __name__ == "__main__":
    sys.exit(main())
