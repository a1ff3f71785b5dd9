"""Make the test cases of motion correction once: test heads and the test patient, moved by simulators of two kinds.

    python Testing/Benchmarks/motion_cases.py DATA OUTPUT.safetensors

Of every volume a part of 88 voxels along the readout is scanned, as in training, because a whole one takes a minute;
8 voxels at either end are dropped, as in training. "own" is the simulation that was trained on, at two severities;
"other trace" is a slow periodic swing with the phase encoded along an axis and with an acceleration that training never
had; "torchio" is RandomMotion with its two jumps of up to so many mm and degrees. Severity is the effective
displacement, measured from the volumes with motion and without.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.simulation import motion, torchio_motion  # noqa: E402
from SynthMRILib.simulation.records import sample_generator  # noqa: E402
from SynthMRILib.simulation.traces import TraceRecord  # noqa: E402
from SynthMRILib.simulation.view_orders import ViewOrderRecord  # noqa: E402
from SynthMRILib.training import motion_pairs  # noqa: E402
from SynthMRILib.training.cache import Entry, write_cache  # noqa: E402
from SynthMRILib.volume import Volume  # noqa: E402
from SynthMRILib.volume_io import read_volume  # noqa: E402

OWN_MM = (0.8, 2.5)
OTHER_MM = 1.5
TORCHIO_MM = (1.0, 3.0)
PATIENT = {"FLAIR": "flair", "T1": "t1w"}
HEADS = {16: ("t1w", "t2w"), 17: ("flair", "t1w-contrast-enhanced")}
OTHER_ORDER = ViewOrderRecord("mprage", "linear", "S", "A", 2.0, 1, 1, 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    packed = []
    for number, (entry, volume) in enumerate(volumes(arguments.data)):
        for kind, pair in cases(entry, volume, number):
            packed += pair
            sys.stdout.write(
                f"{entry.subject} {entry.contrast} {kind} {pair[0][0].extra['severity_mm']:.2f} mm effective\n"
            )
            sys.stdout.flush()
        write_cache(arguments.output, packed)
    return 0


def volumes(data: Path) -> Iterator[tuple[Entry, Volume]]:
    """Test volumes: simulated heads of test label maps, and the test patient."""
    from SynthMRILib.simulation.heads import simulate_head

    folder = data / "ms_cross_sectional" / "patient19"
    for name, contrast in PATIENT.items():
        yield Entry("patient19", contrast, "real", stripped=True), read_volume(folder / f"{name}.nii.gz")
    for head, contrasts in HEADS.items():
        labels = read_volume(data / "label_maps" / f"head_{head:02d}.nii.gz")
        for contrast in contrasts:
            voxels = simulate_head(labels.voxels.astype(np.int16), sample_generator(head), contrast=contrast)
            volume = motion_pairs.upper_part(labels.with_voxels(voxels))
            yield Entry(f"head_{head:02d}", contrast, "simulated", stripped=False), volume


def cases(entry: Entry, volume: Volume, number: int) -> Iterator[tuple[str, list[tuple[Entry, np.ndarray]]]]:
    """Pairs of one volume, and what moved it."""
    middle = motion_pairs.draw(sample_generator(77, number), contrast=entry.contrast, thick=False)
    sequence = "mprage" if entry.contrast.startswith("t1w") else "tse-3d"
    for n, severity in enumerate(OWN_MM):
        drawn = motion.draw(sample_generator(78 + n, number), sequence=sequence, severity=1.0)
        record = replace(middle, motion=drawn, severity_mm=severity, slab=0.55)
        yield f"own {severity:g}", made("own", record, entry, volume)
    trace = TraceRecord(breathing=1.0, breathing_hz=0.011, breathing_phase=0.7 + number, walk_seed=number)
    drawn = replace(middle.motion, trace=trace, order=OTHER_ORDER)
    yield (
        "other trace",
        made("other trace", replace(middle, motion=drawn, severity_mm=OTHER_MM, slab=0.55), entry, volume),
    )
    yield from torchio_cases(replace(middle, slab=0.55), entry, volume, number)


def made(kind: str, record: motion_pairs.MotionPairRecord, entry: Entry, volume: Volume):
    result = motion_pairs.apply(record, volume, stripped=entry.stripped)
    return with_kind(kind, motion_pairs.pair_of_entries(entry, result, record))


def torchio_cases(record: motion_pairs.MotionPairRecord, entry: Entry, volume: Volume, number: int):
    """TorchIO's motion of a head that our simulation scans without any."""
    still_trace = replace(record.motion, trace=TraceRecord(scale=0.0))
    result = motion_pairs.apply(replace(record, motion=still_trace), volume, stripped=entry.stripped)
    for n, size in enumerate(TORCHIO_MM):
        seed = int(sample_generator(90 + n, number).integers(2**31))
        jumps = torchio_motion.TorchIOMotionRecord(size, size, 2, seed)
        moved, severity = torchio_motion.apply_and_measure(jumps, result.still)
        effective = motion.effective_displacement(moved.voxels, result.still.voxels, moved.spacing)
        pair = replace(result, moved=moved, severity_mm=severity, effective_mm=effective)
        yield f"torchio {size:g}", with_kind("torchio", motion_pairs.pair_of_entries(entry, pair, record))


def with_kind(kind: str, pair: list[tuple[Entry, np.ndarray]]) -> list[tuple[Entry, np.ndarray]]:
    return [(replace(entry, extra={**entry.extra, "kind": kind}), voxels) for entry, voxels in pair]


if __name__ == "__main__":
    sys.exit(main())
