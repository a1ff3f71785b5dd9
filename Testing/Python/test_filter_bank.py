"""The filter bank: the same in every orientation, exact in tiles, and bounded by what its classes have learned."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from SynthMRILib.networks.filter_bank import FilterBank, box_mean, kernels_of


@pytest.fixture
def a_bank() -> FilterBank:
    """Random small filters; borders that a noisy volume crosses."""
    torch.manual_seed(1)
    bank = FilterBank(fluctuations=(0.1, 0.2), edges=(0.05, 0.1), conditions=(0.0, 0.5, 1.0))
    for parameter in (bank.taps, bank.far):
        torch.nn.init.normal_(parameter, std=0.05)
    return bank.eval()


def a_volume(shape: tuple[int, int, int] = (24, 26, 28)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    smooth = box_mean(torch.rand((1, 1, *shape), generator=generator), 5)
    return smooth + 0.3 * torch.rand((1, 1, *shape), generator=generator)


def told(volume: torch.Tensor, condition: float) -> torch.Tensor:
    return torch.cat([volume, torch.full_like(volume, condition)], dim=1)


@torch.inference_mode()
def mean_of(bank: FilterBank, volume: torch.Tensor, condition: float = 0.5) -> torch.Tensor:
    return bank(told(volume, condition))[0]


def test_a_bank_without_weights_changes_nothing():
    assert torch.equal(mean_of(FilterBank().eval(), a_volume()), a_volume())


@pytest.mark.parametrize("axes", list(itertools.permutations((2, 3, 4)))[1:])
def test_turning_the_volume_turns_the_result(a_bank, axes):
    turned = a_volume().permute(0, 1, *axes)
    expected = mean_of(a_bank, a_volume()).permute(0, 1, *axes)
    assert torch.allclose(mean_of(a_bank, turned.contiguous()), expected, atol=1e-5)


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_mirroring_the_volume_mirrors_the_result(a_bank, axis):
    mirrored = mean_of(a_bank, a_volume().flip(axis))
    assert torch.allclose(mirrored.flip(axis), mean_of(a_bank, a_volume()), atol=1e-5)


def test_nothing_beyond_the_receptive_field_matters(a_bank):
    volume = a_volume()
    changed = volume.clone()
    changed[..., 20:] = 0
    radius = a_bank.receptive_field_radius
    assert torch.equal(mean_of(a_bank, volume)[..., : 20 - radius], mean_of(a_bank, changed)[..., : 20 - radius])
    assert not torch.allclose(mean_of(a_bank, volume)[..., 19], mean_of(a_bank, changed)[..., 19])


def test_conditions_between_two_known_ones_are_interpolated(a_bank):
    low, between, high = (mean_of(a_bank, a_volume(), c) for c in (0.5, 0.75, 1.0))
    assert torch.allclose(between, (low + high) / 2, atol=1e-5)
    assert torch.equal(mean_of(a_bank, a_volume(), 7.0), high)
    unknown = mean_of(a_bank, a_volume(), -1.0)
    assert not torch.equal(unknown, mean_of(a_bank, a_volume(), 0.0))


def test_kernels_are_symmetric_along_each_axis():
    kernel = kernels_of(torch.arange(27.0)[None])[0]
    for axis in range(3):
        assert torch.equal(kernel, kernel.flip(axis))
    assert kernel[2, 2, 2] == 0
    assert kernel[0, 2, 2] == 18


@pytest.mark.parametrize("size", [3, (1, 5, 1), 9])
def test_a_box_mean_is_the_mean_of_the_box(size):
    volume = a_volume((12, 13, 14))
    sizes = (size,) * 3 if isinstance(size, int) else size
    place = (6, 6, 7)
    box = volume[0, 0][tuple(slice(p - n // 2, p + n // 2 + 1) for p, n in zip(place, sizes))]
    assert box_mean(volume, size)[(0, 0, *place)].item() == pytest.approx(float(np.mean(box.numpy())), abs=1e-6)


def test_a_volume_may_be_thinner_than_the_widest_filter(a_bank):
    thin = a_volume()[:, :, 8:12]
    assert mean_of(a_bank, thin).shape == thin.shape
