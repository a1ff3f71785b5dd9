"""How the time of super-resolution grows with the volume, and how it compares with the reference RRDB of 64 features.

    python Testing/Benchmarks/scaling.py [--bundle NAME] [--edge N]... [--record]

CPU seconds of one thread at float32, so that other work on the machine counts little. The reference is the generator of
ESRGAN carried over to volumes as DISGAN has it: three residual-in-residual blocks of three dense blocks of five
convolutions, 64 features, growth 32, then nearest-neighbor doubling and three convolutions at the fine resolution. It
has random weights: only its time is of interest. `--record` writes the record
`Documentation/figures/super_resolution_scaling.json` and a plot beside it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
EDGES = (24, 32, 48, 64, 80)
REFERENCE_EDGE = 24


def main() -> int:
    arguments = build_parser().parse_args()
    import torch
    from SynthMRILib.bundles import best_bundle, load_bundle
    from SynthMRILib.evaluation.records import current_commit, write_record

    torch.set_num_threads(1)
    bundle = load_bundle(arguments.bundle) if arguments.bundle else best_bundle("super-resolution")
    seconds_of(bundle, 20)
    rows = [{"voxels": edge**3, "seconds": seconds_of(bundle, edge)} for edge in arguments.edge or EDGES]
    each = np.array([row["seconds"] / row["voxels"] for row in rows])
    theirs, ours = reference_seconds(REFERENCE_EDGE), network_seconds(bundle, REFERENCE_EDGE)
    record: dict[str, Any] = {
        "command": f"python Testing/Benchmarks/{Path(__file__).name} --record",
        "commit": current_commit(CHECKOUT),
        "bundle": {"name": bundle.name, "sha256": bundle.weights_sha256},
        "seconds": "CPU seconds, one thread, float32",
        "rows": [{**row, "seconds": round(row["seconds"], 3)} for row in rows],
        "exponent": round(float(np.polyfit(*(np.log([r[n] for r in rows]) for n in ("voxels", "seconds")), 1)[0]), 3),
        "microseconds_a_voxel": [round(1e6 * e, 2) for e in each],
        "reference_rrdb_64": {
            "input_voxels": REFERENCE_EDGE**3,
            "seconds": round(theirs, 2),
            "seconds_of_ours": round(ours, 2),
            "ratio": round(theirs / ours, 1),
        },
    }
    sys.stdout.write(f"{record}\n")
    if arguments.record:
        target = CHECKOUT / "Documentation" / "figures" / "super_resolution_scaling.json"
        write_record(target, record)
        plot(record, target.with_suffix(".png"))
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", help="name or folder; the best installed one by default")
    parser.add_argument("--edge", type=int, action="append", help=f"of the cubes; default: {EDGES}")
    parser.add_argument("--record", action="store_true", help="write the record and the plot")
    return parser


def seconds_of(bundle: Any, edge: int) -> float:
    """CPU seconds of the whole task on a cube of texture."""
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task
    from SynthMRILib.volume import Grid, Volume

    task = get_task("super-resolution")
    voxels = np.random.default_rng(0).uniform(100, 1000, (edge,) * 3).astype(np.float32)
    volume = Volume(voxels, Grid.from_spacing(voxels.shape, (1.0, 1.0, 1.0)))
    parameters = task.parameters_class(device="cpu", precision="float32")
    started = time.process_time()
    task.run({"input": volume}, bundle, parameters, no_progress)
    return time.process_time() - started


def network_seconds(bundle: Any, edge: int) -> float:
    """CPU seconds of the bundle's network alone on a cube."""
    return _timed(bundle.build_network(), edge)


def reference_seconds(edge: int) -> float:
    """CPU seconds of the reference network on a cube."""
    return _timed(reference_network(), edge)


def _timed(network: Any, edge: int) -> float:
    import torch

    network = network.eval().to(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        network(torch.rand(1, 1, 8, 8, 8).contiguous(memory_format=torch.channels_last_3d))
        x = torch.rand(1, 1, edge, edge, edge).contiguous(memory_format=torch.channels_last_3d)
        started = time.process_time()
        network(x)
        return time.process_time() - started


def reference_network() -> Any:
    """Generator with the trunk at the input's resolution and two convolutions of 64 features at twice that."""
    from SynthMRILib.networks.rrdb import ResidualInResidualBlock, convolution
    from torch import nn

    blocks = [ResidualInResidualBlock(64, 32, 5, 3) for _ in range(3)]
    fine = [convolution(64, 64), nn.LeakyReLU(0.2), convolution(64, 64), nn.LeakyReLU(0.2), convolution(64, 1)]
    return nn.Sequential(
        convolution(1, 64), *blocks, convolution(64, 64), nn.Upsample(scale_factor=2, mode="nearest"), *fine
    )


def plot(record: dict[str, Any], path: Path) -> None:
    """Seconds over millions of voxels."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    voxels = [row["voxels"] / 1e6 for row in record["rows"]]
    figure, axes = plt.subplots(figsize=(4.5, 3), layout="constrained")
    axes.plot(voxels, [row["seconds"] for row in record["rows"]], "o-")
    axes.set_xlabel("input voxels [millions]")
    axes.set_ylabel("CPU seconds, one thread")
    axes.set_title(f"Super-resolution x2, exponent {record['exponent']:g}")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    sys.exit(main())
