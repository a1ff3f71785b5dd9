"""Write noisy and clean blocks of held-out volumes for `synthmri calibrate denoising --cases FOLDER/cases.json`.

    python Testing/Benchmarks/denoising_cases.py --cache validate.safetensors --output FOLDER [--edge VOXELS]

From the middle of each packed volume a block gets Rician noise of 3, 6, 9 or 12 % of the reference intensity, in turn.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
LEVELS = (0.03, 0.06, 0.09, 0.12)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="packed cache of held-out volumes")
    parser.add_argument("--output", type=Path, required=True, help="folder for the volumes and cases.json")
    parser.add_argument("--edge", type=int, default=64, help="edge of each block in voxels")
    arguments = parser.parse_args()
    from SynthMRILib.training.cache import Cache
    from SynthMRILib.volume import Grid, Volume
    from SynthMRILib.volume_io import write_volume

    arguments.output.mkdir(parents=True, exist_ok=True)
    cache, cases = Cache(arguments.cache), []
    for index, entry in enumerate(cache.entries):
        shape = cache.shape(index)
        start = tuple(max(0, (n - arguments.edge) // 2) for n in shape)
        clean = cache.block(index, start, arguments.edge)[: shape[0]]
        level = LEVELS[index % len(LEVELS)]
        noise = level * np.random.default_rng([3, index]).standard_normal((2, *clean.shape), dtype=np.float32)
        grid = Grid.from_spacing(clean.shape, tuple(entry.extra.get("spacing_kji", (1.0, 1.0, 1.0)))[::-1])
        files = {"reference": f"{index:02d}_clean.nii.gz", "noisy": f"{index:02d}_noisy.nii.gz"}
        write_volume(Volume(1000 * clean, grid), arguments.output / files["reference"], overwrite=True)
        noisy = 1000 * np.hypot(clean + noise[0], noise[1])
        write_volume(Volume(noisy, grid), arguments.output / files["noisy"], overwrite=True)
        name = f"{entry.subject} {entry.contrast}, {100 * level:g} % noise"
        case = {"name": name, "contrast": entry.contrast, "reference": files["reference"]}
        cases.append({**case, "inputs": {"input": files["noisy"]}})
    (arguments.output / "cases.json").write_text(json.dumps(cases, indent=2), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
