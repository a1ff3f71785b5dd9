"""Compare ways of mixing the network's and the dictionary's DIR, before one is chosen.

    python Testing/Benchmarks/synthetic_dir_mixing.py DATA --bundle NAME [--seeds 1 11]

DATA holds `label_maps` and `ms_cross_sectional/patient07`. Only heads for choices (13 to 15) and the development
subject are read. Writes `Documentation/figures/synthetic_dir_mixing_development.json`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import synthetic_dir_quality as quality
import synthetic_dir_simulation as simulation
import torch
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.cli import sentence
from SynthMRILib.dir_synthesis import arithmetic, mixing, network
from SynthMRILib.errors import InputError, SynthMRIError
from SynthMRILib.evaluation import dir_likeness, lesions, metrics, records
from SynthMRILib.inference import runner
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.synthetic_dir import network_seen
from SynthMRILib.training.dir_samples import SUBSETS
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import read_volume

CHECKOUT = Path(__file__).resolve().parents[2]
HEADS = (13, 14, 15)
SUBJECT = Path("ms_cross_sectional/patient07")
BLUR_MM = 0.5
#: Variance of the dictionary that its spread does not tell, cortex being 1.
UNTOLD = 0.12**2
FIGURES = ("psnr_db", "ssim", "auprc", "lesion_error", "white_matter", "fluid")
#: Ways whose structural similarity is computed; it takes most of the time.
WITH_SSIM = ("network", "dictionary", "mean", "combined")
DEFINITIONS = {
    "mean, dictionary-share-0.3, dictionary-share-0.7": "network and dictionary averaged, with that share",
    "levels-of-dictionary, levels-of-network": "mean after the one volume took the tissue levels of the other",
    "darker-levels": "mean after white matter and fluid came to the darker of both levels, gray matter to the mean",
    "combined": mixing.RULE,
    "precision": (
        "voxels weighted by the inverse variances that the network's output and the dictionary's spread over its "
        f"groups (plus {UNTOLD:.4f}) state"
    ),
    "dictionary-blurred, combined-blurred": f"after a Gaussian of {BLUR_MM:g} mm, to see what noise costs",
    "lesion_error": "mean signed error inside lesions, nominal cortex being 1",
    "white_matter, fluid": "median over median of cortex",
}
NOTE = "Heads for choices and the development subject, whose volumes trained the network: no figure here is a test."


def ways(inputs: dict[str, Volume], bundle: Bundle) -> dict[str, np.ndarray]:
    """DIR [a.u.] by way of mixing, arrays (k, j, i) on the grid of the inputs."""
    parameters = get_task("synthetic-dir").parameters_class(method="combined", registered=True)
    seen = network_seen(inputs, bundle, parameters, no_progress, with_fit=True)
    channels, _, _ = runner.run_volume(
        bundle,
        np.ascontiguousarray(seen.voxels[: network.FIRST_FIT_CHANNEL]),
        parameters,
        forward=mean_and_log_variance,
        outputs=2,
        progress=no_progress,
    )
    made = network.result_volume(seen, channels[0]).voxels
    fit, spread = (
        network.result_volume(seen, seen.voxels[network.FIRST_FIT_CHANNEL + n], spread=True).voxels for n in (0, 1)
    )
    variance = network.result_volume(seen, np.exp(channels[1]), spread=True).voxels / network.CORTEX
    found = mixtures(made, fit, seen.labels, mixing.dictionary_share(inputs))
    weight = variance / np.maximum(variance + (spread / network.CORTEX) ** 2 + UNTOLD, 1e-6)
    found["precision"] = (1 - weight) * made + weight * fit
    for name in ("dictionary", "combined"):
        found[f"{name}-blurred"] = arithmetic.smoothed(
            found[name], seen.brain, sigma_mm=BLUR_MM, spacing=seen.target.spacing
        )
    return found


def mean_and_log_variance(net: torch.nn.Module, block: torch.Tensor) -> torch.Tensor:
    """Both outputs of the network, two channels."""
    return torch.cat(net(block), dim=1)[0]


def mixtures(made: np.ndarray, fit: np.ndarray, labels: np.ndarray, share: float) -> dict[str, np.ndarray]:
    """The two volumes and their mixtures that need nothing else."""
    half = mixing.common_levels(made, fit, labels, share=0.5)
    own = mixing.common_levels(made, fit, labels, share=share)
    return {
        "network": made,
        "dictionary": fit,
        "mean": (made + fit) / 2,
        "dictionary-share-0.3": 0.7 * made + 0.3 * fit,
        "dictionary-share-0.7": 0.3 * made + 0.7 * fit,
        "levels-of-dictionary": (mixing.mapped(made, half.network, half.dictionary) + fit) / 2,
        "levels-of-network": (mixing.mapped(fit, half.dictionary, half.network) + made) / 2,
        "darker-levels": mixing.mixed(made, fit, half, share=0.5),
        "combined": mixing.mixed(made, fit, own, share=share),
    }


def simulated_rows(data: Path, bundle: Bundle, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """A row for every simulated examination, subset of its inputs and way; none where the tissues are refused."""
    for seed, head in [(seed, head) for seed in seeds for head in HEADS]:
        labels = read_volume(data / "label_maps" / f"head_{head:02d}.nii.gz").voxels.astype(np.int16)
        case = simulation.simulated_case(labels, seed + head, with_lesions=True)
        for subset in SUBSETS:
            try:
                found = ways({name: case.inputs[name] for name in subset}, bundle)
            except InputError:
                continue
            for way, voxels in found.items():
                row = {"head": head, "seed": seed, "inputs": "+".join(subset), "way": way}
                yield row | simulated(voxels, case, with_ssim=way in WITH_SSIM) | detection(voxels, case.reference)


def simulated(voxels: np.ndarray, case: simulation.Case, *, with_ssim: bool) -> dict[str, float | None]:
    peak, lesion = metrics.data_range(case.truth), case.reference.lesions > 0
    return {
        "psnr_db": metrics.psnr(case.truth, voxels, mask=case.brain, peak=peak),
        "ssim": metrics.ssim(case.truth, voxels, mask=case.brain, peak=peak) if with_ssim else None,
        "lesion_error": float((voxels - case.truth)[lesion].mean() / network.CORTEX),
    }


def detection(voxels: np.ndarray, reference: lesions.Reference) -> dict[str, float | None]:
    region, dark = reference.search_region, lesions.suppression(voxels, reference)
    return {
        "auprc": lesions.average_precision(voxels[region], reference.lesions[region] > 0),
        "white_matter": dark["white_matter"],
        "fluid": dark["fluid"],
    }


def means_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mean over the examinations of every figure by inputs and way."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["inputs"], row["way"]), []).append(row)
    return [
        {"inputs": inputs, "way": way, "examinations": len(own)}
        | {name: mean_of([row[name] for row in own]) for name in FIGURES}
        for (inputs, way), own in groups.items()
    ]


def mean_of(values: Sequence[float | None]) -> float | None:
    return None if None in values else round(float(np.mean(values)), 4)


def real_rows(folder: Path, bundle: Bundle) -> Iterator[dict[str, Any]]:
    """A row for every subset of the development subject's inputs and way."""
    volumes, _, _, _, reference = quality.examination(folder)
    dictionary = None
    for subset in SUBSETS:
        found = ways({name: volumes[name] for name in subset}, bundle)
        dictionary = found["dictionary"] if dictionary is None else dictionary
        for way, voxels in found.items():
            like = dir_likeness.likeness(voxels, dictionary, reference)
            yield {"inputs": "+".join(subset), "way": way, **detection(voxels, reference), **like}


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with label_maps and ms_cross_sectional")
    parser.add_argument("--bundle", required=True, help="name or folder of the network's bundle")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 11], help="of the simulated examinations")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where the record goes")
    arguments = parser.parse_args(words)
    try:
        bundle = load_bundle(arguments.bundle)
        real = list(real_rows(arguments.data / SUBJECT, bundle))
        rows = list(simulated_rows(arguments.data, bundle, arguments.seeds))
    except (SynthMRIError, OSError) as error:
        sys.stderr.write(f"synthetic_dir_mixing: {sentence(error)}\n")
        return 2
    record = {
        "task": "synthetic-dir",
        "split": "validate (simulated), train (real)",
        "commit": records.current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} DATA --bundle {bundle.name}",
        "note": NOTE,
        "definitions": {**lesions.DEFINITIONS, **dir_likeness.DEFINITIONS, **DEFINITIONS},
        "bundles": {bundle.name: bundle.weights_sha256},
        "means": means_of(rows),
        "rows": rows,
        SUBJECT.name: real,
    }
    records.write_record(arguments.documentation / "figures" / "synthetic_dir_mixing_development.json", record)
    for row in record["means"]:
        cells = " ".join(f"{name} {row[name]:.3f}" for name in FIGURES if row[name] is not None)
        sys.stdout.write(f"{row['inputs']} {row['way']} {cells}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
