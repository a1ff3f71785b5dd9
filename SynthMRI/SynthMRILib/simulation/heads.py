"""Whole heads of any contrast from a label map: sharp, noise-free volumes on which networks learn what edges look like.

Relaxation times are drawn for every tissue, signals come from the sequence equations (`contrast`), partial volume from
softened labels, variation within tissues from smooth random fields.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from . import contrast as sequences
from .fields import binomial_smooth, smooth_field
from .tissue import BRAIN_LABELS, SOFT_TISSUE_LABEL, TISSUE_INDEX, TISSUES, tissues_of

CONTRASTS = ("t1w", "t2w", "flair", "t1w-contrast-enhanced", "random")


def simulate_head(
    labels: np.ndarray,
    rng: np.random.Generator,
    *,
    contrast: str,
    voxel_mm: float = 1.0,
    bias: float = 0.0,
) -> np.ndarray:
    """A noise-free head volume, sharp along every axis.

    Args:
        labels: integers (k, j, i), FreeSurfer numbering with 5xx for extra-cerebral tissue.
        rng: everything random is drawn from it.
        contrast: one of CONTRASTS; "random" gives every tissue an arbitrary intensity.
        voxel_mm: voxel size of the label map [mm].
        bias: standard deviation of the logarithm of a smooth intensity bias; 0 for none.

    Returns:
        float32 (k, j, i), zero in air, 99.5th percentile of the non-zero voxels 1.
    """
    if contrast not in CONTRASTS:
        raise ValueError(f"unknown contrast {contrast!r}; known: {', '.join(CONTRASTS)}")
    tissues = _with_fat(labels, rng, voxel_mm)
    signals = _tissue_signals(contrast, rng)
    image = _render(tissues, signals, rng, voxel_mm)
    if bias > 0:
        image *= np.exp(bias * smooth_field(image.shape, rng, length=80.0 / voxel_mm))
    foreground = image[image > 0]
    scale = np.percentile(foreground, 99.5) if foreground.size else 1.0
    return (image / np.float32(scale)).astype(np.float32)


def strip(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The image with everything outside the brain set to zero, with a soft margin of about one voxel of fluid."""
    table = np.zeros(int(labels.max()) + 1, dtype=bool)
    table[[label for label in BRAIN_LABELS if label < table.size]] = True
    mask = ndimage.binary_fill_holes(ndimage.binary_closing(table[labels], iterations=2))
    return np.where(ndimage.binary_dilation(mask), image, 0).astype(np.float32)


def _with_fat(labels: np.ndarray, rng: np.random.Generator, voxel_mm: float) -> np.ndarray:
    """Tissue map whose soft tissue is divided: fat under the skin and between muscles, muscle elsewhere."""
    tissues = tissues_of(labels)
    soft = labels == SOFT_TISSUE_LABEL
    if not soft.any():
        return tissues
    skin = (labels == 511) | (labels == 0)
    depth = ndimage.distance_transform_edt(~skin).astype(np.float32) * np.float32(voxel_mm)
    thickness = rng.uniform(3.0, 7.0) + rng.uniform(0.5, 1.5) * smooth_field(labels.shape, rng, length=20 / voxel_mm)
    planes = np.abs(smooth_field(labels.shape, rng, length=12 / voxel_mm)) < rng.uniform(0.05, 0.25)
    tissues[soft & ((depth < thickness) | planes)] = TISSUE_INDEX["fat"]
    return tissues


