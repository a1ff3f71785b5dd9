"""Early warning when a training goes wrong: one clear line for each kind of trouble, not a flood of them.

What it looks for among the figures of each step: numbers that are not finite; a critic whose loss stays far from ln 2
(it always tells, or it never does); features that become the same for everything; outputs that hardly vary. Figures
are averaged over the last steps, so that a single odd batch raises nothing.
"""

from __future__ import annotations

import math

from ..errors import SynthMRIError
from .adversarial_losses import BALANCE

#: Steps that an average looks back, and that pass before it is trusted.
MEMORY = 50
#: A critic's loss is far from ln 2 outside these limits.
TOO_GOOD, TOO_BAD = 0.1, 2 * BALANCE
#: Shares of the first feature variance, and of the variation of real patches, below which something collapses.
LEAST_FEATURES, LEAST_VARIATION = 0.25, 0.2


class TrainingCollapsed(SynthMRIError, FloatingPointError):
    """The training cannot go on."""


class Watch:
    """Sees the figures of every step; a trouble is told when it begins, and again only after it had gone."""

    def __init__(self) -> None:
        self.means: dict[str, float] = {}
        self.seen: dict[str, int] = {}
        self.told: set[str] = set()

    def see(self, figures: dict[str, float]) -> list[str]:
        """Sentences about what is wrong and was not told yet; usually none."""
        found = {}
        for name, value in figures.items():
            message = trouble(name, value) if not math.isfinite(value) else trouble(name, self._average(name, value))
            if message:
                found[name] = message
        new = [message for name, message in found.items() if name not in self.told]
        self.told = set(found)
        return new

    def _average(self, name: str, value: float) -> float | None:
        """The running mean, or None before it can be trusted."""
        self.seen[name] = self.seen.get(name, 0) + 1
        share = 1 / min(self.seen[name], MEMORY)
        self.means[name] = (1 - share) * self.means.get(name, 0.0) + share * value
        return self.means[name] if self.seen[name] >= MEMORY else None


def trouble(name: str, value: float | None) -> str | None:
    """What is wrong with an averaged figure, in one sentence with what to do; None when nothing is, or too early."""
    if value is None:
        return None
    if not math.isfinite(value):
        return f"'{name}' is {value}: lower the learning rate."
    if name.endswith("critic_loss") and value < TOO_GOOD:
        return (
            f"'{name}' stays at {value:.3f}, far below ln 2: the critic always tells, and the generator learns little "
            "from it. Lower 'opponent_rate' or add more instance noise."
        )
    if name.endswith("critic_loss") and value > TOO_BAD:
        return f"'{name}' stays at {value:.3f}, far above ln 2: the critic is lost. Lower 'opponent_rate'."
    if name == "feature_variance_left" and value < LEAST_FEATURES:
        return (
            f"The features have {value:.0%} of their first variance left: they are collapsing, and their loss says "
            "nothing. Use frozen features."
        )
    if name == "variation" and value < LEAST_VARIATION:
        return (
            f"Generated patches vary {value:.0%} as much as real ones: the generator is collapsing. Raise the weight "
            "of the pixel loss or lower the learning rate."
        )
    return None
