"""Checkpoints that stay small: what would be larger than `LIMIT` is stored in fewer bits.

The moments of Adam need their magnitude, not their last digits, and are stored as bfloat16; the moving average becomes
a float16 bundle anyway and is stored as float16. The numbers in use are rounded in the same moment, so that a run that
goes on and a run that is resumed have the very same ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

#: Bytes.
LIMIT = 16_000_000
MOMENTS = ("exp_avg", "exp_avg_sq")
AVERAGE, MOMENT = torch.float16, torch.bfloat16


def plain_bytes(networks: Iterable[nn.Module], average: nn.Module) -> int:
    """Size of a checkpoint in float32: weights and two moments of every network that learns, and the average."""
    learned = sum(p.numel() for network in networks for p in network.parameters())
    return 4 * (3 * learned + sum(p.numel() for p in average.parameters()))


@torch.no_grad()
def round_in_use(optimizers: Iterable[torch.optim.Optimizer], average: nn.Module) -> None:
    """Round moments and average in place to what a small checkpoint holds of them."""
    for optimizer in optimizers:
        for moments in optimizer.state.values():
            for name in MOMENTS:
                moments[name].copy_(moments[name].to(MOMENT))
    for parameter in average.parameters():
        parameter.copy_(parameter.to(AVERAGE))


def narrowed(contents: Any, *, dtype: torch.dtype | None = None) -> Any:
    """The contents of a checkpoint with moments and average in fewer bits; the rest as it is."""
    if isinstance(contents, dict):
        kinds = {"average": AVERAGE, **dict.fromkeys(MOMENTS, MOMENT)}
        return {name: narrowed(value, dtype=kinds.get(name, dtype)) for name, value in contents.items()}
    if isinstance(contents, torch.Tensor) and dtype is not None and contents.is_floating_point():
        return contents.to(dtype)
    return contents
