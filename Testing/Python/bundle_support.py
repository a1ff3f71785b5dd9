"""Small real bundles for tests: random weights, written by the product's own export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from SynthMRILib.bundles import Bundle, load_bundle
from SynthMRILib.networks.rrdb import RRDBNet
from SynthMRILib.training.export import BundleDescription, write_bundle

ARGUMENTS = {"features": 8, "growth": 4, "convolutions": 2, "dense_blocks": 1, "blocks": 1, "scale": 2, "dropout": 0.2}


def a_network(**changes: float) -> RRDBNet:
    """A small network whose output depends on all its layers."""
    torch.manual_seed(0)
    network = RRDBNet(**{**ARGUMENTS, **changes})
    torch.nn.init.normal_(network.exit.weight, std=0.02)
    return network.eval()


def described(
    task: str, network: str, arguments: dict[str, Any], section: dict[str, Any] | None = None, **more: Any
) -> BundleDescription:
    """What a bundle with random weights says of itself."""
    words = {"title": "Test network", "expects": {}, "validation": {}, **more}
    return BundleDescription(
        task=task,
        description="Random weights for tests; of no use for anything else.",
        network_name=network,
        network_arguments=arguments,
        training={"steps": 0},
        limits=["It was never trained."],
        section=section or {},
        **words,
    )


def make_bundle(folder: Path, *, task: str = "super-resolution", title: str = "Test network") -> Bundle:
    """A bundle on disk with random weights."""
    description = described(task, "RRDBNet", ARGUMENTS, title=title, expects={"contrasts": "any"})
    return load_bundle(write_bundle(folder, a_network(), description))


def install_thin_network(folder: Path) -> None:
    """A small network for thick slices with random weights."""
    from SynthMRILib.networks.unet import ResidualUNet

    arguments = {"channels": 4, "features": [4, 6], "convolutions": 1, "dropout": 0.2}
    torch.manual_seed(0)
    network = ResidualUNet(**arguments)
    torch.nn.init.normal_(network.exit.weight, std=0.004)
    description = described("through-plane", "ResidualUNet", arguments, title="Test thin slices")
    write_bundle(folder, network, description)
