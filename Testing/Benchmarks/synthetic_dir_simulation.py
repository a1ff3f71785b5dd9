"""Measure synthetic DIR on simulated heads that no training saw, where the true DIR and every lesion are known.

    python Testing/Benchmarks/synthetic_dir_simulation.py DATA --bundle NAME [--heads 16 17] [--seed 1]

DATA holds `label_maps`. Inputs are degraded as in training, with other seeds. For every head and subset of inputs:
PSNR and SSIM of network, dictionary fit, the mean of both, and simple arithmetic with the best line through it;
lesion-wise recall at equal numbers of false candidates; candidates in the same head without lesions; and how many of
the inserted lesions stay visible, by contrast and size, in each DIR and in the true one. With all inputs also recall by
place, of FLAIR and of the true DIR as well, which tells what the detector loses from what the synthesis loses. Writes
`Documentation/figures/synthetic_dir_simulation_<bundle>.json`; of heads for choices (13 to 15) the name ends with
`_development`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.cli import sentence
from SynthMRILib.dir_synthesis import mixing, network
from SynthMRILib.dir_synthesis.tissue_fit import CSF, GRAY, OUTSIDE, WHITE
from SynthMRILib.errors import InputError, SynthMRIError
from SynthMRILib.evaluation import lesions as lesion_figures
from SynthMRILib.evaluation import metrics, records
from SynthMRILib.progress import no_progress
from SynthMRILib.simulation import lesions, subject
from SynthMRILib.simulation.tissue import TISSUE_NAMES, tissues_of
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.synthetic_dir import network_seen
from SynthMRILib.training import dir_packing
from SynthMRILib.training.dir_samples import REMNANTS_MM, SUBSETS, SampleConfig, degraded, draw_input, toned
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
INSERTED = 100
CORTICAL = ("juxtacortical", "intracortical", "leukocortical")
TEST_HEADS = (16, 17)
SIZES_MM3, CONTRASTS_SD = (0, 12, 27, 60, 150, 1e9), (0, 1.5, 3, 5, 8, 1e9)
NOTE = (
    "Simulated heads that were not used for training; the truth is the same signal equation that training used, and "
    "the degradation has the same ranges, so this shows what was learned, not what real scans give."
)
DEFINITIONS = {
    "psnr_db, ssim": "inside the brain, peak is the 99.5th percentile of the true DIR",
    "combined": mixing.RULE,
    "arithmetic": "FLAIR x T2, FLAIR - 0.3 T1 or the only input, with the straight line that fits the truth best",
    "visible": "mean of a lesion 3 robust deviations above the median of its shell (2 to 4 voxels away, same tissue)",
    "contrast_sd": "mean of a lesion in FLAIR above that median, in robust deviations of the shell in FLAIR",
    "auprc": "as for real subjects, with the tissues of the label map",
    "recall_by_place": (
        "at so many false candidates, lesions of other places counting nowhere; cortical are juxtacortical, "
        "intracortical and leukocortical ones; in_white_matter leaves fluid out of the search region as well, which "
        "was added after the true DIR's false candidates had been seen to lie in what the label map has as fluid"
    ),
    "false_voxels": "voxels of the search region without lesion above the median of the lesions, by tissue",
    "false_candidates_without_lesions": "at the threshold of at most 5 false candidates in the head with lesions",
}


@dataclass(frozen=True, eq=False)
class Case:
    """A simulated examination: stripped inputs by role, the true DIR [a.u.], brain, numbered lesions and tissues."""

    inputs: dict[str, Volume]
    truth: np.ndarray
    brain: np.ndarray
    reference: lesion_figures.Reference
    places: list[str]


def simulated_case(labels: np.ndarray, seed: int, *, with_lesions: bool) -> Case:
    """The same seed gives the same head, protocols and degradation with and without its lesions."""
    rng = np.random.default_rng([seed, 7])
    drawn = subject.draw(rng, lesions_probability=0.0)
    inserted = lesions.draw(rng, number=INSERTED, cortical_factor=2.0, median_diameter_mm=4.5)
    anatomy = replace(drawn.anatomy, labelled_lesions=False)
    record = subject.SubjectRecord(anatomy, drawn.deformation, inserted if with_lesions else None, None)
    person = subject.apply(record, labels)
    head = dir_packing.imaged(person, dir_packing.draw_protocols(rng), "test")
    depth = dir_packing.unpacked_depth(head.maps[2])
    brain = dir_packing.strip_mask(depth, rng, mean_mm=1.5, spread_mm=0.7)
    fluid = head.maps[1].astype(np.float32) / 255
    grid = Grid(brain.shape, np.eye(4))
    inputs = {}
    for n, role in enumerate(dir_packing.INPUTS):
        plan = replace(draw_input(rng, role, 0, SampleConfig()), bias=(0.0,) * 6)
        landmarks = head.entry.extra["landmarks"][role]
        clean = toned(role, head.volumes[n].astype(np.float32), landmarks["fluid"], plan.tone)
        inputs[role] = Volume(100 * degraded(clean, brain, fluid, plan) * brain, grid)
    truth = np.where(brain & (depth < REMNANTS_MM), head.volumes[3].astype(np.float32) * network.CORTEX, 0)
    box = dir_packing.bounding_box(dir_packing.pial_depth(person.labels) < 2.0)
    tissues = np.where(brain, tissue_classes(person.labels[box]), OUTSIDE).astype(np.int8)
    reference = lesion_figures.reference((head.maps[0] > 0) & brain, tissues, grid)
    return Case(
        inputs, truth, brain, reference, places_of(reference, person.lesions.table, head.entry.extra["lesions"])
    )


def tissue_classes(labels: np.ndarray) -> np.ndarray:
    """Fluid, white and gray matter of a label map; what is outside of the brain counts as fluid."""
    names = np.array(TISSUE_NAMES)[tissues_of(labels)]
    white = np.isin(names, ("white-matter", "cerebellar-white-matter", "brain-stem"))
    gray = np.isin(names, ("cortex", "deep-gray", "thalamus", "pallidum", "cerebellar-cortex"))
    return np.where(white, WHITE, np.where(gray, GRAY, CSF))


def places_of(reference: lesion_figures.Reference, table: list[dict], shifted: list[dict]) -> list[str]:
    """Place of each numbered lesion: that of the inserted lesion whose center is nearest."""
    if not table or not reference.regions:
        return []
    centers = np.array([row["center_kji"] for row in shifted])
    middles = ndimage.center_of_mass(reference.lesions > 0, reference.lesions, range(1, len(reference.regions) + 1))
    nearest = [int(((centers - middle) ** 2).sum(axis=1).argmin()) for middle in np.array(middles)]
    return [table[n]["location"] for n in nearest]


def estimates(case: Case, subset: tuple[str, ...], bundle: Bundle) -> dict[str, tuple[np.ndarray, float]]:
    """Voxels and seconds of processor time by method."""
    chosen = {name: case.inputs[name] for name in subset}
    task = get_task("synthetic-dir")
    started = time.process_time()
    parameters = task.parameters_class(method="network", registered=True)
    seen = task.prepare(chosen, bundle, parameters, no_progress)
    made, _, _ = network.run(bundle, seen, parameters, no_progress)
    seconds = time.process_time() - started
    fitted = network_seen(chosen, bundle, parameters, no_progress, with_fit=True)
    fit = network.result_volume(fitted, fitted.voxels[network.FIRST_FIT_CHANNEL], spread=True)
    found = {"network": (made.voxels, seconds), "dictionary": (fit.voxels, 0.0)}
    if not bundle.section.get("hybrid"):
        found["combined"] = (network.mixed_with_dictionary(fitted, made)[0].voxels, 0.0)
    return {**found, "arithmetic": (best_line(simple(case, subset), case), 0.0)}


def simple(case: Case, subset: tuple[str, ...]) -> np.ndarray:
    """The arithmetic that the inputs allow; white matter is at 100 in each."""
    voxels = {name: case.inputs[name].voxels / 100 for name in subset}
    if "flair" in subset and "t2" in subset:
        return voxels["flair"] * voxels["t2"]
    if "flair" in subset and "t1" in subset:
        return voxels["flair"] - 0.3 * voxels["t1"]
    return voxels[subset[-1]]


def best_line(voxels: np.ndarray, case: Case) -> np.ndarray:
    slope, offset = np.polyfit(voxels[case.brain], case.truth[case.brain], 1)
    return np.where(case.brain, np.maximum(slope * voxels + offset, 0), 0)


def fidelity(voxels: np.ndarray, case: Case) -> dict[str, float]:
    peak = metrics.data_range(case.truth)
    return {
        "psnr_db": metrics.psnr(case.truth, voxels, mask=case.brain, peak=peak),
        "ssim": metrics.ssim(case.truth, voxels, mask=case.brain, peak=peak),
    }


def detection(voxels: np.ndarray, case: Case) -> dict[str, Any]:
    """Intensity as a detector of lesions, and how dark white matter and fluid are."""
    found = lesion_figures.figures(voxels, case.reference)
    return {name: found[name] for name in ("auprc", "recall_at_false_positives", "suppression")}


def only(case: Case, places: Sequence[str]) -> lesion_figures.Reference:
    """The reference with the lesions of some places alone; the others count nowhere."""
    numbers = [n for n, place in enumerate(case.places, start=1) if place in places]
    table = np.zeros(len(case.places) + 1, dtype=np.int32)
    table[numbers] = np.arange(1, len(numbers) + 1)
    kept = table[case.reference.lesions]
    ignored = case.reference.ignored | ((case.reference.lesions > 0) & (kept == 0))
    regions = [case.reference.regions[n - 1] for n in numbers]
    return replace(case.reference, lesions=kept, regions=regions, ignored=ignored)


def by_place(voxels: np.ndarray, case: Case) -> dict[str, Any]:
    """Recall by place, with fluid in the search region and without, and the tissues of what is falsely bright."""
    found = {}
    for name in ("all", "cortical", *sorted(set(case.places))):
        reference = only(case, {"all": set(case.places), "cortical": CORTICAL}.get(name, (name,)))
        fluid = (reference.tissues == CSF) & (reference.lesions == 0)
        dry = replace(reference, ignored=reference.ignored | fluid)
        found[name] = {
            "lesions": len(reference.regions),
            "at_false_positives": lesion_figures.recall_at(voxels, reference),
            "in_white_matter": lesion_figures.recall_at(voxels, dry),
        }
    lesion = case.reference.lesions > 0
    bright = (voxels > np.median(voxels[lesion])) & case.reference.search_region & ~lesion
    tissues = {"fluid": CSF, "white_matter": WHITE}
    wrong = {name: int(np.count_nonzero(bright & (case.reference.tissues == t))) for name, t in tissues.items()}
    return {"recall_by_place": found, "false_voxels": wrong}


def false_without(voxels: np.ndarray, empty: np.ndarray, case: Case, bare: Case) -> int:
    """False candidates in the head without lesions at the threshold of 5 false candidates in the one with them."""
    region = case.reference.search_region
    values = np.sort(voxels[region])[::-1]
    ranks = np.geomspace(5, 0.05 * values.size, 60).astype(int)
    away = region & ~ndimage.binary_dilation(case.reference.lesions > 0, iterations=2)
    best = None
    for threshold in np.unique(values[ranks])[::-1]:
        if candidates(voxels, threshold, away) > 5:
            break
        best = threshold
    return candidates(empty, best, bare.reference.search_region) if best is not None else 0


def candidates(voxels: np.ndarray, threshold: float, region: np.ndarray) -> int:
    """Connected parts of at least 5 mm3 above a threshold."""
    labels, count = ndimage.label((voxels >= threshold) & region, structure=np.ones((3, 3, 3)))
    return int(np.count_nonzero(np.bincount(labels.ravel(), minlength=count + 1)[1:] >= 5))


def visibility(case: Case, made: np.ndarray) -> list[dict[str, Any]]:
    """Each inserted lesion: size, place, contrast in FLAIR, contrast in the DIR."""
    rows = []
    for number, box in enumerate(ndimage.find_objects(case.reference.lesions), start=1):
        wide = tuple(slice(max(0, s.start - 5), s.stop + 5) for s in box)
        lesion = case.reference.lesions[wide] == number
        away = ndimage.distance_transform_edt(~lesion)
        shell = (away >= 2) & (away <= 4) & (case.reference.lesions[wide] == 0)
        tissue = GRAY if case.places[number - 1] == "intracortical" else WHITE
        own = shell & (case.reference.tissues[wide] == tissue)
        shell = own if np.count_nonzero(own) >= 20 else shell
        flair, dir_ = (contrast(v[wide], lesion, shell) for v in (case.inputs["flair"].voxels, made))
        rows.append({"place": case.places[number - 1], "mm3": int(lesion.sum()), "contrast": flair, "dir": dir_})
    return rows


def contrast(voxels: np.ndarray, lesion: np.ndarray, shell: np.ndarray) -> float:
    middle = np.median(voxels[shell])
    spread = 1.4826 * np.median(np.abs(voxels[shell] - middle))
    return float((voxels[lesion].mean() - middle) / max(spread, 1e-6))


def curve(rows: list[dict[str, Any]], key: str, edges: Sequence[float]) -> list[dict[str, Any]]:
    """Share of visible lesions by bins of contrast or size."""
    found = []
    for low, high in pairwise(edges):
        own = [row["dir"] > 3 for row in rows if low <= row[key] < high]
        share = float(np.mean(own)) if own else None
        found.append({"from": low, "to": None if high > 1e8 else high, "lesions": len(own), "visible": share})
    return found


def visible(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How many of the inserted lesions can be seen."""
    clear = [row["dir"] > 3 for row in rows if row["contrast"] > 3 and row["mm3"] >= 27]
    return {
        "lesions": len(rows),
        "above_3_sd_and_27_mm3": {"lesions": len(clear), "visible": float(np.mean(clear)) if clear else None},
        "by_contrast_sd": curve(rows, "contrast", CONTRASTS_SD),
        "by_mm3": curve(rows, "mm3", SIZES_MM3),
    }


