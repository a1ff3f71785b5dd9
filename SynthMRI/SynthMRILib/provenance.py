"""What made a volume, free of any patient identity.

Sources are named by a hash of their voxels, never by name or path.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from . import INTENDED_USE, __version__
from .volume import Volume

if TYPE_CHECKING:
    from .bundles import Bundle

PACKAGES = ("torch", "numpy", "scipy", "SimpleITK", "monai")


def volume_sha256(volume: Volume) -> str:
    """SHA-256 of voxels and geometry: the same volume has the same hash, whatever file or node holds it."""
    digest = hashlib.sha256(np.ascontiguousarray(volume.voxels).tobytes())
    digest.update(volume.grid.ijk_to_ras.tobytes())
    return digest.hexdigest()


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide the result; those not installed are left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def make_provenance(
    *, task: str, inputs: dict[str, Volume], parameters: dict[str, Any], bundle: Bundle | None, **facts: Any
) -> dict[str, Any]:
    """The record of a run, JSON types only.

    Args:
        task: name of the task.
        inputs: input volumes by role.
        parameters: parameters as the user gave them.
        bundle: the bundle used, or None when no network was.
        facts: anything else that decides the result (device, precision, tile, ...).
    """
    return {
        "synthetic": True,
        "intended_use": INTENDED_USE,
        "software": f"SynthMRI {__version__}",
        "packages": package_versions(),
        "task": task,
        "bundle": bundle_facts(bundle),
        "inputs": {role: volume_facts(volume) for role, volume in inputs.items()},
        "parameters": parameters,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }


def volume_facts(volume: Volume) -> dict[str, Any]:
    return {"sha256": volume_sha256(volume), "shape_kji": list(volume.shape), "spacing_mm": list(volume.spacing)}


def bundle_facts(bundle: Bundle | None) -> dict[str, Any] | None:
    if bundle is None:
        return None
    return {"name": bundle.name, "version": bundle.version, "sha256": bundle.weights_sha256}


def as_text(provenance: dict[str, Any]) -> str:
    """One line of JSON, for a node attribute or a file header."""
    return json.dumps(provenance, sort_keys=True, ensure_ascii=True)
