"""How simulated volumes differ from real ones: tissue contrast, histogram, spectrum, edges, noise in air. Prints JSON.

Compares patient07 (skull-stripped, 1 mm) and the untouched longitudinal scans of patients 01 and 03 with simulated
heads 01 to 12 of the shared data. Those sets are for training and choices; test subjects are not looked at.

    python Testing/Benchmarks/simulation_realism.py [--data ../shared/data] [--heads 3] [--figure FILE.png]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from scipy import fft, ndimage
from SynthMRILib.evaluation import records
from SynthMRILib.simulation import acquisition, protocols, subject
from SynthMRILib.simulation.acquisition import AcquisitionRecord
from SynthMRILib.simulation.coils import CoilRecord
from SynthMRILib.simulation.heads import normalized, strip
from SynthMRILib.simulation.noise import NoiseRecord
from SynthMRILib.simulation.records import sample_generator
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import read_volume

CONTRASTS = {"t1w": "T1", "t2w": "T2", "flair": "FLAIR"}
FREQUENCIES = (0.1, 0.2, 0.3, 0.4, 0.48)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    checkout = Path(__file__).resolve().parents[2]
    parser.add_argument("--data", type=Path, default=checkout.parent / "shared" / "data")
    parser.add_argument("--heads", type=int, default=3, help="simulated heads by contrast")
    parser.add_argument("--output", type=Path, help="write the record as JSON")
    parser.add_argument("--figure", type=Path, help="write a picture of real and simulated slices")
    arguments = parser.parse_args()
    result, pictures = {}, []
    for contrast, name in CONTRASTS.items():
        real = read_volume(arguments.data / "ms_cross_sectional" / "patient07" / f"{name}.nii.gz")
        measured = describe(np.maximum(real.voxels, 0), (1, 2))
        simulated = [simulate(arguments.data, contrast, n, measured["noise"]) for n in range(arguments.heads)]
        result[contrast] = {"real": measured, "simulated": mean([describe(s.voxels, inplane(s)) for s in simulated])}
        pictures.append((name, real, simulated[0]))
    result["air"] = {"real": air_of_real(arguments.data), "simulated": air_of_simulated(arguments.data)}
    result = {
        "command": f"python Testing/Benchmarks/simulation_realism.py --heads {arguments.heads}",
        "commit": records.current_commit(checkout),
        "data": "patient07 and longitudinal 01 and 03 against simulated label maps 01 onwards; no test subject",
        **result,
    }
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    if arguments.output:
        records.write_record(arguments.output, result)
    if arguments.figure:
        draw(pictures, arguments.figure)
    return 0


def simulate(data: Path, contrast: str, number: int, noise: float) -> Volume:
    """A stripped isotropic scan whose measured noise level is about that of the real one."""
    labels = read_volume(data / "label_maps" / f"head_{1 + number:02d}.nii.gz")
    values = labels.voxels.astype(np.int32)
    rng = sample_generator(20, number)
    person = subject.apply(subject.draw(rng, deformed=False, lesions_probability=1.0), values)
    head = normalized(strip(person.volume(protocols.draw(rng, contrast, field_strength=3.0)), values))
    # What the measure takes for noise in the clean volume (fine texture, edges) is not added again.
    own = noise_level(head, ndimage.binary_erosion(head > 0, iterations=3))
    sigma = np.sqrt(max(noise**2 - own**2, 0.0))
    record = AcquisitionRecord(
        adaptive=True, coils=CoilRecord(8, 0.5, 0.8, number), noise=NoiseRecord(sigma, noise_seed=number)
    )
    scanned = acquisition.apply(record, Volume(head, labels.grid))
    return scanned.with_voxels(np.where(head > 0, scanned.voxels, 0))


def inplane(volume: Volume) -> tuple[int, int]:
    """Array axes nearest to R and A."""
    strength = np.abs(volume.grid.directions[:, ::-1])
    return tuple(int(np.argmax(strength[axis])) for axis in (0, 1))


def describe(voxels: np.ndarray, axes: tuple[int, int]) -> dict:
    """Figures of a skull-stripped volume; spectrum and edges along the given axes only."""
    values = voxels[voxels > 0]
    voxels = voxels / np.percentile(values, 99.5)
    brain = ndimage.binary_erosion(voxels > 0, iterations=3)
    modes = tissue_modes(voxels[brain])
    return {
        "percentiles": {str(p): round(float(np.percentile(voxels[brain], p)), 3) for p in (1, 10, 25, 50, 75, 90, 99)},
        "modes": [round(m, 3) for m in modes],
        "noise": round(noise_level(voxels, brain), 4),
        "edge_p90": round(edge(voxels, brain, axes, 90), 4),
        "edge_p99": round(edge(voxels, brain, axes, 99), 4),
        "log10_spectrum": {str(f): round(s, 2) for f, s in zip(FREQUENCIES, spectrum(voxels * brain, axes))},
        "coarse_variation": round(coarse_variation(voxels, brain, modes), 4),
    }


def tissue_modes(values: np.ndarray, classes: int = 3) -> list[float]:
    """Means of a mixture of Gaussians in rising order (30 steps of expectation maximization on a sample)."""
    values = np.random.default_rng(0).choice(values, 60_000)
    means = np.percentile(values, (10, 50, 85)[:classes])
    deviations, shares = np.full(classes, values.std() / 2), np.full(classes, 1 / classes)
    for _ in range(60):
        density = shares / deviations * np.exp(-0.5 * ((values[:, None] - means) / deviations) ** 2)
        weight = density / np.maximum(density.sum(1, keepdims=True), 1e-12)
        total = weight.sum(0)
        means = (weight * values[:, None]).sum(0) / total
        deviations = np.maximum(np.sqrt((weight * (values[:, None] - means) ** 2).sum(0) / total), 0.01)
        shares = total / total.sum()
    return sorted(float(m) for m in means)


def noise_level(voxels: np.ndarray, brain: np.ndarray) -> float:
    """Deviation of the noise from the median absolute second difference along k, j and i: the largest axis."""
    levels = []
    for axis in range(3):
        second = np.diff(voxels, n=2, axis=axis)
        inside = np.take(brain, np.arange(1, voxels.shape[axis] - 1), axis=axis)
        levels.append(np.median(np.abs(second[inside])) / 0.6745 / np.sqrt(6))
    return float(max(levels))


def edge(voxels: np.ndarray, brain: np.ndarray, axes: tuple[int, int], percentile: float) -> float:
    """Percentile of the central difference between neighbors, smoothed across the line to suppress noise."""
    steps = []
    for axis in axes:
        across = [0.0 if a == axis else 0.8 for a in range(3)]
        steps.append(np.abs(np.gradient(ndimage.gaussian_filter(voxels, across), axis=axis))[brain])
    return float(np.percentile(np.concatenate(steps), percentile))


def spectrum(voxels: np.ndarray, axes: tuple[int, int]) -> list[float]:
    """log10 of the power at FREQUENCIES [cycles / voxel] over that at 0.05, mean of the axes."""
    curves = []
    for axis in axes:
        power = (np.abs(fft.rfft(voxels, axis=axis)) ** 2).mean(axis=tuple(a for a in range(3) if a != axis))
        grid = fft.rfftfreq(voxels.shape[axis])
        smooth = ndimage.gaussian_filter1d(np.log10(power), 2)
        curves.append(np.interp(FREQUENCIES, grid, smooth) - np.interp(0.05, grid, smooth))
    return np.mean(curves, axis=0).tolist()


def coarse_variation(voxels: np.ndarray, brain: np.ndarray, modes: list[float]) -> float:
    """Relative deviation, at 6 mm, of the voxels nearest to the largest tissue class."""
    nearest = np.argmin(np.abs(voxels[..., None] - np.array(modes)), axis=-1)
    counts = np.bincount(nearest[brain], minlength=3)
    counts[0] = 0
    inside = ndimage.binary_erosion(brain & (nearest == np.argmax(counts)), iterations=1).astype(np.float32)
    weight = ndimage.gaussian_filter(inside, 3)
    smooth = ndimage.gaussian_filter(voxels * inside, 3) / np.maximum(weight, 1e-6)
    chosen = smooth[(inside > 0) & (weight > 0.3)]
    return float(chosen.std() / chosen.mean()) if chosen.size else float("nan")


def air_of_real(data: Path) -> dict:
    scans = {}
    for path in sorted((data / "ms_longitudinal").glob("patient0[13]/study?_*.nii.gz")):
        scans[f"{path.parent.name}/{path.name.removesuffix('.nii.gz')}"] = describe_air(read_volume(path).voxels)
    return scans


def air_of_simulated(data: Path) -> dict:
    """Thick axial slices of a whole head with and without parallel imaging and zero filling."""
    labels = read_volume(data / "label_maps" / "head_02.nii.gz")
    values = np.pad(labels.voxels.astype(np.int32), 12)
    rng = sample_generator(21)
    person = subject.apply(subject.draw(rng, deformed=False), values)
    head = normalized(person.volume(protocols.draw(rng, "flair", field_strength=3.0)))
    grid = labels.grid.scaled((1, 1, 1), values.shape)
    axis = int(np.argmax(np.abs(labels.grid.directions[:, ::-1])[2]))
    results = {}
    for channels, filling, masked in ((1, 1.0, False), (8, 2.0, False), (8, 2.0, True)):
        record = AcquisitionRecord(
            slice_axis=axis,
            thickness_mm=4.0,
            zero_filling=filling,
            window=0.3,
            masked_air=masked,
            adaptive=masked,
            coils=CoilRecord(channels),
            noise=NoiseRecord(0.015, noise_seed=1),
        )
        scanned = acquisition.apply(record, Volume(head, grid))
        results[f"{channels} channels, zero filling {filling:g}, masked and adaptive {masked}"] = describe_air(
            np.moveaxis(scanned.voxels, axis, 0)
        )
    return results


def describe_air(voxels: np.ndarray) -> dict:
    """Air well outside the head, slices along the first axis.

    Share of exact zeros (scanners blank air); of the rest: level over the 99.5th percentile, mean over deviation
    (1.91 for Rayleigh), correlation of neighbors in plane.
    """
    top = np.percentile(voxels[voxels > 0], 99.5)
    head = [ndimage.binary_opening(plane > 0.08 * top, iterations=2) for plane in voxels]
    air = ~np.stack([ndimage.binary_dilation(ndimage.binary_fill_holes(plane), iterations=6) for plane in head])
    rest = voxels[air & (voxels > 0)]
    pairs = air[:, :, 1:] & air[:, :, :-1] & (voxels[:, :, 1:] > 0) & (voxels[:, :, :-1] > 0)
    enough = pairs.sum() > 1000
    neighbors = np.corrcoef(voxels[:, :, 1:][pairs], voxels[:, :, :-1][pairs])[0, 1] if enough else None
    return {
        "zeros": round(float((voxels[air] == 0).mean()), 3),
        "level": round(float(rest.mean() / top), 4),
        "mean_over_deviation": round(float(rest.mean() / rest.std()), 2),
        "neighbor_correlation": None if neighbors is None else round(float(neighbors), 2),
    }


def mean(described: list) -> dict | list | float:
    first = described[0]
    if isinstance(first, dict):
        return {key: mean([one[key] for one in described]) for key in first}
    if isinstance(first, list):
        return [mean(list(values)) for values in zip(*described)]
    return round(float(np.mean(described)), 4)


def draw(pictures: list[tuple[str, Volume, Volume]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from SynthMRILib.demo.pictures import slice_through

    figure = Figure(figsize=(12, 5.2 * len(pictures)), facecolor="black", layout="constrained")
    FigureCanvasAgg(figure)
    for row, (name, real, simulated) in zip(figure.subplots(len(pictures), 2), pictures):
        for axes, kind, volume in zip(row, ("real", "simulated"), (real, simulated)):
            inside = np.argwhere(volume.voxels > 0)[::50].mean(axis=0)[::-1]
            center = volume.grid.index_to_ras(inside) + np.array([0, 0, 12])
            picture = slice_through(volume, "Axial", tuple(center), (150, 180), pixel=0.5)
            top = np.percentile(volume.voxels[volume.voxels > 0], 99.5)
            axes.imshow(picture, cmap="gray", vmin=0, vmax=top)
            axes.set_title(f"{name} {kind}", color="white")
            axes.set_axis_off()
    figure.savefig(path, dpi=90, facecolor="black")


if __name__ == "__main__":
    sys.exit(main())
