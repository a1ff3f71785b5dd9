"""Choose how much of the network's change is made, by estimated severity, on held-out pairs; write it in the bundle.

    python Testing/Benchmarks/motion_strength_fit.py RUN/bundle [--validate FILE] [--record]

The squared error of a weakened correction is a parabola in its strength, so the network runs once for each volume.
These are the volumes of `motion_severity_autofocus.py` with motion, without, and after autofocus where it changes
something, with the estimates of its record, made with the subject left out. Only contrasts and voxels that the bundle
is for decide: those of the others are told as well. Chosen is what gains most on the mean while no volume loses more
than 0.1 dB. Where autofocus changed nothing, a volume below the threshold of the severity stays as it is, in the task
and here; at least 96 % of those without motion have to.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from motion_quality import alignment, moved_by  # noqa: E402
from motion_severity_rows import volumes  # noqa: E402
from SynthMRILib.bundles import METADATA, Bundle, load_bundle  # noqa: E402
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.inference import runner  # noqa: E402
from SynthMRILib.motion.autofocus import autofocus  # noqa: E402
from SynthMRILib.motion.condition import condition_of, expected_change  # noqa: E402
from SynthMRILib.motion.estimate import severity_bundle  # noqa: E402
from SynthMRILib.motion.focused_severity import SECTION_WITH_NETWORK, FocusedSeverityModel  # noqa: E402
from SynthMRILib.motion.strength import Strength  # noqa: E402
from SynthMRILib.sharpness import PARTNER  # noqa: E402
from SynthMRILib.simulation.motion import SEVERITY_BANDS_MM, SEVERITY_NAMES  # noqa: E402
from SynthMRILib.tasks.base import Parameters  # noqa: E402
from SynthMRILib.tasks.super_resolution import forward_mean  # noqa: E402
from SynthMRILib.training.cache import Cache  # noqa: E402
from SynthMRILib.volume import Grid  # noqa: E402

PAIRS = CHECKOUT / "build" / "motion" / "validate.safetensors"
NONE_MM = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
WIDTHS_MM = (0.02, 0.1, 0.2, 0.4, 0.8)
LARGEST = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Not above 1, although a mean of volumes gains a little more by that (told a change that errs, the network learned to
change less than it should): lesions lose contrast by as much as is changed."""
MOST_LOSS_DB = 0.05
"""Half of what is allowed: the volumes that it will be used on are others."""
CLEAN_SHARE = 0.96
SIGNAL = 0.02
EDGE = 80
INNER = (slice(8, -8),) * 3
"""Of the middle: voxels at its border come from beyond it when it is laid onto the reference."""
OTHER_CONTRASTS = ("random",)
"""Of label maps with drawn intensities: they taught the network to be prepared, and are no contrast of a scanner."""
ESTIMATES = CHECKOUT / "Documentation" / "figures" / "motion_severity_autofocus.json"
Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--validate", type=Path, default=PAIRS)
    parser.add_argument("--pairs", type=int, default=10**6, help="use the first so many pairs")
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    everything = kept_rows(bundle, arguments.validate, arguments.pairs)
    threshold = FocusedSeverityModel.from_section(severity_bundle().section, SECTION_WITH_NETWORK).threshold_mm
    rows, others = [], []
    for row in everything:
        row["corrected"] = row["after"] is not None or row["estimate_mm"] > threshold
        (rows if meant(row, bundle) else others).append(row)
    strength = with_left_share(chosen(rows), rows)
    figures = summary(rows, strength)
    metadata = json.loads((bundle.folder / METADATA).read_text(encoding="utf-8"))
    metadata["synthmri"]["strength"] = strength.as_dict()
    metadata["synthmri"]["validation"] |= {n: v for n, v in figures.items() if not isinstance(v, dict)}
    (bundle.folder / METADATA).write_text(json.dumps(metadata, indent=2), encoding="utf-8")
    if arguments.record:
        record = {
            "command": f"motion_strength_fit.py BUNDLE --pairs {arguments.pairs} --record",
            "commit": records.current_commit(CHECKOUT),
            "bundle_sha256": bundle.weights_sha256,
            "data": "heads 13 to 15 and longitudinal03, held out",
            "strength": strength.as_dict(),
            "threshold_mm": threshold,
            "summary": figures,
            "full_strength": summary(rows, Strength(0.0, 0.0, 1.0)),
            "other_contrasts_and_voxels": summary(others, strength),
            "rows": everything,
        }
        name = "motion_strength_perceptual.json" if PARTNER in bundle.section else "motion_strength.json"
        records.write_record(CHECKOUT / "Documentation" / "figures" / name, record)
    sys.stdout.write(json.dumps({"strength": strength.as_dict(), **figures}, indent=2) + "\n")
    return 0