def _tissue_signals(contrast: str, rng: np.random.Generator) -> np.ndarray:
    """Signal of every tissue for a randomly drawn protocol."""
    if contrast == "random":
        signals = rng.uniform(0.05, 1.0, len(TISSUES))
        signals[TISSUE_INDEX["air"]] = 0
        signals[TISSUE_INDEX["compact-bone"]] *= rng.uniform(0.05, 0.5)
        return signals
    field = float(rng.choice([1.5, 3.0, 3.0]))
    drawn = [tissue.at_field(field) for tissue in TISSUES]
    spread = np.array([tissue.spread for tissue in drawn])
    t1 = np.array([t.t1 for t in drawn]) * np.exp(spread * rng.standard_normal(len(drawn)))
    t2 = np.array([t.t2 for t in drawn]) * np.exp(spread * rng.standard_normal(len(drawn)))
    t2s = np.minimum(np.array([t.t2_star for t in drawn]), t2)
    pd = np.array([t.proton_density for t in drawn])
    if contrast == "t1w-contrast-enhanced":
        for name in ("vein", "artery", "choroid-plexus", "mucosa", "leptomeninges"):
            t1[TISSUE_INDEX[name]] = 1 / (1 / t1[TISSUE_INDEX[name]] + rng.uniform(0.6, 2.0) * 4.5e-3 * 0.4)
    return _flow_and_fat(np.abs(_sequence(contrast, pd, t1, t2, t2s, rng)), contrast, rng)


def _sequence(contrast: str, pd, t1, t2, t2s, rng: np.random.Generator) -> np.ndarray:
    if contrast == "t2w":
        return sequences.spin_echo(pd, t1, t2, tr=rng.uniform(2600, 8000), te=rng.uniform(80, 115), train=200.0)
    if contrast == "flair":
        tr = rng.uniform(4800, 10000)
        ti = 4300 * np.log(2 / (1 + np.exp(-(tr - 600) / 4300))) * rng.uniform(0.92, 1.03)
        return sequences.flair(pd, t1, t2, tr=tr, te=rng.uniform(90, 130), ti=ti, train=600.0)
    if rng.random() < 0.6:
        return sequences.mprage(
            pd, t1, t2s, tr=rng.uniform(1900, 2500), ti=rng.uniform(850, 1050), flip=9.0, spacing=7.0, pulses=176
        )
    if rng.random() < 0.5:
        return sequences.spin_echo(pd, t1, t2, tr=rng.uniform(450, 700), te=rng.uniform(8, 15))
    return sequences.spoiled_gradient_echo(pd, t1, t2s, tr=rng.uniform(8, 30), te=3.5, flip=rng.uniform(12, 28))


def _flow_and_fat(signals: np.ndarray, contrast: str, rng: np.random.Generator) -> np.ndarray:
    """Flowing blood is void in spin echoes; fat is bright unless the protocol suppresses it."""
    blood = [TISSUE_INDEX["artery"], TISSUE_INDEX["vein"]]
    if contrast in ("t2w", "flair"):
        signals[blood] *= rng.uniform(0.05, 0.5, 2)
    if rng.random() < 0.4:
        signals[[TISSUE_INDEX["fat"], TISSUE_INDEX["marrow"]]] *= rng.uniform(0.05, 0.3)
    return signals


def _render(tissues: np.ndarray, signals: np.ndarray, rng: np.random.Generator, voxel_mm: float) -> np.ndarray:
    """Sum of tissue fractions times tissue signals with texture."""
    fine = binomial_smooth(rng.standard_normal(tissues.shape, dtype=np.float32), weight=0.2) * np.float32(2.2)
    coarse = [smooth_field(tissues.shape, rng, length=length / voxel_mm) for length in (3.0, 9.0, 30.0)]
    texture = 0.35 * fine + 0.5 * coarse[0] + 0.5 * coarse[1]
    total = np.zeros(tissues.shape, dtype=np.float32)
    weight = np.full(tissues.shape, 1e-6, dtype=np.float32)
    for index in np.unique(tissues):
        box = _padded_box(tissues == index)
        part = binomial_smooth((tissues[box] == index).astype(np.float32), weight=0.2)
        part *= part
        weight[box] += part
        if signals[index] > 0:
            own = rng.uniform(0.7, 1.6) * TISSUES[index].texture
            shade = 1 + own * texture[box] + rng.normal(0, 0.02) * coarse[2][box]
            total[box] += part * (np.float32(signals[index]) * shade)
    return np.maximum(total / weight, 0)


def _padded_box(mask: np.ndarray) -> tuple[slice, ...]:
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    return tuple(slice(max(s.start - 2, 0), min(s.stop + 2, n)) for s, n in zip(box, mask.shape))
