"""Turn a trained network into a bundle: float16 weights, metadata and a model card filled from the run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from .. import INTENDED_USE
from ..bundles import CARD, FORMAT, METADATA, WEIGHTS
from ..errors import InputError
from ..provenance import package_versions
from .card import card

#: Output channels of a network that does not name its own.
MEAN_AND_VARIANCE = ("mean", "log-variance")


@dataclass(frozen=True)
class BundleDescription:
    """What a bundle says of itself.

    Args:
        title: name shown in panels.
        task: task it is made for.
        description: one or two sentences for a radiologist.
        network_name: name in `bundles.NETWORKS`; network_arguments: its arguments, numbers or short lists of them.
        expects: contrasts and spacings it was trained for.
        training: facts of the training run (steps, seconds, data, simulation ranges).
        validation: figures on held-out data.
        limits: what it cannot do, one sentence each.
        experimental: True when it missed its floor.
        inputs: roles of the volumes it takes, in the order of the network's channels.
        section: anything else that its task reads from the `synthmri` section, JSON types only.
        data: whose data it learned from, one statement a source.
        intervals: validation figures by contrast and subject with their intervals, see `facts.interval_rows`.
    """

    title: str
    task: str
    description: str
    network_name: str
    network_arguments: dict[str, Any]
    expects: dict[str, Any]
    training: dict[str, Any]
    validation: dict[str, Any]
    limits: list[str] = field(default_factory=list)
    experimental: bool = False
    inputs: tuple[str, ...] = ("input",)
    section: dict[str, Any] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    intervals: list[dict[str, Any]] = field(default_factory=list)


def write_bundle(folder: Path, network: nn.Module, description: BundleDescription) -> Path:
    """Write a bundle to a new folder. Raises InputError when the folder is there already."""
    if folder.exists():
        raise InputError(f"The folder '{folder.name}' exists already. Choose another name or remove it.")
    weights = save({name: tensor.detach().half().contiguous() for name, tensor in network.state_dict().items()})
    sha256 = hashlib.sha256(weights).hexdigest()
    contents = {
        WEIGHTS: weights,
        METADATA: json.dumps(metadata(network, description, sha256), indent=2).encode(),
        CARD: card(network, description, sha256).encode(),
        "LICENSE": b"Weights: Apache-2.0. Training data: see the attribution in docs/README.md.\n",
    }
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def metadata(network: nn.Module, description: BundleDescription, sha256: str) -> dict[str, Any]:
    """Contents of metadata.json: the MONAI Bundle's fields and the `synthmri` section."""
    versions = package_versions()
    return {
        "version": "0.1.0",
        "name": description.title,
        "task": description.task,
        "description": description.description,
        "authors": "The SynthMRI contributors",
        "copyright": "Apache-2.0",
        "intended_use": INTENDED_USE,
        "data_source": "See docs/README.md",
        "monai_version": versions.get("monai", ""),
        "pytorch_version": torch.__version__,
        "numpy_version": versions.get("numpy", ""),
        "required_packages_version": {"safetensors": "0.4"},
        "network_data_format": {
            "inputs": {role: data_format(("volume",)) for role in description.inputs},
            "outputs": {"pred": data_format(getattr(network, "outputs", MEAN_AND_VARIANCE))},
        },
        "synthmri": {
            "format": FORMAT,
            "task": description.task,
            **description.section,
            "inputs": list(description.inputs),
            "network": {"name": description.network_name, "arguments": description.network_arguments},
            "sha256": sha256,
            "halo": network.receptive_field_radius,
            "scale": network.scale,
            "intensity": {"kind": "percentile", "percentile": 99.5},
            "expects": description.expects,
            "calibration": None,
            "training": description.training,
            "data": description.data,
            "validation": description.validation,
            "validation_intervals": description.intervals,
            "experimental": description.experimental,
        },
    }


def data_format(channels: tuple[str, ...]) -> dict[str, Any]:
    """One entry of the MONAI Bundle's `network_data_format`, of channels of these names."""
    return {
        "type": "image",
        "format": "magnitude",
        "modality": "MR",
        "num_channels": len(channels),
        "spatial_shape": ["*", "*", "*"],
        "dtype": "float32",
        "value_range": [] if channels == ("noise",) else [0, 1],
        "is_patch_data": True,
        "channel_def": {str(number): name for number, name in enumerate(channels)},
    }
