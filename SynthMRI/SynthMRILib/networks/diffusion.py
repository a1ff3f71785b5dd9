"""Conditional diffusion: predicts the noise in a slice from the slice and from what was acquired.

Two encoders, one for the noisy slice and one for the condition, are summed and go into a U-Net that knows the time (as
in the diffusion model for motion correction of Wang 2026, whose printed schedule is corrected in `noise_schedule.py`).
The U-Net is MONAI's `DiffusionModelUNet`; MONAI is needed for this network alone. Its group normalization looks at the
whole slice, so slices are computed whole and never in tiles.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as functional
from torch import Tensor, nn

from ..errors import ResourceError
from .noise_schedule import NoiseSchedule
from .rrdb import SLOPE
from .unet import folded, unfolded

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}


class EncoderBlock(nn.Module):
    """Two convolutions with a skip around them, at full resolution."""

    def __init__(self, dimensions: int, inputs: int, outputs: int) -> None:
        super().__init__()
        convolution = CONVOLUTIONS[dimensions]
        self.first = convolution(inputs, outputs, 3, padding=1)
        self.second = convolution(outputs, outputs, 3, padding=1)
        self.skip = nn.Identity() if inputs == outputs else convolution(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.leaky_relu(self.first(x), SLOPE)
        return functional.leaky_relu(self.skip(x) + self.second(y), SLOPE)


class ConditionalDiffusion(nn.Module):
    """Predicts the noise in x_t (n, 1, j, i) given the step (n,) and a condition (n, condition_channels, j, i).

    Values are in network units mapped to [-1, 1]. Any size will do; it is padded to a multiple of `stride` inside.

    Args:
        condition_channels: channels of the condition: acquired contrasts, times the slices of each that are seen.
        encoder_features: width of each block of the two encoders.
        features: width of each level of the U-Net, finest first, multiples of `groups`.
        attention: for each level 1 where it has self-attention, 0 where not.
        units: residual units at each level.
        groups: channels are normalized in so many groups.
        dimensions: 2 for slices, 3 for blocks (then there is one more axis everywhere).
        fold: edge of the squares (cubes) of pixels that become channels at the entry and pixels again at the exit, as
            in `unet.py`: with 2 a step costs about a quarter.
        steps, first_noise, last_noise: the noise schedule.
    """

    scale = 1
    #: What its output channels hold.
    outputs = ("noise",)

    def __init__(
        self,
        *,
        condition_channels: int = 1,
        encoder_features: tuple[int, ...] = (16, 16, 32),
        features: tuple[int, ...] = (32, 64, 96),
        attention: tuple[int, ...] = (0, 0, 0),
        units: int = 1,
        groups: int = 8,
        dimensions: int = 2,
        fold: int = 1,
        steps: int = 1000,
        first_noise: float = 1e-4,
        last_noise: float = 0.02,
    ) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.schedule = NoiseSchedule(steps=steps, first=first_noise, last=last_noise)
        self.fold = fold
        self.stride = fold * 2 ** (len(features) - 1)
        self.features = features[0]
        self.peak_channels = 8 * max(features[0], encoder_features[-1])
        #: It sees the whole slice: there is no halo that would make tiles exact.
        self.receptive_field_radius = 0
        each = fold**dimensions
        self.noisy_encoder = encoder(dimensions, each, encoder_features)
        self.condition_encoder = encoder(dimensions, condition_channels * each, encoder_features)
        self.unet = time_unet(
            dimensions, encoder_features[-1], features, attention, units=units, groups=groups, outputs=each
        )

    def encode_condition(self, condition: Tensor) -> Tensor:
        """What `forward` needs of the condition; it stays the same over all steps of a sample."""
        return self.condition_encoder(self._folded(condition))

    def _folded(self, x: Tensor) -> Tensor:
        """Padded to a multiple of the stride, with squares of pixels as channels."""
        missing = [-size % self.stride for size in x.shape[2:]]
        x = functional.pad(x, [amount for size in reversed(missing) for amount in (0, size)])
        if self.dimensions == 3:
            return folded(x, self.fold)
        return functional.pixel_unshuffle(x, self.fold)

    def _unfolded(self, x: Tensor) -> Tensor:
        return unfolded(x, self.fold) if self.dimensions == 3 else functional.pixel_shuffle(x, self.fold)

    def forward(
        self, noisy: Tensor, t: Tensor, encoded: Tensor | None = None, *, condition: Tensor | None = None
    ) -> Tensor:
        """The noise in `noisy` (n, 1, j, i) at steps `t` (n,).

        Args:
            encoded: from `encode_condition`; in training, where it changes with every step, `condition` is given.
        """
        encoded = self.encode_condition(condition) if encoded is None else encoded
        noise = self._unfolded(self.unet(self.noisy_encoder(self._folded(noisy)) + encoded, t))
        return noise[(..., *(slice(size) for size in noisy.shape[2:]))]


def encoder(dimensions: int, inputs: int, features: tuple[int, ...]) -> nn.Sequential:
    """Residual blocks of increasing width."""
    return nn.Sequential(*(EncoderBlock(dimensions, a, b) for a, b in pairwise((inputs, *features))))


def time_unet(
    dimensions: int,
    inputs: int,
    features: tuple[int, ...],
    attention: tuple[int, ...],
    *,
    units: int,
    groups: int,
    outputs: int = 1,
) -> nn.Module:
    """MONAI's U-Net with time embedding. Raises ResourceError when MONAI is not installed."""
    try:
        import einops  # noqa: F401  (MONAI's attention needs it and does not bring it)
        from monai.networks.nets import DiffusionModelUNet
    except ImportError:
        raise ResourceError(
            "Diffusion networks need MONAI. Install it with: pip install 'monai>=1.6.1' einops."
        ) from None
    return DiffusionModelUNet(
        spatial_dims=dimensions,
        in_channels=inputs,
        out_channels=outputs,
        num_res_blocks=units,
        channels=tuple(features),
        attention_levels=tuple(bool(a) for a in attention),
        norm_num_groups=groups,
        num_head_channels=groups,
    )
