"""How fast a diffusion process adds noise, and the steps that take it out again (Ho et al. 2020; Song et al. 2021).

With b the variance added in a step, a = 1 - b and A the product of all a so far:

    noisy      x_t = sqrt(A_t) x_0 + sqrt(1 - A_t) e
    clean      x_0 = (x_t - sqrt(1 - A_t) e) / sqrt(A_t)
    posterior  mean (sqrt(A_{t-1}) b_t x_0 + sqrt(a_t) (1 - A_{t-1}) x_t) / (1 - A_t)
               variance b_t (1 - A_{t-1}) / (1 - A_t)
    DDIM       x_s = sqrt(A_s) x_0 + sqrt(1 - A_s - s^2) e + s z,
               s = eta sqrt((1 - A_s) / (1 - A_t)) sqrt(1 - A_t / A_s)

Steps count from 1 to T, and A_0 = 1. The variance grows linearly from 1e-4 to 0.02 over T = 1000 steps.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Clean values are kept within these: network units 0 to 1.5, mapped so that 0 to 1 become -1 to 1.
LIMITS = (-1.0, 2.0)


class NoiseSchedule:
    """The linear schedule.

    Args:
        steps: T.
        first, last: variance added in step 1 and in step T.
    """

    def __init__(self, *, steps: int = 1000, first: float = 1e-4, last: float = 0.02) -> None:
        self.steps = steps
        added = torch.linspace(first, last, steps, dtype=torch.float64)
        #: b_t at index t; index 0 stands for the clean volume.
        self.added = torch.cat([torch.zeros(1, dtype=torch.float64), added])
        #: A_t at index t.
        self.kept = torch.cumprod(1 - self.added, dim=0)

    def kept_at(self, t: Tensor, like: Tensor) -> Tensor:
        """A_t of each sample, shaped to multiply `like` (n, ...)."""
        values = self.kept.to(t.device)[t].to(like.dtype)
        return values.view(-1, *[1] * (like.ndim - 1))

    def noisy(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t of clean samples (n, ...) at steps `t` (n,)."""
        kept = self.kept_at(t, clean)
        return kept.sqrt() * clean + (1 - kept).sqrt() * noise

    def clean(self, noisy: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """The clean samples that `noise` implies."""
        kept = self.kept_at(t, noisy)
        return (noisy - (1 - kept).sqrt() * noise) / kept.sqrt()

    def posterior_mean(self, clean: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """Mean of x_{t-1} given x_0 and x_t."""
        added = self.added.to(t.device)[t].to(noisy.dtype).view(-1, *[1] * (noisy.ndim - 1))
        kept, before = self.kept_at(t, noisy), self.kept_at(t - 1, noisy)
        return (before.sqrt() * added * clean + (1 - added).sqrt() * (1 - before) * noisy) / (1 - kept)

    def posterior_variance(self, t: int) -> float:
        """Variance of x_{t-1} given x_0 and x_t."""
        return float(self.added[t] * (1 - self.kept[t - 1]) / (1 - self.kept[t]))

    def spread(self, t: int, before: int, *, eta: float) -> float:
        """Standard deviation of the fresh noise in a DDIM step from t to `before`; eta 0 adds none, 1 is ancestral."""
        kept, earlier = self.kept[t], self.kept[before]
        return float(eta * ((1 - earlier) / (1 - kept)).sqrt() * (1 - kept / earlier).sqrt())

    def step_back(self, noisy: Tensor, noise: Tensor, t: int, before: int, *, spread: float = 0.0) -> Tensor:
        """The part of a DDIM step without fresh noise. The clean estimate is kept within `LIMITS`."""
        kept, earlier = float(self.kept[t]), float(self.kept[before])
        clean = ((noisy - (1 - kept) ** 0.5 * noise) / kept**0.5).clamp(*LIMITS)
        direction = (noisy - kept**0.5 * clean) / (1 - kept) ** 0.5
        return earlier**0.5 * clean + max(0.0, 1 - earlier - spread**2) ** 0.5 * direction

    def subset(self, count: int, *, start: int | None = None) -> list[int]:
        """At most `count` steps from `start` (default T) down to 1, evenly spaced, and 0 at the end."""
        start = self.steps if start is None else start
        chosen = torch.linspace(start, 1, min(count, start), dtype=torch.float64).round().to(torch.int64)
        return [*chosen.tolist(), 0]