def plain_row(head: int, name: str, inputs: list[str], voxels: np.ndarray, case: Case) -> dict[str, Any]:
    """The row of a volume that no method made: how well it shows the lesions."""
    row = {"head": head, "inputs": inputs, "method": name, **detection(voxels, case), **by_place(voxels, case)}
    return {**row, "cortical_recall_at_false_positives": lesion_figures.recall_at(voxels, only(case, CORTICAL))}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    bundle = load_bundle(arguments.bundle)
    rows: list[dict[str, Any]] = []
    inserted: dict[str, list[dict[str, Any]]] = {}
    for head in arguments.heads:
        labels = read_volume(arguments.data / "label_maps" / f"head_{head:02d}.nii.gz").voxels.astype(np.int16)
        case, bare = (simulated_case(labels, arguments.seed + head, with_lesions=w) for w in (True, False))
        without = None
        for subset in SUBSETS:
            try:
                made = estimates(case, subset, bundle)
            except InputError as error:
                rows.append({"head": head, "inputs": list(subset), "method": "refused", "reason": sentence(error)})
                continue
            for method, (voxels, seconds) in made.items():
                row = {"head": head, "inputs": list(subset), "method": method, **fidelity(voxels, case)}
                row |= detection(voxels, case)
                row["cortical_recall_at_false_positives"] = lesion_figures.recall_at(voxels, only(case, CORTICAL))
                row |= by_place(voxels, case) if len(subset) == 3 and method != "arithmetic" else {}
                rows.append({**row, "seconds": round(seconds, 1)})
                sys.stdout.write(f"{head} {subset} {method} {row['psnr_db']:.2f} {row['ssim']:.3f} {seconds:.0f} s\n")
            if len(subset) == 3:
                dirs = {name: voxels for name, (voxels, _) in made.items() if name != "arithmetic"}
                for name, voxels in {**dirs, "truth": case.truth}.items():
                    inserted.setdefault(name, []).extend(visibility(case, voxels))
                free = estimates(bare, subset, bundle)
                pairs = {name: (voxels, free[name][0]) for name, voxels in dirs.items()}
                pairs["flair"] = tuple(c.inputs["flair"].voxels for c in (case, bare))
                without = {name: false_without(*pair, case, bare) for name, pair in pairs.items()}
        rows.append(plain_row(head, "flair", ["flair"], case.inputs["flair"].voxels, case))
        rows[-1]["false_candidates_without_lesions"] = without
        rows.append(plain_row(head, "truth", [], case.truth, case))
    heads = " ".join(map(str, arguments.heads))
    return {
        "task": "synthetic-dir",
        "split": "test (simulated)" if set(arguments.heads) <= set(TEST_HEADS) else "validate (simulated)",
        "commit": records.current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} DATA --bundle {bundle.name} --heads {heads}",
        "note": NOTE,
        "definitions": {**lesion_figures.DEFINITIONS, **DEFINITIONS},
        "bundles": {bundle.name: bundle.weights_sha256},
        "rows": rows,
        "inserted": {name: visible(found) for name, found in inserted.items()},
    }


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with label_maps")
    parser.add_argument("--bundle", required=True, help="name or folder of the network's bundle")
    parser.add_argument("--heads", type=int, nargs="+", default=[16, 17], help="label maps by number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    arguments = parser.parse_args(words)
    try:
        record = measure(arguments)
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"synthetic_dir_simulation: {sentence(error)}\n")
        return 2
    kind = "" if record["split"].startswith("test") else "_development"
    name = f"synthetic_dir_simulation_{next(iter(record['bundles']))}{kind}.json"
    target = arguments.documentation / "figures" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    records.write_record(target, record)
    sys.stdout.write(f"{target.name} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
