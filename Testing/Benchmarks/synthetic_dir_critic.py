"""Compare networks of synthetic DIR that were trained on with and without a patch critic, before one is chosen.

    synthmri train synthetic-dir --precision 32-true --config CONTINUED --output FOLDER
    synthmri train synthetic-dir --precision 32-true --config CRITIC --output FOLDER
    python Testing/Benchmarks/synthetic_dir_critic.py DATA --runs FOLDER... [--bundle synthetic-dir] [--add]

DATA holds `label_maps` and `ms_cross_sectional/patient07`; CONTINUED and CRITIC are `synthetic_dir_continued.json`
and `synthetic_dir_patch_critic.json` of the queue. The bundle is the one whose weights both runs began with. Only
heads for choices (13 to 15) and the development subject are read, and the networks are compared alone, without the
dictionary. Writes `Documentation/figures/synthetic_dir_critic_development.json`; with `--add` the runs are measured
beside those that the record holds, and what it holds already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import synthetic_dir_quality as quality
import synthetic_dir_simulation as simulation
from scipy import ndimage
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.cli import sentence
from SynthMRILib.dir_synthesis import network
from SynthMRILib.errors import InputError, SynthMRIError
from SynthMRILib.evaluation import dir_likeness, lesions, records
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.synthetic_dir import network_seen
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
HEADS = (13, 14, 15)
SUBJECT = Path("ms_cross_sectional/patient07")
SUBSETS = (("flair", "t1", "t2"), ("flair", "t1"), ("flair",))
#: In place of a network: the true DIR, and inputs that the task refuses.
TRUTH, REFUSED = "none: true DIR", "none: refused"
#: Lines of a run's log from which the course of the game is told.
LAST_LINES = 10
FIGURES = ("psnr_db", "ssim", "auprc", "recall_at_1", "cortical_recall_at_1", "white_matter", "gradient_ratio")
NOTE = "Heads for choices and the development subject, whose volumes trained the network: no figure here is a test."
DEFINITIONS = {
    "psnr_db, ssim": "inside the brain, peak is the 99.5th percentile of the true DIR",
    "gradient_ratio": "mean gradient magnitude inside the brain over that of the true DIR; below 1 is blurred",
    "false_candidates_without_lesions": simulation.DEFINITIONS["false_candidates_without_lesions"],
    "visible": simulation.DEFINITIONS["visible"],
}


def syntheses(inputs: dict[str, Volume], bundles: dict[str, Bundle]) -> Iterator[tuple[str, np.ndarray]]:
    """(bundle, DIR [a.u.] (k, j, i)) of every bundle by the method "network"."""
    parameters = get_task("synthetic-dir").parameters_class(method="network", registered=True)
    seen = network_seen(inputs, next(iter(bundles.values())), parameters, no_progress)
    for name, bundle in bundles.items():
        made, _, _ = network.run(bundle, seen, parameters, no_progress)
        yield name, made.voxels


def simulated_rows(data: Path, bundles: dict[str, Bundle]) -> Iterator[dict[str, Any]]:
    """A row for every head, set of inputs and bundle, and what the true DIR has; refusals with their reason."""
    for head in HEADS:
        labels = read_volume(data / "label_maps" / f"head_{head:02d}.nii.gz").voxels.astype(np.int16)
        case, bare = (simulation.simulated_case(labels, 1 + head, with_lesions=w) for w in (True, False))
        yield {"head": head, "inputs": "", "network": TRUTH, **shown(case.truth, case)}
        for subset in SUBSETS:
            inputs = {name: case.inputs[name] for name in subset}
            try:
                made = list(syntheses(inputs, bundles))
            except InputError as error:
                yield {"head": head, "inputs": "+".join(subset), "network": REFUSED, "reason": sentence(error)}
                continue
            free = syntheses({name: bare.inputs[name] for name in subset}, bundles) if len(subset) == 3 else ()
            empty = dict(free)
            for name, voxels in made:
                row = {"head": head, "inputs": "+".join(subset), "network": name}
                row |= simulation.fidelity(voxels, case) | shown(voxels, case)
                if empty:
                    row["visible"] = simulation.visible(simulation.visibility(case, voxels))["above_3_sd_and_27_mm3"]
                    row["false_candidates_without_lesions"] = simulation.false_without(voxels, empty[name], case, bare)
                sys.stdout.write(f"{head} {row['inputs']} {name} {row['psnr_db']:.2f} {row['auprc']:.3f}\n")
                yield row


def shown(voxels: np.ndarray, case: simulation.Case) -> dict[str, Any]:
    """How a DIR of a simulated case shows its lesions and tissues, and how sharp it is."""
    cortical = lesions.recall_at(voxels, simulation.only(case, simulation.CORTICAL))
    sharp = [ndimage.gaussian_gradient_magnitude(v.astype(np.float32), 0.5)[case.brain] for v in (voxels, case.truth)]
    return {
        **detection(voxels, case.reference),
        "cortical_recall_at_1": cortical["1"],
        "gradient_ratio": float(sharp[0].mean() / sharp[1].mean()),
    }


def detection(voxels: np.ndarray, reference: lesions.Reference) -> dict[str, Any]:
    region, recall = reference.search_region, lesions.recall_at(voxels, reference)
    return {
        "auprc": lesions.average_precision(voxels[region], reference.lesions[region] > 0),
        **{f"recall_at_{limit}": value for limit, value in recall.items()},
        "white_matter": lesions.suppression(voxels, reference)["white_matter"],
    }


def real_rows(folder: Path, bundles: dict[str, Bundle]) -> Iterator[dict[str, Any]]:
    """A row of the development subject for every set of inputs and bundle, and of its FLAIR."""
    volumes, _, prepared, _, reference = quality.examination(folder)
    yield {"inputs": "flair", "network": "none: FLAIR", **detection(prepared.contrasts["flair"], reference)}
    for subset in SUBSETS:
        for name, voxels in syntheses({n: volumes[n] for n in subset}, bundles):
            row = {"inputs": "+".join(subset), "network": name, **detection(voxels, reference)}
            yield row | {"lesion_to_gray": dir_likeness.lesion_to_gray(voxels, reference, (50.0,))[0]}


def means_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mean over the heads of every figure by inputs and bundle."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["network"] not in (REFUSED, TRUTH):
            groups.setdefault((row["inputs"], row["network"]), []).append(row)
    return [
        {"inputs": inputs, "network": name, "heads": len(own)}
        | {figure: round(float(np.mean([row[figure] for row in own])), 4) for figure in FIGURES}
        for (inputs, name), own in groups.items()
    ]


def course(run: Path) -> dict[str, Any]:
    """What a run's log says of it: steps, minutes, warnings, and the game in its last lines."""
    lines = [json.loads(line) for line in (run / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if line["event"] == "train"][-LAST_LINES:]
    told = ("fidelity", "lesion", "adversarial", "told_apart", "critic_loss", "gradient_norm", "variation")
    return {
        "steps": steps[-1]["step"],
        "minutes": round(steps[-1]["seconds"] / 60, 1),
        "warnings": [line["message"] for line in lines if line["event"] == "warning"],
        f"mean_of_last_{len(steps)}_lines": {
            name: round(float(np.mean([line[name] for line in steps])), 4) for name in told if name in steps[-1]
        },
    }


def earlier(target: Path, before: Bundle) -> dict[str, Any]:
    """Rows and runs of the record that is there. Raises InputError when it began with other weights."""
    record = json.loads(target.read_text(encoding="utf-8"))
    if record["bundles"].get(before.name) != before.weights_sha256:
        raise InputError("The record that is there began with other weights. Measure all runs anew, without --add.")
    return {"real": record[SUBJECT.name], "rows": record["rows"], "runs": record["runs"]}


def without(known: Sequence[dict[str, Any]], rows: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the rows whose head, inputs and network no known row has."""
    names = ("head", "inputs", "network")
    there = {tuple(row.get(name) for name in names) for row in known}
    return [row for row in rows if tuple(row.get(name) for name in names) not in there]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with label_maps and ms_cross_sectional")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, metavar="FOLDER", help="of `synthmri train`")
    parser.add_argument("--add", action="store_true", help="add the runs to the record that is there")
    parser.add_argument("--bundle", default="synthetic-dir", help="name or folder of what the runs began with")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where the record goes")
    arguments = parser.parse_args(words)
    target = arguments.documentation / "figures" / "synthetic_dir_critic_development.json"
    try:
        before = load_bundle(arguments.bundle)
        bundles = {run.name: load_bundle(str(run / "bundle")) for run in arguments.runs}
        known = earlier(target, before) if arguments.add else {"real": [], "rows": [], "runs": {}}
        measured = bundles if arguments.add else {"before": before, **bundles}
        real = known["real"] + without(known["real"], real_rows(arguments.data / SUBJECT, measured))
        rows = known["rows"] + without(known["rows"], simulated_rows(arguments.data, measured))
        runs = {run.name: {"weights": bundles[run.name].weights_sha256, **course(run)} for run in arguments.runs}
        runs = {**known["runs"], **runs}
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"synthetic_dir_critic: {sentence(error)}\n")
        return 2
    names = " ".join(f"build/runs/{name}" for name in runs)
    record = {
        "task": "synthetic-dir",
        "split": "validate (simulated), train (real)",
        "commit": records.current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} DATA --runs {names}",
        "note": NOTE,
        "definitions": {**lesions.DEFINITIONS, **DEFINITIONS},
        "bundles": {before.name: before.weights_sha256},
        "runs": runs,
        "means": means_of(rows),
        "rows": rows,
        SUBJECT.name: real,
    }
    records.write_record(target, record)
    for row in record["means"]:
        cells = " ".join(f"{name} {row[name]:.3f}" for name in FIGURES)
        sys.stdout.write(f"{row['inputs']} {row['network']} {cells}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
