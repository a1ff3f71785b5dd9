"""Compare hybrid DIR networks with what is shipped, alone and in the mean with it, before anything is chosen.

    synthmri train synthetic-dir --config Testing/Benchmarks/queue/synthetic_dir_hybrid.json --output FOLDER
    python Testing/Benchmarks/synthetic_dir_hybrid.py DATA --runs FOLDER... [--beside synthetic-dir] [--seeds 1]

DATA holds `label_maps` and `ms_cross_sectional/patient07`. Only heads for choices (13 to 15), each degraded once for
every seed, and the development subject are read. Writes
`Documentation/figures/synthetic_dir_hybrid_development.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import synthetic_dir_mixing as mixtures
import synthetic_dir_quality as quality
import synthetic_dir_simulation as simulation
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.cli import sentence
from SynthMRILib.dir_synthesis import mixing, network
from SynthMRILib.errors import InputError, SynthMRIError
from SynthMRILib.evaluation import dir_likeness, lesions, records
from SynthMRILib.inference import runner
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.synthetic_dir import network_seen
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
HEADS, SUBJECT = mixtures.HEADS, mixtures.SUBJECT
#: Sets of inputs; of one contrast alone only FLAIR.
SUBSETS = (("flair", "t1"), ("flair",), ("flair", "t1", "t2"), ("flair", "t2"), ("t1", "t2"))
FIGURES = (*mixtures.FIGURES, "recall_at_1")
#: What a hybrid is compared with and mixed with.
SHIPPED = ("dictionary", "network", "combined")
DEFINITIONS = {
    "network, dictionary": "the shipped network and the dictionary fit alone",
    "combined": mixing.RULE,
    "name of a run": "the hybrid of that run alone",
    "run + dictionary, run + network, run + combined": (
        "mean, in equal parts, of the hybrid with the dictionary, the shipped network or the method combined, after "
        "white matter and fluid came to the darker of both levels and gray matter to the mean"
    ),
    "lesion_error": mixtures.DEFINITIONS["lesion_error"],
    "white_matter, fluid": mixtures.DEFINITIONS["white_matter, fluid"],
}
NOTE = "Heads for choices and the development subject, whose volumes trained the networks: no figure here is a test."


def ways(inputs: dict[str, Volume], beside: Bundle, runs: dict[str, Bundle]) -> dict[str, np.ndarray]:
    """DIR [a.u.] by way, arrays (k, j, i) on the grid of the inputs."""
    parameters = get_task("synthetic-dir").parameters_class(registered=True)
    seen = network_seen(inputs, beside, parameters, no_progress, with_fit=True)
    fit = network.result_volume(seen, seen.voxels[network.FIRST_FIT_CHANNEL], spread=True).voxels
    found = {"network": computed(beside, seen, parameters), "dictionary": fit}
    share = mixing.dictionary_share(inputs)
    found["combined"] = at_common_levels(found["network"], fit, seen, share)
    for name, bundle in runs.items():
        found[name] = computed(bundle, seen, parameters)
        for other in SHIPPED:
            found[f"{name} + {other}"] = at_common_levels(found[name], found[other], seen, 0.5)
    return found


def computed(bundle: Bundle, seen: network.DirInput, parameters: Any) -> np.ndarray:
    """The DIR [a.u.] of a network; one that is no hybrid sees contrasts and masks alone."""
    channels = seen.voxels if bundle.section.get("hybrid") else seen.voxels[: network.FIRST_FIT_CHANNEL]
    voxels = np.ascontiguousarray(channels)
    made, _, _ = runner.run_volume(
        bundle, voxels, parameters, forward=network.forward_mean, outputs=1, progress=no_progress
    )
    return network.result_volume(seen, made[0]).voxels


def at_common_levels(made: np.ndarray, other: np.ndarray, seen: network.DirInput, share: float) -> np.ndarray:
    levels = mixing.common_levels(made, other, seen.labels, share=share)
    return mixing.mixed(made, other, levels, share=share)


def simulated_rows(
    data: Path, beside: Bundle, runs: dict[str, Bundle], seeds: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """A row for every simulated examination, subset of its inputs and way; none where the tissues are refused."""
    for seed, head in [(seed, head) for seed in seeds for head in HEADS]:
        labels = read_volume(data / "label_maps" / f"head_{head:02d}.nii.gz").voxels.astype(np.int16)
        case = simulation.simulated_case(labels, seed + head, with_lesions=True)
        for subset in SUBSETS:
            try:
                found = ways({name: case.inputs[name] for name in subset}, beside, runs)
            except InputError:
                continue
            for way, voxels in found.items():
                row = {"head": head, "seed": seed, "inputs": "+".join(subset), "way": way}
                row |= mixtures.simulated(voxels, case, with_ssim=True) | detection(voxels, case.reference)
                tell(f"head {head} {seed}", row)
                yield row


def detection(voxels: np.ndarray, reference: lesions.Reference) -> dict[str, float | None]:
    return {**mixtures.detection(voxels, reference), "recall_at_1": lesions.recall_at(voxels, reference)["1"]}


def real_rows(folder: Path, beside: Bundle, runs: dict[str, Bundle]) -> Iterator[dict[str, Any]]:
    """A row for every subset of the development subject's inputs and way, and of its FLAIR."""
    volumes, _, prepared, _, reference = quality.examination(folder)
    yield {"inputs": "flair", "way": "FLAIR itself", **detection(prepared.contrasts["flair"], reference)}
    for subset in SUBSETS:
        for way, voxels in ways({name: volumes[name] for name in subset}, beside, runs).items():
            gray = dir_likeness.lesion_to_gray(voxels, reference, (50.0,))[0]
            row = {"inputs": "+".join(subset), "way": way, **detection(voxels, reference), "lesion_to_gray": gray}
            tell(folder.name, row)
            yield row


