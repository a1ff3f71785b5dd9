"""Super-resolution beside its peers on the same inputs in one run: interpolations, total variation, networks.

    python Testing/Benchmarks/super_resolution_peers.py VOLUME... --subject NAME --split train|validate|test
        [--bundle NAME]... [--edge VOXELS] [--weight W] [--peers PYTHON]

The middle `--edge` voxels of each volume are averaged to half their resolution and brought back by trilinear, cubic
B-spline and windowed sinc interpolation, by total variation (`through_plane/total_variation.py`) and by each
bundle; with `--peers` also by B-spline after the non-local means of DIPY and of ANTs (`denoising_peers.py`). Figures as
in `super_resolution_quality.py`; seconds are CPU seconds of one thread, those of DIPY and ANTs on the clock and of all
theirs. Bundles of the trained peers (ESRGAN-3D, DCSRN; see `super_resolution_peer_training.py`) are added by
`--bundle`. Writes `Documentation/figures/super_resolution_peers_<subject>.json`; openings of a test subject are added
to `Documentation/evaluations.csv`. `--documentation` keeps a trial elsewhere.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "SynthMRI"), str(CHECKOUT / "Testing")]
from Benchmarks.denoising_peers import estimates_of_peers  # noqa: E402

METRICS = ("psnr", "ssim", "hfen", "haarpsi")


def main(words: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(words)
    import torch
    from SynthMRILib import INTENDED_USE
    from SynthMRILib.bundles import best_bundle, find_bundles, load_bundle
    from SynthMRILib.evaluation.records import TABLE, append_opening, current_commit, write_record

    torch.set_num_threads(1)
    bundles = [load_bundle(name) for name in arguments.bundle] or [best_bundle("super-resolution")]
    installed = {b.name for b in find_bundles()}
    names = " ".join(path.name for path in arguments.volumes)
    record: dict[str, Any] = {
        "task": "super-resolution",
        "intended_use": INTENDED_USE,
        "commit": current_commit(CHECKOUT),
        "command": f"python Testing/Benchmarks/{Path(__file__).name} {names} --subject {arguments.subject} "
        f"--split {arguments.split} --edge {arguments.edge} --weight {arguments.weight}"
        + "".join(f" --bundle {b.name}" for b in bundles if arguments.bundle)
        + (" --peers PYTHON" if arguments.peers else ""),
        "subject": arguments.subject,
        "split": arguments.split,
        "bundles": {b.name: b.weights_sha256 for b in bundles if b.name in installed},
        "peers": {b.name: b.weights_sha256 for b in bundles if b.name not in installed},
        "networks": {b.name: b.section["network"] for b in bundles},
        "seconds": "CPU seconds, one thread",
        "volumes": {},
    }
    for path in arguments.volumes:
        name = path.name.split(".")[0]
        record["volumes"][name] = list(measure(path, arguments, bundles))
        if arguments.split == "test":
            rows = [{**row, "degradation": "mean"} for row in record["volumes"][name]]
            opening = {**record, "task": "super-resolution peers", "rows": rows}
            subject = f"{arguments.subject}/{name}"
            append_opening(
                arguments.documentation / TABLE.name, subject=subject, commit=record["commit"], record=opening
            )
    target = arguments.documentation / "figures" / f"super_resolution_peers_{arguments.subject}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_record(target, record)
    sys.stdout.write(f"{target.name} written\n")
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", nargs="+", type=Path, metavar="VOLUME")
    parser.add_argument("--subject", required=True)
    parser.add_argument("--split", required=True, choices=["train", "validate", "test"])
    parser.add_argument("--bundle", action="append", default=[], help="repeatable; default: the best installed one")
    parser.add_argument("--edge", type=int, default=96, help="edge of the block in voxels")
    parser.add_argument("--weight", type=float, default=0.001, help="of total variation; best on patient07")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python with dipy and antspyx")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where records go")
    return parser


def measure(path: Path, arguments: argparse.Namespace, bundles: list[Any]) -> Iterator[dict[str, Any]]:
    """One row a method."""
    from SynthMRILib.evaluation import metrics
    from SynthMRILib.evaluation.degrade import degrade
    from SynthMRILib.volume import Grid, Volume
    from SynthMRILib.volume_io import read_volume

    source = read_volume(path).voxels
    box = tuple(
        slice((n - min(n, arguments.edge)) // 2, (n + min(n, arguments.edge)) // 2 // 2 * 2) for n in source.shape
    )
    voxels = np.maximum(source[box], 0)
    voxels = voxels[tuple(slice(n // 2 * 2) for n in voxels.shape)]
    sharp = Volume(voxels, Grid.from_spacing(voxels.shape, (1.0, 1.0, 1.0)))
    mask, peak = metrics.quality_mask(voxels), metrics.data_range(source)
    coarse = degrade(sharp, "mean")
    for method, run in methods(coarse, sharp.grid, arguments, bundles):
        run_once = time.process_time()
        estimate, elsewhere = run()
        seconds = time.process_time() - run_once + elsewhere
        scores = {name: metrics.METRICS[name].compute(voxels, estimate, mask=mask, peak=peak) for name in METRICS}
        row = {"method": method, **{n: float(f"{v:.5g}") for n, v in scores.items()}, "seconds": round(seconds, 2)}
        sys.stdout.write(f"{path.name} {row}\n")
        sys.stdout.flush()
        yield row


def methods(coarse: Any, fine: Any, arguments: argparse.Namespace, bundles: list[Any]) -> Iterator[tuple[str, Any]]:
    """Name of each method and a function that gives its voxels and the seconds it spent in another process."""
    from SynthMRILib.evaluation.baselines import BASELINES, upsample
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task
    from SynthMRILib.through_plane.total_variation import reconstruct

    for kind in BASELINES:
        yield kind, lambda kind=kind: (upsample(coarse, 2, kind).voxels, 0.0)
    if arguments.peers:
        arrays, told = estimates_of_peers(coarse.voxels, coarse.voxels > 0, arguments.peers)
        for name, voxels in arrays.items():
            volume, seconds = coarse.with_voxels(np.maximum(voxels, 0)), told[name]["seconds"]
            yield f"{name}+bspline", lambda v=volume, s=seconds: (upsample(v, 2, "bspline").voxels, s)
    yield "total-variation", lambda: (reconstruct(coarse, fine, weight=arguments.weight).voxels, 0.0)
    task = get_task("super-resolution")
    for bundle in bundles:

        def run(bundle: Any = bundle) -> tuple[np.ndarray, float]:
            outputs = task.run({"input": coarse}, bundle, task.parameters_class(), no_progress).outputs
            return outputs["output"].voxels, 0.0

        yield bundle.name, run


if __name__ == "__main__":
    sys.exit(main())
