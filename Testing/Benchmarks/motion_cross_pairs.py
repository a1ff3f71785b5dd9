"""Pairs for the cross table: the same heads once with our motion, once with TorchIO's at its usual size.

    python Testing/Benchmarks/motion_cross_pairs.py PAIRS.safetensors FOLDER [--number N]

Takes the first N training pairs, writes them to FOLDER/own.safetensors, and the same volumes without motion, moved by
TorchIO's RandomMotion (two jumps of up to 10 mm and 10 degrees, as much published work used it), to
FOLDER/torchio.safetensors. Only the networks of the comparison learn from these, nothing that is shipped.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.simulation import motion, torchio_motion  # noqa: E402
from SynthMRILib.simulation.records import sample_generator  # noqa: E402
from SynthMRILib.training.cache import Cache, write_cache  # noqa: E402
from SynthMRILib.volume import Grid, Volume  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, default=24)
    arguments = parser.parse_args()
    cache, own, other = Cache(arguments.pairs), [], []
    for index in range(0, 2 * arguments.number, 2):
        moved, still = ((cache.entries[index + n], cache.volume(index + n)) for n in (0, 1))
        own += [moved, still]
        spacing = tuple(cache.entries[index].extra["spacing_kji"][::-1])
        # TorchIO turns about the origin of coordinates: the middle of the volume, as for a head in a scanner.
        grid = centered(still[1].shape, spacing)
        record = torchio_motion.draw(sample_generator(55, index))
        volume, severity = torchio_motion.apply_and_measure(record, Volume(still[1].astype(np.float32), grid))
        effective = motion.effective_displacement(volume.voxels, still[1].astype(np.float32), spacing)
        facts = {"severity_mm": effective, "displacement_mm": severity}
        entries = [replace(e, extra={**e.extra, **facts}) for e in (moved[0], still[0])]
        other += [(entries[0], np.clip(volume.voxels, 0, 16).astype(np.float16)), (entries[1], still[1])]
        sys.stderr.write(f"{index // 2 + 1} of {arguments.number}: {severity:.1f} mm\n")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_cache(arguments.folder / "own.safetensors", own)
    write_cache(arguments.folder / "torchio.safetensors", other)
    return 0


def centered(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Grid:
    """An axis-aligned grid with the origin of coordinates in its middle."""
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = -0.5 * (np.array(shape[::-1]) - 1) * spacing
    return Grid(shape, matrix)


if __name__ == "__main__":
    sys.exit(main())