def kept_rows(bundle: Bundle, path: Path, pairs: int) -> list[Row]:
    """One row a volume, kept beside the cache: they take minutes."""
    kept = path.with_suffix(f".strength.{bundle.weights_sha256[:8]}.json")
    if not kept.is_file():
        kept.write_text(json.dumps(list(measured(bundle, path, pairs))), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def measured(bundle: Bundle, path: Path, pairs: int) -> Iterator[Row]:
    """For each volume what the parabola needs: |e|^2, <e, r> and |r|^2 of its error e and the network's change r."""
    estimates = {(row["index"], row["severity_mm"] > 0): row for row in json.loads(ESTIMATES.read_text())["rows"]}
    cache = Cache(path)
    for facts, voxels, still, grid in volumes(path):
        if facts["index"] >= 2 * pairs:
            return
        told = estimates[facts["index"], facts["severity_mm"] > 0]
        entry = cache.entries[facts["index"]]
        weight = facts["severity_mm"] / entry.extra["severity_mm"]
        row = {
            "subject": entry.subject,
            "contrast": entry.contrast,
            "sequence": entry.extra["sequence"],
            "largest_voxel_mm": max(grid.spacing),
            "displacement_mm": round(weight * entry.extra["displacement_mm"], 3),
        }
        yield {**row, **parabola(bundle, voxels, still, grid, told["severity_mm"], told["first_mm"]), "after": None}
        if told["undone_mm"] > 0:
            focused = autofocus(voxels, grid).voxels
            figures = parabola(bundle, focused, still, grid, told["truly_left_mm"], told["left_mm"])
            yield {**row, **figures, "after": "autofocus"}


def parabola(
    bundle: Bundle, voxels: np.ndarray, still: np.ndarray, grid: Grid, severity_mm: float, estimate_mm: float
) -> Row:
    """Severities of a volume and the numbers of its parabola, in the middle, everything laid onto the reference."""
    part = middle(voxels.shape)
    channels, _, _ = runner.run_volume(
        bundle,
        voxels[part],
        Parameters(device="cpu", precision="bfloat16"),
        forward=forward_mean,
        outputs=1,
        progress=lambda *_: None,
        conditions=(condition_of(expected_change(voxels, estimate_mm, grid.spacing)),),
    )
    changed = voxels.copy()
    changed[part] = channels[0]
    transform = None if np.array_equal(voxels, still) else alignment(still, voxels, grid)
    before, after = (moved_by(transform, v, grid)[part][INNER] for v in (voxels, changed))
    truth = still[part][INNER]
    mask = truth > SIGNAL
    error, change = (truth - before)[mask].astype(np.float64), (after - before)[mask].astype(np.float64)
    return {
        "severity_mm": round(severity_mm, 3),
        "estimate_mm": round(estimate_mm, 3),
        "error": float(np.mean(error**2)),
        "product": float(np.mean(error * change)),
        "change": float(np.mean(change**2)),
    }


def middle(shape: tuple[int, int, int]) -> tuple[slice, ...]:
    """The middle of a volume, at most `EDGE` voxels along each axis: gains there stand for the whole."""
    return tuple(slice((n - min(n, EDGE)) // 2, (n + min(n, EDGE)) // 2) for n in shape)


def meant(row: Row, bundle: Bundle) -> bool:
    """Whether the bundle is for such a volume."""
    return row["contrast"] not in OTHER_CONTRASTS and row["largest_voxel_mm"] <= bundle.section["spacing_mm"][1]


def share(row: Row, strength: Strength) -> float:
    """The share of the change that the task would make."""
    return strength.at(row["estimate_mm"]) if row["corrected"] else 0.0


def gain_db(row: Row, strength: float) -> float:
    """Gain over the input at a strength; for a volume without motion 0 when unchanged, else its PSNR less 45 dB."""
    left = row["error"] - 2 * strength * row["product"] + strength**2 * row["change"]
    if row["severity_mm"] == 0:
        return 0.0 if strength == 0 else float(min(0.0, -10 * np.log10(max(left, 1e-12)) - 45))
    return float(10 * np.log10(row["error"] / max(left, 1e-12)))


def chosen(rows: list[Row]) -> Strength:
    """The best of the lattice; nothing is ever corrected when none passes."""
    best, most = Strength(99.0, 99.0, 0.0), 0.0
    still = [row for row in rows if row["severity_mm"] == 0]
    for none, width, largest in itertools.product(NONE_MM, WIDTHS_MM, LARGEST):
        strength = Strength(none, round(none + width, 2), largest)
        if np.mean([share(row, strength) == 0 for row in still]) < CLEAN_SHARE:
            continue
        gains = [gain_db(row, share(row, strength)) for row in rows if row["severity_mm"] > 0]
        if min(gains) >= -MOST_LOSS_DB and np.mean(gains) > most:
            best, most = strength, float(np.mean(gains))
    return best


def with_left_share(strength: Strength, rows: list[Row]) -> Strength:
    """Also with the share of the error that is left in the volumes with motion that it changes."""
    moved = [(row, share(row, strength)) for row in rows if row["severity_mm"] > 0]
    gains = [gain_db(row, made) for row, made in moved if made > 0]
    return replace(strength, left_share=round(float(10 ** (-np.mean(gains) / 20)), 4)) if gains else strength


def summary(rows: list[Row], strength: Strength) -> dict[str, Any]:
    """Gains by band of the true displacement, the worst, and the share of volumes without motion left unchanged."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        if row["severity_mm"] > 0:
            band = SEVERITY_NAMES[int(np.searchsorted(SEVERITY_BANDS_MM, row["displacement_mm"], side="right"))]
            gain = gain_db(row, share(row, strength))
            for name in ("all", f"after_{row['after']}" if row["after"] else band):
                groups.setdefault(name, []).append(gain)
    figures: dict[str, Any] = {f"gain_db_of_volumes_{n}": round(float(np.mean(v)), 3) for n, v in groups.items()}
    still = [share(row, strength) == 0 for row in rows if row["severity_mm"] == 0]
    return {
        **figures,
        "gain_db_of_volumes_worst": round(min(groups["all"]), 3),
        "clean_unchanged": round(float(np.mean(still)), 3),
        "volumes": {name: len(values) for name, values in groups.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
