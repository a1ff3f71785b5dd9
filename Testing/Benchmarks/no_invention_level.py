"""Measure how far a bundle's results stray from their inputs on held-out volumes, and keep that level in the bundle.

    python Testing/Benchmarks/no_invention_level.py BUNDLE --cache validate.safetensors [--edge VOXELS] [--real-only]

From the middle of each packed volume an input is simulated (block means for super-resolution, slices of 4 mm for
through-plane), enhanced, averaged to the voxels of the input again and compared with it. The largest numbers over all
volumes become the level above which the no-invention check warns (`evaluation/no_invention.py`). They go into the
`consistency` entry of the bundle's metadata; the weights stay as they are.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
SLICES_MM = 4.0


def main() -> int:
    arguments = build_parser().parse_args()
    from SynthMRILib.bundles import METADATA, load_bundle
    from SynthMRILib.evaluation.records import current_commit
    from SynthMRILib.training.cache import Cache

    bundle = load_bundle(arguments.bundle)
    cache = Cache(arguments.cache)
    measured = []
    for index, entry in enumerate(cache.entries):
        if arguments.real_only and entry.source != "real":
            continue
        measured.append(
            {"volume": f"{entry.subject} {entry.contrast}", **measure(bundle, cache, index, arguments.edge)}
        )
        sys.stdout.write(f"{measured[-1]}\n")
        sys.stdout.flush()
    level = {
        "bundle_sha256": bundle.weights_sha256,
        **{name: max(m[name] for m in measured) for name in ("rms_percent", "peak_percent")},
        "volumes": measured,
        "edge": arguments.edge,
        "command": f"python Testing/Benchmarks/{Path(__file__).name} {bundle.name} --cache {arguments.cache.name} "
        f"--edge {arguments.edge}" + (" --real-only" if arguments.real_only else ""),
        "commit": current_commit(CHECKOUT),
    }
    path = bundle.folder / METADATA
    metadata = json.loads(path.read_text(encoding="utf-8"))
    metadata["synthmri"]["consistency"] = level
    path.write_text(json.dumps(metadata, indent=2), encoding="utf-8")
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", help="name or folder")
    parser.add_argument("--cache", type=Path, required=True, help="packed cache of held-out volumes")
    parser.add_argument("--edge", type=int, default=96, help="edge of the block of each volume [voxels]")
    parser.add_argument("--real-only", action="store_true", help="leave the simulated volumes out")
    return parser


def measure(bundle: Any, cache: Any, index: int, edge: int) -> dict[str, float]:
    """The two numbers for one volume."""
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task
    from SynthMRILib.volume import Grid, Volume

    start = tuple(max(0, (n - edge) // 2) for n in cache.shape(index))
    voxels = cache.block(index, start, edge)[: cache.shape(index)[0] // 2 * 2]
    source, values = simulated_input(bundle.task, Volume(voxels, Grid.from_spacing(voxels.shape, (1.0, 1.0, 1.0))))
    task = get_task(bundle.task)
    result = task.run({"input": source}, bundle, task.parameters_class.from_dict(values), no_progress)
    found = result.measurements["consistency"]
    return {name: found[name] for name in ("rms_percent", "peak_percent")}


def simulated_input(task: str, sharp: Any) -> tuple[Any, dict[str, Any]]:
    """What a coarser scan would show of a sharp volume, and the parameters that bring it back."""
    from SynthMRILib.evaluation.degrade import degrade
    from SynthMRILib.slice_profile import Acquisition
    from SynthMRILib.through_plane.resampling import grid_of_spacing
    from SynthMRILib.volume import Volume

    if task == "super-resolution":
        return degrade(sharp, "mean"), {}
    coarse = grid_of_spacing(sharp.grid, (1.0, SLICES_MM, 1.0))
    thick = Acquisition.between(sharp.grid, coarse, kind="gaussian").apply(sharp.voxels)
    return Volume(np.maximum(thick, 0), coarse), {"spacing": [1.0, 1.0, 1.0]}


if __name__ == "__main__":
    sys.exit(main())
