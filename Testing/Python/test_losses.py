"""Losses and the wavelet transform: what each is at points where its value is known."""

from __future__ import annotations

import math

import pytest
import torch
from SynthMRILib.evaluation import metrics
from SynthMRILib.networks.wavelet import BANDS, haar_forward, haar_inverse
from SynthMRILib.training.adversarial_losses import (
    BALANCE,
    held_fixed,
    noise_level,
    patch_critic_loss,
    patch_generator_loss,
    relativistic_critic_loss,
    relativistic_generator_loss,
    with_same_noise,
)
from SynthMRILib.training.feature_losses import GuardedFeatures, feature_loss, feature_variance
from SynthMRILib.training.losses import lesion_l1, lost_contrast, noise_prediction, ssim, ssim_loss, wavelet_loss
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_haar_gives_back_the_volume_exactly_and_keeps_its_energy() -> None:
    x = torch.randn(2, 3, 4, 6, 8, dtype=torch.float64)
    bands = haar_forward(x)
    assert bands.shape == (2, 3, 8, 2, 3, 4)
    assert (haar_inverse(bands) - x).abs().max() < 1e-14
    assert (bands**2).sum().item() == pytest.approx((x**2).sum().item(), rel=1e-12)


def test_haar_of_float32_is_exact_to_rounding() -> None:
    x = torch.rand(1, 1, 16, 16, 16)
    assert (haar_inverse(haar_forward(x)) - x).abs().max() < 1e-6


@pytest.mark.parametrize(("axis", "band"), [(2, "HLL"), (3, "LHL"), (4, "LLH")])
def test_haar_puts_a_change_along_an_axis_into_its_band(axis: int, band: str) -> None:
    x = torch.zeros(1, 1, 2, 2, 2)
    x.select(axis, 0).fill_(1.0)
    bands = haar_forward(x).flatten()
    assert bands[0].item() == pytest.approx(math.sqrt(2))
    assert bands[BANDS.index(band)].item() == pytest.approx(math.sqrt(2))
    assert bands.count_nonzero() == 2


def test_haar_refuses_odd_sizes() -> None:
    with pytest.raises(ValueError, match="even number"):
        haar_forward(torch.zeros(1, 1, 4, 5, 4))


def lesion_in_a_brain() -> tuple[Tensor, Tensor, Tensor]:
    """A target with a lesion of 0.9 in tissue of 0.1, the lesion and the brain."""
    lesion, brain = torch.zeros(2, 1, 12, 12, 12), torch.ones(2, 1, 12, 12, 12)
    lesion[0, 0, 5:8, 5:8, 5:8] = 1
    return 0.1 + 0.8 * lesion, lesion, brain


def test_lost_contrast_is_what_lesions_lack_against_their_surroundings() -> None:
    target, lesion, brain = lesion_in_a_brain()
    assert lost_contrast(0.1 + 0.5 * lesion, target, lesion, brain).item() == pytest.approx(0.3, abs=1e-6)
    brighter_around = target + 0.2 * (1 - lesion)
    assert lost_contrast(brighter_around, target, lesion, brain).item() == pytest.approx(0.2, abs=1e-6)


def test_lost_contrast_ignores_offsets_brighter_lesions_and_samples_without_any() -> None:
    target, lesion, brain = lesion_in_a_brain()
    assert lost_contrast(target + 0.3, target, lesion, brain).item() == pytest.approx(0, abs=1e-6)
    assert lost_contrast(target + 0.3 * lesion, target, lesion, brain).item() == 0
    assert lost_contrast(0 * target, target, 0 * lesion, brain).item() == 0


def test_wavelet_loss_sees_detail_and_not_an_offset() -> None:
    x = torch.rand(1, 1, 9, 8, 8)
    assert wavelet_loss(x + 0.3, x).item() == pytest.approx(0, abs=1e-6)
    ripple = torch.zeros_like(x)
    ripple[..., ::2] = 0.1
    assert wavelet_loss(x + ripple, x).item() == pytest.approx(4 * 0.1 / math.sqrt(8) / 7, rel=1e-4)


def test_ssim_is_the_one_of_the_evaluation() -> None:
    x = torch.rand(1, 1, 24, 20, 22)
    y = (x + 0.1 * torch.randn_like(x)).clamp(min=0)
    inside = torch.zeros(24, 20, 22, dtype=torch.bool)
    inside[5:-5, 5:-5, 5:-5] = True
    reference = metrics.ssim(x[0, 0].numpy(), y[0, 0].numpy(), mask=inside.numpy(), peak=1.0)
    assert ssim(y, x).item() == pytest.approx(reference, abs=1e-5)
    assert ssim_loss(x, x).item() == pytest.approx(0, abs=1e-5)


def test_ssim_refuses_patches_smaller_than_its_window() -> None:
    with pytest.raises(ValueError, match="at least 11"):
        ssim(torch.rand(1, 1, 10, 12, 12), torch.rand(1, 1, 10, 12, 12))


def test_lesion_loss_counts_every_load_alike_and_nothing_outside() -> None:
    target = torch.zeros(3, 1, 8, 8, 8)
    lesions = torch.zeros_like(target)
    lesions[0, 0, 2, 2, 2] = 1
    lesions[1, 0, 2:6, 2:6, 2:6] = 1
    prediction = target + 0.2 * lesions + 5 * (1 - lesions)
    assert lesion_l1(prediction, target, lesions).item() == pytest.approx(0.2)


