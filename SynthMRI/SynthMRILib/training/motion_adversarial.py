"""Training of motion correction against a critic, as the source did: the fidelity loss plus an adversarial one.

The source (Wang 2026) played a critic and features against its network; here the game (`adversarial.py`) is added to
the fidelity that the plain training has, so that both can be compared at the same budget. Where it starts from a bundle
for motion correction with the same network, the result is the perceptual end of that one, whose weights can be mixed
with its own (`sharpness.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..bundles import load_bundle
from ..evaluation.metrics import hfen
from ..evaluation.spectrum import detail_power_db
from ..motion.condition import TOLD
from ..sharpness import PARTNER
from .adversarial import Game, GameConfig
from .configuration import from_mapping
from .motion_correction import INNER, MotionCorrectionConfig, MotionCorrectionTraining, corrected_block
from .motion_patches import MotionPatchConfig


@dataclass(frozen=True)
class MotionAdversarialConfig(MotionCorrectionConfig):
    """What to train and on what.

    Args:
        start: name or folder of the bundle that training starts from, the configuration's own "start"; may be empty.
        game: the rules of the game.
    """

    start: str = ""
    game: GameConfig = field(default_factory=GameConfig)


class MotionAdversarialTraining(MotionCorrectionTraining):
    """An `OpposedTask` for the correction of motion."""

    bundle_task = "motion-correction"

    def __init__(self, config: MotionAdversarialConfig) -> None:
        super().__init__(config)
        self.game = Game(config.game)
        start = load_bundle(config.start) if config.start else None
        network = {"name": self.network_name, "arguments": self.network_arguments}
        is_partner = start is not None and start.task == self.bundle_task and start.section["network"] == network
        self.partner = start if is_partner else None

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MotionAdversarialTraining:
        """From "start", "training" (with "game" in it) and "patches". Raises InputError for what it does not know."""
        values = {**config.get("training", {}), "start": config.get("start", "")}
        values["game"] = from_mapping(GameConfig, values.get("game", {}), "game")
        values["patches"] = from_mapping(MotionPatchConfig, config.get("patches", {}), "patches")
        return cls(from_mapping(MotionAdversarialConfig, values, "training"))

    @property
    def section(self) -> dict[str, Any]:
        """What the bundle's `synthmri` section says beyond every bundle's."""
        if self.partner is None:
            return TOLD
        named = {"name": self.partner.name, "sha256": self.partner.weights_sha256}
        return {**TOLD, PARTNER: named, "priority": -1}

    def opponents(self) -> dict[str, nn.Module]:
        return self.game.opponents()

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, Tensor, Tensor]:
        return *super().batch(step, rank, world), torch.tensor(step)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        moved, still, step = batch
        mean, loss, figures = self.fidelity(network, moved, still)
        game, more = self.game.generator_loss(mean, still[INNER], int(step))
        return loss + game, {**figures, **more}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """As the plain training; of moved and corrected blocks also HFEN and the power of detail [dB] (0: as true)."""
        kinds = {"detail_error": hfen, "detail_db": detail_power_db}
        found: dict[str, list[float]] = {f"{kind}_{of}": [] for kind in kinds for of in ("moved", "corrected")}
        for _, moved, still, change in self.held_out.pairs:
            blocks = {"moved": moved, "corrected": corrected_block(network, moved, change)}
            for kind, measure in kinds.items():
                for of, block in blocks.items():
                    found[f"{kind}_{of}"].append(measure(still, block))
        return {**super().validate(network), **{n: round(float(np.mean(v)), 4) for n, v in found.items()}}

    def opponent_loss(
        self, name: str, network: nn.Module, batch: tuple[Tensor, ...]
    ) -> tuple[Tensor, dict[str, float]]:
        del batch  # the game keeps the pair
        return self.game.opponent_loss(name, network)
