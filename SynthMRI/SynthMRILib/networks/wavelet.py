"""One level of the orthonormal 3D Haar wavelet transform, forward and back.

Along an axis two neighbors x0, x1 become L = (x0 + x1) / sqrt 2 and H = (x0 - x1) / sqrt 2; over three axes a cube of
eight voxels becomes eight coefficients by one symmetric orthogonal matrix, which is therefore its own inverse. Energy
is preserved and reconstruction is exact.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

#: Names of the bands in their order: one letter an axis (k, j, i), L smooth and H detail.
BANDS = ("LLL", "LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH")


@cache
def _matrix(device: torch.device, dtype: torch.dtype) -> Tensor:
    pair = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) / 2**0.5
    return torch.kron(pair, torch.kron(pair, pair)).to(device=device, dtype=dtype)


def haar_forward(x: Tensor) -> Tensor:
    """Bands of a volume: (n, c, k, j, i) to (n, c, 8, k / 2, j / 2, i / 2), in the order of `BANDS`.

    Raises ValueError when an axis has an odd number of voxels.
    """
    n, channels, *shape = x.shape
    if any(size % 2 for size in shape):
        raise ValueError(f"The Haar transform needs an even number of voxels along every axis, not {tuple(shape)}.")
    k, j, i = (size // 2 for size in shape)
    cubes = x.reshape(n, channels, k, 2, j, 2, i, 2).permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, channels, 8, k, j, i)
    return torch.einsum("ab,ncbkji->ncakji", _matrix(x.device, x.dtype), cubes)


def haar_inverse(bands: Tensor) -> Tensor:
    """The volume (n, c, k, j, i) of bands (n, c, 8, k / 2, j / 2, i / 2)."""
    n, channels, _, k, j, i = bands.shape
    cubes = torch.einsum("ab,ncbkji->ncakji", _matrix(bands.device, bands.dtype), bands)
    cubes = cubes.reshape(n, channels, 2, 2, 2, k, j, i).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return cubes.reshape(n, channels, 2 * k, 2 * j, 2 * i)
