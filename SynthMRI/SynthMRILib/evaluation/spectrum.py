"""Radial power spectrum: how much of a volume's power lies at each scale, and how an estimate's compares.

Regression blurs, and loses power at high frequencies; a good perceptual network has as much as a real volume. Power
says nothing about whether the detail is in the right place: read it beside HFEN and HaarPSI.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

#: Frequencies [cycles/voxel] above which detail was not in a volume of half the resolution, and of the sphere's edge.
DETAIL_FROM, DETAIL_TO = 0.25, 0.5


def radial_power(voxels: np.ndarray, *, bins: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies [cycles/voxel] at the middle of `bins` shells up to 0.5, and the mean power in each.

    A Hann window along every axis keeps the borders of the volume out of the spectrum.
    """
    window = [np.hanning(n + 2)[1:-1].astype(np.float32) for n in voxels.shape]
    tapered = voxels * window[0][:, None, None] * window[1][None, :, None] * window[2][None, None, :]
    power = np.abs(fft.rfftn(tapered)) ** 2
    axes = [np.fft.fftfreq(voxels.shape[0]), np.fft.fftfreq(voxels.shape[1]), np.fft.rfftfreq(voxels.shape[2])]
    radius = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2)
    edges = np.linspace(0, DETAIL_TO, bins + 1)
    shells = np.digitize(radius.ravel(), edges) - 1
    inside = shells < bins
    total = np.bincount(shells[inside], weights=power.ravel()[inside], minlength=bins)
    count = np.bincount(shells[inside], minlength=bins)
    return (edges[:-1] + edges[1:]) / 2, total / np.maximum(count, 1)


def detail_power_db(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Mean over the shells from 0.25 to 0.5 cycles/voxel of 10 log10 of the estimate's power over the reference's [dB].

    0 is as much detail as in the reference, negative is less. Both volumes (k, j, i) lie on the same grid.
    """
    frequencies, real = radial_power(reference)
    _, made = radial_power(estimate)
    detail = frequencies > DETAIL_FROM
    return float(np.mean(10 * np.log10(np.maximum(made[detail], 1e-12) / np.maximum(real[detail], 1e-12))))