def tell(whose: str, row: dict[str, Any]) -> None:
    cells = " ".join(f"{name} {row[name]:.3f}" for name in FIGURES if row.get(name) is not None)
    sys.stdout.write(f"{whose}: {row['inputs']} {row['way']} {cells}\n")
    sys.stdout.flush()


def means_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mean over the examinations of every figure by inputs and way."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["inputs"], row["way"]), []).append(row)
    return [
        {"inputs": inputs, "way": way, "examinations": len(own)}
        | {name: mixtures.mean_of([row[name] for row in own]) for name in FIGURES}
        for (inputs, way), own in groups.items()
    ]


def course(run: Path, bundle: Bundle) -> dict[str, Any]:
    """What a run says of itself: its weights, length and data."""
    lines = [json.loads(line) for line in (run / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if line["event"] == "train"]
    told = bundle.section["training"]
    return {
        "weights": bundle.weights_sha256,
        "steps": steps[-1]["step"],
        "minutes": round(steps[-1]["seconds"] / 60, 1),
        "settings": told["settings"],
        "subjects": told["subjects"],
    }


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with label_maps and ms_cross_sectional")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, metavar="FOLDER", help="of `synthmri train`")
    parser.add_argument("--beside", default="synthetic-dir", help="name or folder of the shipped network's bundle")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="of the simulated examinations")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where the record goes")
    arguments = parser.parse_args(words)
    try:
        beside = load_bundle(arguments.beside)
        bundles = {run.name: load_bundle(str(run / "bundle")) for run in arguments.runs}
        runs = {run.name: course(run, bundles[run.name]) for run in arguments.runs}
        real = list(real_rows(arguments.data / SUBJECT, beside, bundles))
        rows = list(simulated_rows(arguments.data, beside, bundles, arguments.seeds))
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"synthetic_dir_hybrid: {sentence(error)}\n")
        return 2
    names = " ".join(f"build/runs/{name}" for name in runs)
    seeds = " ".join(map(str, arguments.seeds))
    record = {
        "task": "synthetic-dir",
        "split": "validate (simulated), train (real)",
        "commit": records.current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} DATA --runs {names} --seeds {seeds}",
        "note": NOTE,
        "definitions": {**lesions.DEFINITIONS, **dir_likeness.DEFINITIONS, **DEFINITIONS},
        "bundles": {beside.name: beside.weights_sha256},
        "runs": runs,
        "means": means_of(rows),
        "rows": rows,
        SUBJECT.name: real,
    }
    records.write_record(arguments.documentation / "figures" / "synthetic_dir_hybrid_development.json", record)
    for row in record["means"]:
        tell("mean", row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
