"""A wider or deeper U-Net that begins as a trained one: its output is the same, and new features start to learn.

As Net2Net (Chen et al. 2016, arXiv:1511.05641) does, but new features begin at random and no trained feature sees them
at first, so that gradients tell them apart.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import InputError


@torch.no_grad()
def grown(trained: nn.Module, larger: nn.Module) -> dict[str, Tensor]:
    """Weights with which `larger` gives what `trained` gives.

    Args:
        trained: a `ResidualUNet`.
        larger: a freshly initialized one of at least as many channels, features and levels.

    Raises InputError when `larger` lacks something that `trained` has.
    """
    old, new = trained.state_dict(), larger.state_dict()
    for name, weights in old.items():
        if name not in new or any(n > m for n, m in zip(weights.shape, new[name].shape, strict=True)):
            raise InputError(f"The network cannot grow from the one it starts from: its '{name}' is smaller.")
    for name, weights in new.items():
        if name in old:
            weights.copy_(_extended(old[name], weights, transposed=name.startswith("up.")))
        elif name.startswith("up.") or (name.endswith(".weight") and weights.ndim == 1):
            # A new level adds nothing at first: what comes up from it, and the unit that follows.
            weights.zero_()
    return new


def _extended(old: Tensor, new: Tensor, *, transposed: bool) -> Tensor:
    """`old` with what `new` has beyond it; trained outputs take nothing from new inputs.

    Args:
        transposed: whether inputs come first, as in transposed convolutions.
    """
    made = new.clone()
    if old.ndim == 1:
        made.zero_()
    elif transposed:
        made[old.shape[0] :, : old.shape[1]] = 0
    else:
        made[: old.shape[0], old.shape[1] :] = 0
    made[tuple(slice(n) for n in old.shape)] = old
    return made
