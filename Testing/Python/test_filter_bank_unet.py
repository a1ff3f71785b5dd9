"""A U-Net on top of fixed filters: it begins at what they make, leaves them alone, and samples like any network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_support import described, make_bundle
from SynthMRILib.bundles import load_bundle
from SynthMRILib.errors import InputError
from SynthMRILib.networks.filter_bank import FilterBank
from SynthMRILib.networks.filter_bank_unet import FilterBankUNet
from SynthMRILib.training.cache import Entry, write_cache
from SynthMRILib.training.export import write_bundle
from SynthMRILib.training.run import train
from SynthMRILib.uncertainty.sampling import DropoutPasses

BORDERS = {"fluctuations": [0.05], "edges": [0.1], "conditions": [0.0, 1.0]}
SMALL = {"features": [4, 8], "convolutions": 1, "fold": 2}


def a_bank(seed: int = 0) -> FilterBank:
    generator = torch.Generator().manual_seed(seed)
    bank = FilterBank(**BORDERS)
    for parameter in (bank.taps, bank.far):
        parameter.data = 0.01 * torch.randn(parameter.shape, generator=generator)
    return bank


def a_network() -> FilterBankUNet:
    torch.manual_seed(0)
    network = FilterBankUNet(**BORDERS, **SMALL, dropout=0.5)
    network.bank.load_state_dict(a_bank().state_dict())
    return network


def a_volume() -> torch.Tensor:
    x = torch.rand(1, 2, 14, 17, 15, generator=torch.Generator().manual_seed(1))
    x[:, 1] = 0.4
    return x


def test_it_begins_at_what_the_filters_make() -> None:
    x = a_volume()
    with torch.no_grad():
        expected, _ = a_bank()(x)
        mean, log_variance = a_network().eval()(x)
    assert torch.equal(mean, expected)
    assert not torch.allclose(mean, x[:, :1])
    assert log_variance.shape == mean.shape


def test_the_filters_stay_as_they_are_while_the_rest_learns() -> None:
    network = a_network().train()
    mean, log_variance = network(a_volume())
    (mean.square().mean() + log_variance.mean()).backward()
    assert all(p.grad is None and not p.requires_grad for p in network.bank.parameters())
    assert network.unet.exit.weight.grad.abs().max() > 0


def test_tiles_see_all_that_the_whole_volume_does() -> None:
    network = a_network().eval()
    torch.nn.init.normal_(network.unet.exit.weight, std=0.1)
    radius, stride = network.receptive_field_radius, network.stride
    size = -(-(2 * radius + 4) // stride) * stride
    x = torch.rand(1, 2, size, 8, 8, generator=torch.Generator().manual_seed(2))
    x[:, 1] = 0.4
    changed = x.clone()
    changed[:, 0, 0] += 1
    with torch.no_grad():
        difference = (network(x)[0] - network(changed)[0]).abs().amax(dim=(0, 1, 3, 4))
    assert difference[0] > 0
    assert (difference[radius + 1 :] < 1e-6).all()


def test_passes_differ_once_it_has_learned() -> None:
    network = a_network().eval()
    torch.nn.init.normal_(network.unet.exit.weight, std=0.1)
    with torch.inference_mode():
        mean, epistemic, aleatoric = DropoutPasses(samples=4, seed=3)(network, a_volume())
    assert epistemic.max() > 0
    assert torch.isfinite(mean).all()
    assert (aleatoric > 0).all()


@pytest.fixture
def a_pair_cache(tmp_path: Path) -> Path:
    """One pair of noise, with motion and without."""
    rng = np.random.default_rng(0)
    still = rng.uniform(0.3, 1.0, (32, 32, 32)).astype(np.float16)
    moved = (still + rng.normal(0, 0.1, still.shape)).clip(0).astype(np.float16)
    facts = {
        "severity_mm": 1.0,
        "displacement_mm": 2.0,
        "sequence": "mprage",
        "order": "linear",
        "spacing_kji": [1.0, 1.0, 1.0],
    }
    entries = [Entry("head_01", "t1w", "simulated", False, extra={**facts, "moved": m}) for m in (True, False)]
    path = tmp_path / "pairs.safetensors"
    write_cache(path, list(zip(entries, (moved, still))))
    return path


def configuration(cache: Path, bank: Path) -> dict:
    return {
        "loop": {"steps": 2, "validate_every": 2, "checkpoint_every": 1, "log_every": 1, "learning_rate": 0.01},
        "patches": {"size": 24},
        "training": {
            "cache": str(cache),
            "validation_cache": str(cache),
            "network": SMALL,
            "bank": str(bank),
            "batch": 1,
            "validation_size": 24,
        },
    }


def test_training_refines_the_filters_of_a_bundle_and_keeps_them(a_pair_cache: Path, tmp_path: Path) -> None:
    description = described("motion-correction", "FilterBank", BORDERS, data=["Noise of a test."])
    write_bundle(tmp_path / "filters", a_bank(), description)
    config = configuration(a_pair_cache, tmp_path / "filters")
    train("motion-correction", config, tmp_path / "run", launch={"accelerator": "cpu"}, report=lambda _: None)
    bundle = load_bundle(tmp_path / "run" / "bundle")
    network, filters = bundle.build_network(), load_bundle(tmp_path / "filters").build_network()
    for name, value in filters.state_dict().items():
        assert torch.equal(network.bank.state_dict()[name], value)
    assert network.unet.exit.weight.abs().max() > 0
    assert any("Noise of a test." in line for line in bundle.section["data"])


def test_only_filters_can_be_refined(a_pair_cache: Path, tmp_path: Path) -> None:
    make_bundle(tmp_path / "other")
    config = configuration(a_pair_cache, tmp_path / "other")
    with pytest.raises(InputError, match="holds no filter bank"):
        train("motion-correction", config, tmp_path / "run", launch={"accelerator": "cpu"}, report=lambda _: None)
