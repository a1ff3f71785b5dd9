"""What a generator and a critic play for: relativistic average GAN, PatchGAN, and noise that makes the game converge.

Scores are maps of any shape without a final activation; "real" scores belong to targets, "generated" ones to what the
generator made. Every loss is the mean of its two halves, so that ln 2 = 0.693 is where neither side can tell.

Sources: Jolicoeur-Martineau 2018 (relativistic average); Isola et al. 2017 (PatchGAN); Sonderby et al. 2017 and
Mescheder et al. 2018 (instance noise).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

#: The loss of either side where the critic cannot tell real from generated.
BALANCE = math.log(2)


def relativistic_critic_loss(real: Tensor, generated: Tensor) -> Tensor:
    """The critic's: real scores should lie above the mean generated one, and generated ones below the mean real one."""
    above = functional.softplus(generated.mean() - real).mean()
    below = functional.softplus(generated - real.mean()).mean()
    return 0.5 * (above + below)


def relativistic_generator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """The generator's: the same with real and generated exchanged."""
    return relativistic_critic_loss(generated, real)


def patch_critic_loss(real: Tensor, generated: Tensor, *, real_label: float = 1.0) -> Tensor:
    """The critic's: every patch of the score map says 1 for real and 0 for generated.

    Args:
        real_label: what real patches should say; 0.95 keeps the critic from being too sure.
    """
    labels = torch.full_like(real, real_label)
    on_real = functional.binary_cross_entropy_with_logits(real, labels)
    return 0.5 * (on_real + functional.softplus(generated).mean())


def patch_generator_loss(generated: Tensor) -> Tensor:
    """The generator's, in the form that does not saturate: -log of the chance that generated patches are real."""
    return functional.softplus(-generated).mean()


def noise_level(step: int, *, start: float, steps: int) -> float:
    """Standard deviation of the instance noise at a step: `start`, falling to zero linearly over `steps`."""
    return start * max(0.0, 1.0 - step / steps) if steps > 0 else 0.0


def with_same_noise(real: Tensor, generated: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Both with one and the same Gaussian noise field of standard deviation `level` added."""
    if level <= 0:
        return real, generated
    noise = level * torch.randn_like(real)
    return real + noise, generated + noise


def held_fixed(critic: nn.Module, x: Tensor) -> Tensor:
    """Scores of `x` by a critic whose weights get no gradient from it, for the generator's step."""
    weights = {name: value.detach() for name, value in critic.named_parameters()}
    return torch.func.functional_call(critic, weights, (x,))