def test_lesion_loss_without_lesions_is_zero() -> None:
    x = torch.rand(2, 1, 4, 4, 4)
    assert lesion_l1(x, x + 1, torch.zeros_like(x)).item() == 0


def test_noise_prediction_is_the_mean_squared_error() -> None:
    assert noise_prediction(torch.full((2, 1, 3, 3), 0.5), torch.zeros(2, 1, 3, 3)).item() == pytest.approx(0.25)


BALANCED = {
    "relativistic critic": lambda s: relativistic_critic_loss(s, s.flip(0)),
    "relativistic generator": lambda s: relativistic_generator_loss(s, s.flip(0)),
    "patch critic": lambda s: patch_critic_loss(0 * s, 0 * s),
    "patch generator": lambda s: patch_generator_loss(0 * s),
}


@pytest.mark.parametrize("game", BALANCED)
def test_where_nobody_can_tell_every_loss_is_ln_2(game: str) -> None:
    scores = torch.full((2, 1, 3, 3, 3), 1.7)
    assert BALANCED[game](scores).item() == pytest.approx(0.6931, abs=1e-4)
    assert pytest.approx(0.6931, abs=1e-4) == BALANCE


def test_relativistic_loss_depends_on_differences_alone() -> None:
    real, generated = torch.randn(2, 1, 4, 4, 4), torch.randn(2, 1, 4, 4, 4)
    one = relativistic_critic_loss(real, generated)
    assert relativistic_critic_loss(real + 5, generated + 5).item() == pytest.approx(one.item(), rel=1e-5)
    assert relativistic_critic_loss(real + 5, generated).item() < 0.1
    assert relativistic_generator_loss(real + 5, generated).item() > 4


def test_patch_critic_with_a_softer_real_label_is_least_at_that_label() -> None:
    best = torch.full((1, 1, 2, 2, 2), math.log(0.95 / 0.05))
    losses = [patch_critic_loss(best + d, best * 0 - 30, real_label=0.95).item() for d in (-1.0, 0.0, 1.0)]
    assert losses[1] == min(losses)


def test_instance_noise_is_the_same_on_both_sides_and_falls_to_zero() -> None:
    real, generated = torch.zeros(1, 1, 8, 8, 8), torch.ones(1, 1, 8, 8, 8)
    noisy_real, noisy_generated = with_same_noise(real, generated, 0.5)
    assert torch.allclose(noisy_generated - noisy_real, generated - real, atol=1e-6)
    assert noisy_real.std().item() == pytest.approx(0.5, rel=0.1)
    assert [noise_level(step, start=0.4, steps=100) for step in (0, 50, 100, 500)] == pytest.approx([0.4, 0.2, 0, 0])
    assert with_same_noise(real, generated, 0.0)[0] is real


def dirac_distance(*, noise: float, rate: float, steps: int) -> float:
    """How far the Dirac-GAN of Mescheder et al. is from its solution: real at 0, generated at x, critic w * position.

    Both sides step at once by `rate`; the losses are halves, so their gradients are doubled.
    """
    quantiles = (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    field = noise * math.sqrt(2) * torch.erfinv(2 * quantiles - 1)
    position = torch.tensor(0.01, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor(0.01, dtype=torch.float64, requires_grad=True)
    for _ in range(steps):
        critic = 2 * patch_critic_loss(weight * field, weight * (position.detach() + field))
        generator = patch_generator_loss(weight.detach() * (position + field))
        (weight_slope,) = torch.autograd.grad(critic, weight)
        (position_slope,) = torch.autograd.grad(generator, position)
        with torch.no_grad():
            weight -= rate * weight_slope
            position -= rate * position_slope
    return math.hypot(position.item(), weight.item())


@pytest.mark.parametrize(("noise", "rate", "converges"), [(0.5, 0.4, True), (0.5, 0.65, False), (0.0, 0.1, False)])
def test_instance_noise_makes_the_game_converge_up_to_the_rate_of_theory(
    noise: float, rate: float, converges: bool
) -> None:
    """With noise 0.5 theory says up to a rate of 0.5; without noise never."""
    before = math.hypot(0.01, 0.01)
    after = dirac_distance(noise=noise, rate=rate, steps=300)
    assert (after < 0.9 * before) is converges


def test_a_critic_that_is_held_fixed_passes_gradients_on_and_gets_none() -> None:
    critic = nn.Conv3d(1, 1, 3)
    x = torch.rand(1, 1, 4, 4, 4, requires_grad=True)
    scores = held_fixed(critic, x)
    assert torch.equal(scores, critic(x))
    scores.sum().backward()
    assert x.grad.abs().sum() > 0
    assert critic.weight.grad is None


class Scaled(nn.Module):
    """Features that can collapse: the input times one learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@pytest.mark.parametrize(("guarded", "most", "least"), [(False, 0.02, 0.0), (True, 1.0, 0.4)])
def test_the_guard_keeps_features_that_learn_along_from_collapsing(guarded: bool, most: float, least: float) -> None:
    features = GuardedFeatures(Scaled())
    optimizer = torch.optim.Adam(features.parameters(), lr=0.02)
    real, generated = torch.rand(2, 1, 6, 6, 6), torch.rand(2, 1, 6, 6, 6)
    for _ in range(300):
        loss, left = features.loss(features(generated), features(real))
        optimizer.zero_grad()
        (loss if guarded else feature_loss(features(generated), features(real))).backward()
        optimizer.step()
    assert least <= left.item() <= most


def test_variance_of_equal_features_is_zero() -> None:
    assert feature_variance(torch.ones(2, 3, 4, 4, 4)).item() == 0
