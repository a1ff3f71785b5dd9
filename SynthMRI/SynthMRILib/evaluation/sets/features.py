"""Feature vectors of slices: from a network that the user names, from the small one that comes along, or made by hand.

A Frechet or kernel distance means nothing without the name of its features: records hold it with the SHA-256 of the
weights, and distances in different features are never compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from ...bundles import find_bundles, load_bundle
from ...errors import InputError

TASK = "slice-features"
HAND_MADE = "hand-made"
SLICE_NETWORKS = ("SliceEncoder", "SliceResNet")
RESNETS = {f"resnet{depth}": depth for depth in (18, 34, 50, 101)}
SLICES_AT_ONCE = 64
RADII, LEVELS, DIRECTIONS = 16, 8, 8


@dataclass(frozen=True)
class FeatureSource:
    """Where features come from.

    Args:
        name: of the network, or "hand-made".
        sha256: of its weights; "" for hand-made features.
        note: what a reader of the figures has to know.
        compute: float array (slices, size) from float32 slices (slices, rows, columns) in network units.
    """

    name: str
    sha256: str
    note: str
    compute: Callable[[np.ndarray], np.ndarray]

    def of(self, slices: np.ndarray) -> np.ndarray:
        """Features (volumes, slices, size) of slices (volumes, slices, rows, columns)."""
        flat = slices.reshape(-1, *slices.shape[2:])
        parts = [self.compute(flat[n : n + SLICES_AT_ONCE]) for n in range(0, len(flat), SLICES_AT_ONCE)]
        return np.concatenate(parts).reshape(*slices.shape[:2], -1).astype(np.float64)


def feature_source(named: str | None, network: str | None = None) -> FeatureSource:
    """The features to compare in.

    Args:
        named: name or folder of a bundle, a safetensors file, "hand-made", or None for the best that is there.
        network: of a safetensors file: one of `RESNETS`.

    Raises:
        InputError, BundleError: there is no such network, or it is none for slices.
    """
    if named is None:
        bundles = find_bundles(TASK)
        return _of_bundle(bundles[0]) if bundles else _hand_made()
    if named == HAND_MADE:
        return _hand_made()
    if named.lower().endswith(".safetensors"):
        return _of_file(Path(named), network)
    return _of_bundle(load_bundle(named))


def _of_bundle(bundle) -> FeatureSource:
    kind = bundle.section["network"]["name"]
    if kind not in SLICE_NETWORKS:
        raise InputError(f"Bundle '{bundle.name}' makes no features of slices; name one with {SLICE_NETWORKS[0]}.")
    note = f"{bundle.title}: distances in these features compare with no others."
    return FeatureSource(bundle.name, bundle.weights_sha256, note, _running(bundle.build_network()))


def _of_file(path: Path, network: str | None) -> FeatureSource:
    from safetensors.torch import load

    from ...networks.slice_resnet import SliceResNet

    if network not in RESNETS:
        raise InputError(f"Say with --feature-network which network '{path.name}' is of: {', '.join(RESNETS)}.")
    if not path.is_file():
        raise InputError(f"There is no file '{path.name}'; check its name.")
    contents = path.read_bytes()
    made = SliceResNet(depth=RESNETS[network])
    try:
        weights = {name: tensor.float() for name, tensor in load(contents).items() if not name.startswith("fc.")}
        missing, surplus = made.load_state_dict(weights, strict=False)
    except Exception as error:  # safetensors raises its own kinds, torch RuntimeError: all mean the same here
        raise InputError(
            f"'{path.name}' holds no weights that fit a {network} ({error.__class__.__name__})."
        ) from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or surplus:
        raise InputError(
            f"'{path.name}' is no {network}: {(missing or surplus)[0]} is {'missing' if missing else 'extra'}."
        )
    note = f"{network} that the user gave; what it was trained on decides what its distances mean."
    return FeatureSource(network, hashlib.sha256(contents).hexdigest(), note, _running(made.eval()))


def _running(network) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    def compute(slices: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(np.ascontiguousarray(slices))[None, None])[0].numpy()

    return compute


def _hand_made() -> FeatureSource:
    note = "Hand-made: power spectrum, intensities and directions of edges. They see sharpness and noise, not anatomy."
    return FeatureSource(HAND_MADE, "", note, hand_made)


def hand_made(slices: np.ndarray) -> np.ndarray:
    """Logarithmic power in rings of frequency, quantiles of intensity, and how edges point, of each slice."""
    return np.stack([np.concatenate([_spectrum(s), _intensities(s), _edges(s)]) for s in slices.astype(np.float64)])


def _spectrum(cut: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.fft2(cut)) ** 2 / cut.size
    radius = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in cut.shape), indexing="ij"))
    rings = np.minimum((radius / 0.5 * RADII).astype(int), RADII - 1).ravel()
    return np.log10(np.bincount(rings, power.ravel(), RADII) / np.bincount(rings, minlength=RADII) + 1e-8)


def _intensities(cut: np.ndarray) -> np.ndarray:
    inside = cut[cut > 0.02]
    return np.quantile(inside, np.linspace(0.05, 0.95, LEVELS)) if inside.size else np.zeros(LEVELS)


def _edges(cut: np.ndarray) -> np.ndarray:
    across, along = (ndimage.sobel(cut, axis=axis) for axis in (0, 1))
    strength = np.hypot(across, along)
    direction = np.minimum(((np.arctan2(across, along) % np.pi) / np.pi * DIRECTIONS).astype(int), DIRECTIONS - 1)
    return np.bincount(direction.ravel(), strength.ravel(), DIRECTIONS) / max(strength.sum(), 1e-8)
