"""Training of motion correction against a critic, as the source did: the fidelity loss plus an adversarial one.

The source (Wang 2026) played a patch critic against a U-Net; here the same game (`adversarial.py`) is added to the
fidelity that the plain training has, so that both can be compared at the same budget.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .adversarial import Game, GameConfig
from .configuration import from_mapping
from .motion_correction import INNER, MotionCorrectionConfig, MotionCorrectionTraining
from .motion_patches import MotionPatchConfig


@dataclass(frozen=True)
class MotionAdversarialConfig(MotionCorrectionConfig):
    """What to train and on what; `game` holds the rules of the game."""

    game: GameConfig = field(default_factory=GameConfig)


class MotionAdversarialTraining(MotionCorrectionTraining):
    """An `OpposedTask` for the correction of motion."""

    bundle_task = "motion-correction"

    def __init__(self, config: MotionAdversarialConfig) -> None:
        super().__init__(config)
        self.game = Game(config.game)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MotionAdversarialTraining:
        """From "training" (with "game" in it) and "patches". Raises InputError for what it does not know."""
        values = dict(config.get("training", {}))
        values["game"] = from_mapping(GameConfig, values.get("game", {}), "game")
        values["patches"] = from_mapping(MotionPatchConfig, config.get("patches", {}), "patches")
        return cls(from_mapping(MotionAdversarialConfig, values, "training"))

    def opponents(self) -> dict[str, nn.Module]:
        return self.game.opponents()

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor, Tensor]:
        return *super().batch(step, rank, world), torch.tensor(step)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        moved, still, step = batch
        mean, loss, figures = self.fidelity(network, moved, still)
        game, more = self.game.generator_loss(mean, still[INNER], int(step))
        return loss + game, {**figures, **more}

    def opponent_loss(
        self, name: str, network: nn.Module, batch: tuple[Tensor, ...]
    ) -> tuple[Tensor, dict[str, float]]:
        del batch  # the game keeps the pair
        return self.game.opponent_loss(name, network)
