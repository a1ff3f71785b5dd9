"""What lies at a position, from a label map that the reader gives, with FreeSurfer's or other numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..volume import Volume

_PAIRS = {
    "cerebral white matter": (2, 41),
    "cerebral cortex": (3, 42),
    "lateral ventricle": (4, 43),
    "inferior lateral ventricle": (5, 44),
    "cerebellar white matter": (7, 46),
    "cerebellar cortex": (8, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "accumbens": (26, 58),
    "ventral diencephalon": (28, 60),
    "vessel": (30, 62),
}
_SINGLE = {
    14: "third ventricle",
    15: "fourth ventricle",
    16: "brain stem",
    24: "cerebrospinal fluid",
    72: "fifth ventricle",
    77: "lesion",
    85: "optic chiasm",
}
#: Names of the labels that FreeSurfer and SynthSeg share.
FREESURFER_NAMES: dict[int, str] = {
    **{label: f"{side} {name}" for name, pair in _PAIRS.items() for side, label in zip(("left", "right"), pair)},
    **_SINGLE,
}


def labels_at(segmentation: Volume, ras: np.ndarray) -> np.ndarray:
    """Integer labels at positions (n, 3) in RAS [mm], of the nearest voxel; 0 outside of the segmentation."""
    ijk = np.rint(segmentation.grid.ras_to_index(ras)).astype(int)
    inside = ((ijk >= 0) & (ijk < segmentation.grid.size)).all(axis=-1)
    found = np.zeros(len(ijk), dtype=int)
    i, j, k = ijk[inside].T
    found[inside] = np.rint(segmentation.voxels[k, j, i]).astype(int)
    return found


def place_of(segmentation: Volume, ras: np.ndarray, names: Mapping[int, str] | None = None) -> str:
    """The label that most of the positions (n, 3) lie in and the share of them, e.g. "right thalamus (62 %)".

    Args:
        names: names of the labels; FreeSurfer's by default. Empty when most lie in no label.
    """
    labels = labels_at(segmentation, ras)
    values, counts = np.unique(labels, return_counts=True)
    best = int(counts.argmax())
    if values[best] == 0:
        return ""
    known = FREESURFER_NAMES if names is None else names
    name = known.get(int(values[best]), f"label {values[best]}")
    return f"{name} ({100 * counts[best] / len(labels):.0f} %)"
