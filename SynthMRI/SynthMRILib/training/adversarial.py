"""The game between a generator and its critic, for any task whose network makes volumes.

A training holds a `Game`, hands its opponents to the loop (see `loop.OpposedTask`), adds `generator_loss` to its own
loss, and passes `opponent_loss` on. Three players: the generator, a critic that tells real from generated, and features
in which both are compared; features are frozen, or learn along under a guard. Gaussian noise on what the critic sees,
the same for real and generated, falls to zero over the training and keeps the game stable.

After the three-player GAN for brain MR super-resolution and DISGAN (Wang et al. 2022, 2023), relativistic average GAN
(Jolicoeur-Martineau 2018) and PatchGAN (Isola et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..networks.critics import PatchCritic, ResNetCritic
from ..networks.features import ResNetFeatures, frozen_features
from ..networks.wavelet_critic import WaveletCritic
from .adversarial_losses import (
    held_fixed,
    noise_level,
    patch_critic_loss,
    patch_generator_loss,
    relativistic_critic_loss,
    relativistic_generator_loss,
    with_same_noise,
)
from .feature_losses import GuardedFeatures, feature_loss

CRITICS = {"wavelet": WaveletCritic, "residual": ResNetCritic, "patch": PatchCritic}
OBJECTIVES = ("relativistic", "patch")
FEATURES = ("none", "frozen", "joint")


@dataclass(frozen=True)
class GameConfig:
    """The rules of the game.

    Args:
        critic: "wavelet", "residual" or "patch"; critic_features: width of its levels.
        objective: "relativistic" (average) or "patch".
        adversarial_weight: weight of the generator's adversarial loss.
        features: "none", "frozen" or "joint"; feature_widths: width of the feature network's stages.
        feature_weight: weight of the loss in feature space.
        noise: first standard deviation of the instance noise in network units; noise_steps: steps until it is gone.
        seed: seed of the weights of frozen features.

    Raises:
        InputError: a choice is unknown.
    """

    critic: str = "wavelet"
    critic_features: tuple[int, ...] = (8, 16, 32)
    objective: str = "relativistic"
    adversarial_weight: float = 0.005
    features: str = "frozen"
    feature_widths: tuple[int, ...] = (8, 16, 32, 64)
    feature_weight: float = 0.01
    noise: float = 0.1
    noise_steps: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("critic", CRITICS), ("objective", OBJECTIVES), ("features", FEATURES)):
            if getattr(self, name) not in known:
                raise InputError(f"The game has no {name} '{getattr(self, name)}'; it knows: {', '.join(known)}.")


class Game:
    """The opponents and what each side plays for; see the module."""

    def __init__(self, config: GameConfig) -> None:
        self.config = config
        self.critic: nn.Module | None = None
        self.features: nn.Module | None = None
        #: The pair of this step as the critic sees it, and without noise as the features see it.
        self._noisy: tuple[Tensor, Tensor] | None = None
        self._clean: tuple[Tensor, Tensor] | None = None

    def opponents(self) -> dict[str, nn.Module]:
        """Fresh networks that learn, by name; frozen features are built here too but do not learn."""
        config = self.config
        self.critic = CRITICS[config.critic](features=tuple(config.critic_features))
        learning = {"critic": self.critic}
        if config.features == "frozen":
            self.features = frozen_features(features=tuple(config.feature_widths), seed=config.seed)
        if config.features == "joint":
            self.features = GuardedFeatures(ResNetFeatures(features=tuple(config.feature_widths)))
            learning["features"] = self.features
        return learning

    def generator_loss(self, generated: Tensor, real: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """What the game adds to the generator's loss, and figures of it; keeps the pair for the opponents' turn.

        Args:
            generated, real: (n, 1, k, j, i) in network units.
        """
        config = self.config
        level = noise_level(step, start=config.noise, steps=config.noise_steps)
        noisy_real, noisy_generated = with_same_noise(real, generated, level)
        adversarial = self._adversarial(noisy_real, noisy_generated)
        self._noisy = noisy_real, noisy_generated.detach()
        self._clean = real, generated.detach()
        figures = {"adversarial": adversarial.item(), "variation": (generated.std() / real.std()).item()}
        total = config.adversarial_weight * adversarial
        if self.features is not None:
            self.features.to(real.device)
            difference = feature_loss(held_fixed(self.features, generated), self._real_features(real))
            total = total + config.feature_weight * difference
            figures["feature_difference"] = difference.item()
        return total, figures

    def _adversarial(self, real: Tensor, generated: Tensor) -> Tensor:
        on_generated = held_fixed(self.critic, generated)
        if self.config.objective == "patch":
            return patch_generator_loss(on_generated)
        with torch.no_grad():
            on_real = self.critic(real)
        return relativistic_generator_loss(on_real, on_generated)

    @torch.no_grad()
    def _real_features(self, real: Tensor) -> Tensor:
        return self.features(real)

    def opponent_loss(self, name: str, network: nn.Module) -> tuple[Tensor, dict[str, float]]:
        """The loss of an opponent on the pair of this step."""
        if name == "features":
            return self._features_loss(network)
        on_real, on_generated = network(torch.cat(self._noisy)).chunk(2)
        figures = {"told_apart": (on_real.mean() - on_generated.mean()).item()}
        kind = relativistic_critic_loss if self.config.objective == "relativistic" else patch_critic_loss
        return kind(on_real, on_generated), figures

    def _features_loss(self, network: nn.Module) -> tuple[Tensor, dict[str, float]]:
        real, generated = network(torch.cat(self._clean)).chunk(2)
        loss, left = self.features.loss(generated, real)
        return loss, {"feature_variance_left": left.item()}
