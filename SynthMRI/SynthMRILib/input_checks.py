"""Whether a volume can be enhanced at all: layout, geometry and intensities, from arrays alone.

The same checks serve files, Slicer's nodes and cohorts. Codes are stable; limits stand here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .findings import Finding
from .volume import Grid, Volume

#: Fewest voxels along an axis.
MIN_AXIS = 16
#: Most voxels along an axis.
MAX_AXIS = 2048
#: Spacing of brain MR [mm]; outside of it the unit of the file is doubtful.
USUAL_SPACING = (0.1, 10.0)
#: Largest cosine between two axes: 0.06 degrees, far above the rounding of any file format.
SHEAR_TOLERANCE = 1e-3
#: An intensity at or below this is air in Hounsfield units, or a phase, never an MR magnitude.
CT_MINIMUM = -500.0
#: An integer volume with at most so many distinct values is taken for labels.
LABEL_VALUES = 32
#: With more distinct values than this no volume is taken for labels.
LABEL_VALUES_SEARCHED = 4096
#: Share of equal neighbors above which integers are labels: 0.86 and more in head label maps, at most 0.07 in MR.
LABEL_NEIGHBORS = 0.5


def check_volume(volume: Volume) -> list[Finding]:
    """Everything that keeps the volume from being enhanced, or that its owner should know.

    Looks at voxels and grid; `volume.header` adds what only a file knows (see `volume_io.read_volume`).
    Takes less than a second for 256 x 256 x 256 voxels.
    """
    findings = (check_layout(volume.grid.size) or check_axes(volume.grid.size)) + check_grid(volume.grid)
    if volume.voxels.size:
        findings += check_intensities(volume)
    return findings + check_header(volume.header)


def check_layout(size: Sequence[int], components: int = 1) -> list[Finding]:
    """Findings that keep data of `size` voxels (i, j, k, ...) from being one scalar 3D volume at all."""
    size = tuple(int(n) for n in size)
    shown = " x ".join(map(str, size))
    if 0 in size:
        return [_error("volume-empty", "The volume has no voxels; load another one.")]
    if components != 1:
        message = f"Every voxel holds {components} values (color, vector or frames); extract one of them first."
        return [_error("volume-components", message)]
    if len(size) > 3 and max(size[3:]) > 1:
        return [_error("volume-frames", f"The data have {len(size)} dimensions ({shown}); choose one frame first.")]
    if len(size) < 3 or min(size[:3]) == 1:
        return [_error("volume-two-dimensional", f"The data are a single slice ({shown}); a 3D volume is needed.")]
    if max(size) > MAX_AXIS:
        message = f"The volume ({shown}) has more than {MAX_AXIS} voxels along an axis; crop or resample it first."
        return [_error("volume-axis-long", message)]
    return []


def check_axes(size: Sequence[int]) -> list[Finding]:
    """Findings about a field of view of too few voxels."""
    if min(size) >= MIN_AXIS:
        return []
    shown = " x ".join(map(str, size))
    message = f"The volume ({shown}) has fewer than {MIN_AXIS} voxels along an axis; choose a larger one."
    return [_error("volume-axis-short", message)]


def check_grid(grid: Grid) -> list[Finding]:
    """Findings about spacing and axes."""
    if not np.isfinite(grid.ijk_to_ras).all():
        return [_error("volume-geometry", "The volume's position or spacing is not a number; correct its geometry.")]
    if min(grid.spacing) <= 0:
        return [_error("volume-spacing", f"The spacing ({_mm(grid)}) must be positive; correct the geometry.")]
    cosines = np.abs(grid.directions.T @ grid.directions - np.eye(3)).max()
    if cosines > SHEAR_TOLERANCE:
        tilt = np.degrees(np.arcsin(min(cosines, 1.0)))
        message = f"The axes are not at right angles (off by {tilt:.1f} degrees); resample to a rectangular grid first."
        return [_error("volume-shear", message)]
    if not all(USUAL_SPACING[0] <= s <= USUAL_SPACING[1] for s in grid.spacing):
        message = f"The spacing ({_mm(grid)}) is unusual for brain MR; check its unit."
        return [_warning("volume-spacing-unusual", message)]
    return []


def check_intensities(volume: Volume) -> list[Finding]:
    """Findings about the intensities of a volume that has voxels."""
    lowest, highest = float(volume.voxels.min()), float(volume.voxels.max())
    if not np.isfinite([lowest, highest]).all():
        count = volume.voxels.size - np.count_nonzero(np.isfinite(volume.voxels))
        message = f"Voxels that are not finite (NaN or infinite): {count}; replace them first, for example by 0."
        return [_error("volume-not-finite", message)]
    if lowest == highest == 0:
        return [_error("volume-zero", "All voxels are zero; load another volume.")]
    if lowest == highest:
        return [_error("volume-constant", f"All voxels have the same value ({lowest:g}); load another volume.")]
    return [*_check_labels(volume), *_check_lowest(volume, lowest)]


def check_header(header: dict) -> list[Finding]:
    """Findings about the facts that came with a file."""
    findings = []
    modality = header.get("Modality", "MR")
    if modality != "MR":
        findings.append(_warning("volume-modality", f"The file says it is {modality}, not MR; SynthMRI expects MR."))
    if header.get("OrientationUnknown"):
        message = "The file does not say how the volume is oriented; left and right may be swapped, check them."
        findings.append(_warning("volume-orientation-unknown", message))
    if header.get("OrientationConflict"):
        message = f"The file holds two positions {header['OrientationConflict']:.1f} mm apart; Slicer's choice is used."
        findings.append(_warning("volume-orientation-conflict", message))
    if header.get("Synthetic"):
        message = "The volume is synthetic already; what is made from it may drift further from the patient."
        findings.append(_warning("volume-synthetic", message))
    return findings


def _check_lowest(volume: Volume, lowest: float) -> list[Finding]:
    if lowest <= CT_MINIMUM:
        message = f"Intensities go down to {lowest:g} as in CT or phase images; SynthMRI expects an MR magnitude."
        return [_warning("volume-ct", message)]
    if lowest < 0:
        share = 100 * np.count_nonzero(volume.voxels < 0) / volume.voxels.size
        shown = f"{share:.0f}" if share >= 10 else f"{share:.2g}"
        message = f"{shown} % of the voxels are negative (lowest {lowest:g}), which an MR magnitude never is."
        return [_warning("volume-negative", message)]
    return []


def _check_labels(volume: Volume) -> list[Finding]:
    stored = str(volume.header.get("PixelType", ""))
    if volume.header.get("Intent") != "label" and not looks_like_labels(volume.voxels):
        return []
    if volume.header.get("Intent") == "label" or "int" in stored:
        return [_error("volume-label", "The volume holds labels, not intensities; choose the MR volume instead.")]
    return [_warning("volume-label-like", "The volume looks like labels; check that it is an MR volume.")]


def looks_like_labels(voxels: np.ndarray) -> bool:
    """True for integers that are few, or that mostly equal their neighbor (background, the commonest, apart).

    Every eighth slice is looked at first: it tells MR from labels in a fraction of the time.
    """
    return _are_labels(voxels[::8]) and _are_labels(voxels)


def _are_labels(voxels: np.ndarray) -> bool:
    if (voxels != np.rint(voxels)).any():
        return False
    values, counts = np.unique(voxels, return_counts=True) if np.ptp(voxels) > 2**16 else _count_integers(voxels)
    if values.size <= LABEL_VALUES:
        return True
    if values.size > LABEL_VALUES_SEARCHED:
        return False
    return _share_of_equal_neighbors(voxels, background=values[counts.argmax()]) > LABEL_NEIGHBORS


def _count_integers(voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values and their counts; faster than sorting where the range of integers is small.

    Slice by slice, because numpy keeps all other threads from running while it counts.
    """
    lowest, highest = voxels.min(), voxels.max()
    counts = np.zeros(int(highest - lowest) + 1, dtype=np.int64)
    for plane in voxels:
        counts += np.bincount((plane.ravel() - lowest).astype(np.int32), minlength=counts.size)
    values = np.flatnonzero(counts)
    return values + lowest, counts[values]


def _share_of_equal_neighbors(voxels: np.ndarray, background: float) -> float:
    left, right = voxels[..., :-1], voxels[..., 1:]
    inside = (left != background) & (right != background)
    return np.count_nonzero(inside & (left == right)) / max(np.count_nonzero(inside), 1)


def _mm(grid: Grid) -> str:
    return " x ".join(f"{s:.4g}" for s in grid.spacing) + " mm"


def _error(code: str, message: str) -> Finding:
    return Finding("error", code, message)


def _warning(code: str, message: str) -> Finding:
    return Finding("warning", code, message)
