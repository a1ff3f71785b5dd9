"""Training of the perceptual end of super-resolution: from the fidelity bundle's weights on, against a critic.

The network keeps its architecture and starts where the fidelity network ended, so that the weights of both can be
interpolated (see `sharpness.py`); the bundle names its fidelity partner by hash. The losses are those of DISGAN (Wang
et al. 2023): pixels, features and a relativistic critic that sees wavelets; and, ours, the detail bands of the wavelet
transform, HaarPSI itself, and the likelihood that keeps the variance output true to the new errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..bundles import load_bundle
from ..errors import InputError
from ..evaluation.haarpsi import haarpsi_volume
from ..evaluation.metrics import hfen, quality_mask
from ..evaluation.spectrum import detail_power_db
from ..networks.rrdb import RRDBNet
from .adversarial import Game, GameConfig
from .configuration import from_mapping
from .haar_similarity import haar_similarity_loss
from .losses import foreground_weight, gaussian_likelihood, wavelet_loss
from .patches import PatchConfig
from .super_resolution import SuperResolutionConfig, SuperResolutionTraining


@dataclass(frozen=True)
class PerceptualConfig(SuperResolutionConfig):
    """What to train and on what.

    Args:
        start: name or folder of the fidelity bundle, the configuration's own "start"; the architecture is its own.
        pixel_weight: weight of the absolute error.
        wavelet_weight: weight of the absolute error of the detail bands.
        similarity_weight: weight of 1 - HaarPSI.
        game: the rules of the game.
    """

    start: str = ""
    pixel_weight: float = 1.0
    wavelet_weight: float = 0.0
    similarity_weight: float = 0.0
    game: GameConfig = field(default_factory=GameConfig)


class PerceptualTraining(SuperResolutionTraining):
    """An `OpposedTask` for the perceptual network of x2 super-resolution."""

    bundle_task = "super-resolution"

    def __init__(self, config: PerceptualConfig) -> None:
        super().__init__(config)
        self.start = load_bundle(config.start)
        if self.start.task != self.bundle_task or self.start.section["network"]["name"] != self.network_name:
            raise InputError(f"Bundle '{self.start.name}' is no {self.network_name} for {self.bundle_task}.")
        self.game = Game(config.game)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PerceptualTraining:
        """From "start", "training" (with "game" in it) and "patches". Raises InputError for what it does not know."""
        if "start" not in config:
            raise InputError("Perceptual training goes on from a fidelity bundle: name it as 'start'.")
        values = {**config.get("training", {}), "start": config["start"]}
        values["game"] = from_mapping(GameConfig, values.get("game", {}), "game")
        values["patches"] = from_mapping(PatchConfig, config.get("patches", {}), "patches")
        return cls(from_mapping(PerceptualConfig, values, "training"))

    @property
    def network_arguments(self) -> dict[str, Any]:
        """Those of the fidelity network, whose weights the run starts with."""
        return self.start.section["network"]["arguments"]

    def build_network(self) -> nn.Module:
        return RRDBNet(**self.network_arguments)

    @property
    def section(self) -> dict[str, Any]:
        """What the bundle's `synthmri` section says beyond every bundle's."""
        partner = {"name": self.start.name, "sha256": self.start.weights_sha256}
        return {"fidelity_partner": partner, "priority": -1}

    def opponents(self) -> dict[str, nn.Module]:
        return self.game.opponents()

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor, Tensor]:
        return *super().batch(step, rank, world), torch.tensor(step)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        low, high, step = batch
        mean, log_variance = network(low.contiguous(memory_format=torch.channels_last_3d))
        weight = foreground_weight(high)
        pixels = (weight * (mean - high).abs()).mean()
        detail = wavelet_loss(mean, high)
        likelihood = gaussian_likelihood(mean, log_variance, high, weight)
        game, figures = self.game.generator_loss(mean, high, int(step))
        own = self.config.pixel_weight * pixels + self.config.wavelet_weight * detail
        figures = {"pixels": pixels.item(), "detail": detail.item(), "likelihood": likelihood.item(), **figures}
        if self.config.similarity_weight:
            similarity = haar_similarity_loss(mean, high)
            own, figures = own + self.config.similarity_weight * similarity, {**figures, "haar": similarity.item()}
        return own + self.config.variance_weight * likelihood + game, figures

    def opponent_loss(
        self, name: str, network: nn.Module, batch: tuple[Tensor, ...]
    ) -> tuple[Tensor, dict[str, float]]:
        del batch  # the game keeps the pair
        return self.game.opponent_loss(name, network)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """The gain in PSNR, the power of detail against that of real blocks [dB] (0: as real), HFEN and HaarPSI."""
        kinds = {
            "gain_db": self.held_out.gain_db,
            "detail_db": lambda high, estimate, _: detail_power_db(high, estimate),
            "detail_error": lambda high, estimate, _: hfen(high, estimate),
            "haarpsi": lambda high, estimate, _: haarpsi_volume(high, estimate, mask=quality_mask(high), peak=1.0),
        }
        return self.held_out.figures(network, kinds)
