"""Noise of magnitude volumes: Rician for one channel, non-central chi for a root sum of squares of several.

The signal A and complex Gaussian noise of deviation sigma in each part of n channels give sqrt((A + g)^2 + chi), chi
being sigma^2 times a chi-square variate of 2 n - 1 degrees of freedom (Gudbjartsson 1995; Constantinides 1997).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .fields import smooth_field
from .records import Record, draw_seed

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class NoiseRecord(Record):
    """Noise of one volume.

    Args:
        sigma: deviation of the real and imaginary parts, fraction of the volume's 99.5th percentile.
        channels: number of channels in the root sum of squares; 1 is Rician.
        variation: standard deviation of the logarithm of a smooth factor on sigma (parallel imaging, normalization).
        length_mm: correlation length of that factor [mm].
        noise_seed: seed of the noise and of that factor.
    """

    kind: ClassVar[str] = "noise"
    sigma: float = 0.0
    channels: int = 1
    variation: float = 0.0
    length_mm: float = 60.0
    noise_seed: int = 0


def draw(rng: np.random.Generator, *, least: float = 0.003, most: float = 0.06) -> NoiseRecord:
    """Noise with log-uniform sigma between two fractions of the 99.5th percentile."""
    return NoiseRecord(
        sigma=float(np.exp(rng.uniform(np.log(least), np.log(most)))),
        channels=int(rng.choice([1, 1, 4, 8])),
        variation=float(rng.choice([0.0, rng.uniform(0.05, 0.35)])),
        length_mm=float(rng.uniform(40, 90)),
        noise_seed=draw_seed(rng),
    )


def apply(record: NoiseRecord, image: np.ndarray, *, spacing: Spacing = (1.0, 1.0, 1.0)) -> np.ndarray:
    """The magnitude image with noise, float32 (k, j, i); air gets the noise floor of the channels."""
    rng = np.random.default_rng(record.noise_seed)
    sigma = sigma_map(record, image, rng, spacing)
    return magnitude_noise(image, sigma, channels=record.channels, rng=rng)


def sigma_map(
    record: NoiseRecord, image: np.ndarray, rng: np.random.Generator, spacing: Spacing
) -> np.ndarray | np.float32:
    """Deviation of the noise in the units of the image: one number, or float32 (k, j, i) when it varies."""
    bright = image[image > 0]
    unit = float(np.percentile(bright, 99.5)) if bright.size else 1.0
    sigma = np.float32(record.sigma * unit)
    if record.variation <= 0:
        return sigma
    field = smooth_field(image.shape, rng, length=tuple(record.length_mm / s for s in spacing[::-1]))
    return sigma * np.exp(np.float32(record.variation) * field)


def magnitude_noise(
    image: np.ndarray, sigma: np.ndarray | float, *, channels: int = 1, rng: np.random.Generator
) -> np.ndarray:
    """Rician (one channel) or non-central chi noise on a magnitude image: float32 of its shape."""
    real = image + sigma * rng.standard_normal(image.shape, dtype=np.float32)
    if channels == 1:
        rest = rng.standard_normal(image.shape, dtype=np.float32) ** 2
    else:
        rest = 2 * rng.standard_gamma(channels - 0.5, image.shape, dtype=np.float32)
    return np.sqrt(real**2 + np.float32(1) * sigma**2 * rest).astype(np.float32)
