"""Run a network over a whole volume, tile by tile, with progress inside each tile.

The volume keeps its own intensities; scaling to network units and back happens here. Background that is exactly zero
(a stripped volume) stays exactly zero and is not computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from ..bundles import Bundle
from ..errors import InputError, ResourceError
from ..progress import Progress
from ..tasks.base import Parameters
from . import memory, precision
from .tiling import Tile, choose_parts, make_tiles, parts_of_size, scaled, times_computed

#: Share of the machine's memory that the activations of one tile may take, and its upper limit [bytes].
MEMORY_SHARE, MEMORY_LIMIT = 0.25, 2_600_000_000
#: What the process takes before it has seen a voxel [bytes]: Python, torch and the network.
PROCESS_MEMORY = 350_000_000
#: How often each voxel may be computed on average; tiles as wide as the halo stay below (27).
MOST_TIMES = 64

#: Called with the network and a tile (1, c, k, j, i); returns output channels (n, k * scale, j * scale, i * scale).
Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Plan:
    """How a volume will be computed.

    Args:
        tiles: the tiles, in order.
        parts: number of tiles along (k, j, i).
        bytes_needed: estimated peak memory of the run [bytes].
    """

    tiles: list[Tile]
    parts: tuple[int, int, int]
    bytes_needed: int


#: The network of the last run by the identity of its bundle (an altered one has another) and its device.
_ready: dict[tuple[Any, ...], nn.Module] = {}


def ready_network(bundle: Bundle, device: torch.device) -> nn.Module:
    """The bundle's network on the device, in evaluation mode; kept for the next run."""
    memory.keep_freed_memory()
    key = (*bundle.identity, device)
    if key not in _ready:
        _ready.clear()
        network = bundle.build_network().requires_grad_(False)
        _ready[key] = precision.channels_innermost(network.to(device=device))
    return _ready[key]


def bytes_per_voxel(network: nn.Module, dtype: torch.dtype) -> int:
    """Estimated peak memory of the activations for one input voxel [bytes]."""
    return network.peak_channels * (2 if dtype != torch.float32 else 4) + 3 * 4 * network.scale**3


def make_plan(
    shape: tuple[int, int, int], network: nn.Module, *, dtype: torch.dtype, tile: int, available: int, outputs: int = 1
) -> Plan:
    """Cut a volume into tiles that fit into memory.

    Args:
        shape: input voxels (k, j, i).
        dtype: number format of the activations.
        tile: edge of a tile in input voxels, or 0 for the division that computes the least.
        available: memory of the device [bytes]: total, not free, so that results can be repeated.
        outputs: output volumes kept.

    Raises InputError for tiles too small to come to an end, and ResourceError when the estimate does not fit.
    """
    each = bytes_per_voxel(network, dtype)
    volumes = PROCESS_MEMORY + 4 * int(np.prod(shape)) * (3 + (outputs + 2) * network.scale**3)
    halo = network.receptive_field_radius
    budget = min(MEMORY_SHARE * available, MEMORY_LIMIT)
    try:
        parts = parts_of_size(shape, tile) if tile else choose_parts(shape, halo, int(budget / each))
    except ValueError:
        raise ResourceError(too_little(halo**3 * 8 * each + volumes, available)) from None
    times = times_computed(shape, parts, halo)
    if tile and times > MOST_TIMES:
        raise InputError(
            f"With tiles of {tile} voxels the network would compute each voxel {times:.0f} times over, because it sees "
            f"{halo} voxels beside a tile: choose {halo} or more, or 0 for automatic."
        )
    tiles = make_tiles(shape, parts, halo, network.stride)
    needed = max(t.voxels for t in tiles) * each + volumes
    if needed > 0.9 * available:
        raise ResourceError(too_little(needed, available))
    return Plan(tiles, parts, needed)


def too_little(needed: int, available: int) -> str:
    return (
        f"The run needs about {memory.readable(needed)} of memory but the machine has {memory.readable(available)}. "
        "Crop the volume to the head or choose a smaller tile."
    )


def device_memory(device: torch.device) -> int:
    """Total memory of a device [bytes]."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return memory.total_memory()


def run_volume(
    bundle: Bundle,
    voxels: np.ndarray,
    parameters: Parameters,
    *,
    forward: Forward,
    outputs: int,
    progress: Progress,
    conditions: tuple[float, ...] = (),
) -> tuple[np.ndarray, dict[str, Any], nn.Module]:
    """Run a bundle's network over voxels in network units, on the device and in tiles as asked.

    Args:
        voxels: (k, j, i), or (channels, k, j, i) for a network of several inputs.
        conditions: numbers that the network sees as further channels, each constant over the volume.

    Returns output channels (outputs, k * scale, j * scale, i * scale), the facts that decide the result, the network.
    """
    device = precision.resolve_device(parameters.device)
    dtype = precision.resolve_precision(parameters.precision, device)
    progress(0.0, "Loading the network")
    network = ready_network(bundle, device)
    available = device_memory(device)
    plan = make_plan(
        voxels.shape[-3:], network, dtype=dtype, tile=parameters.tile, available=available, outputs=outputs
    )
    channels = run_tiles(
        network,
        voxels,
        plan,
        device=device,
        dtype=dtype,
        forward=forward,
        outputs=outputs,
        progress=progress,
        conditions=conditions,
    )
    facts = {
        "device": str(device),
        "precision": precision.precision_name(dtype),
        "tiles_kji": list(plan.parts),
        "estimated_memory_bytes": plan.bytes_needed,
    }
    return channels, facts, network


@torch.inference_mode()
def run_tiles(
    network: nn.Module,
    voxels: np.ndarray,
    plan: Plan,
    *,
    device: torch.device,
    dtype: torch.dtype,
    forward: Forward,
    outputs: int,
    progress: Progress,
    conditions: tuple[float, ...] = (),
) -> np.ndarray:
    """Output channels (outputs, k * scale, j * scale, i * scale) in float32; arguments as for `run_volume`."""
    scale = network.scale
    voxels = voxels.reshape(-1, *voxels.shape[-3:])
    result = np.zeros((outputs, *(n * scale for n in voxels.shape[1:])), dtype=np.float32)
    signal = ndimage.binary_dilation((voxels != 0).any(axis=0), np.ones((3, 3, 3)))
    tiles = [t for t in plan.tiles if signal[t.write].any()]
    counter = Counter(tiles, progress)
    with counter.watching(network), precision.autocast(device, dtype):
        for tile in tiles:
            block = with_conditions(torch.from_numpy(voxels[(slice(None), *tile.read)])[None], conditions)
            block = block.to(device).contiguous(memory_format=torch.channels_last_3d)
            kept = forward(network, block)[(slice(None), *scaled(tile.keep, scale))]
            result[(slice(None), *scaled(tile.write, scale))] = kept.float().cpu().numpy()
            counter.finish_tile()
    for axis in range(3):
        signal = signal.repeat(scale, axis=axis)
    result *= signal
    return result


def with_conditions(block: torch.Tensor, conditions: tuple[float, ...]) -> torch.Tensor:
    """A block (n, c, k, j, i) with one more channel for each condition, constant over the volume."""
    if not conditions:
        return block
    constant = torch.tensor(conditions, dtype=block.dtype).view(1, -1, 1, 1, 1)
    return torch.cat([block, constant.expand(block.shape[0], -1, *block.shape[2:])], dim=1)


class Counter:
    """Turns the layers of the network into progress, weighted by the size of each tile."""

    def __init__(self, tiles: list[Tile], progress: Progress) -> None:
        self.sizes = [t.voxels for t in tiles]
        self.progress = progress
        self.layers = self.layer = self.tile = 0

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[None]:
        """Count the convolutions of `network` while it runs."""
        watched = [m for m in network.modules() if isinstance(m, nn.Conv3d)]
        self.layers = len(watched)
        hooks = [m.register_forward_hook(self._count) for m in watched]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _count(self, *_: Any) -> None:
        self.layer += 1
        self.report(min(1.0, self.layer / self.layers))

    def finish_tile(self) -> None:
        self.tile, self.layer = self.tile + 1, 0
        if self.tile < len(self.sizes):
            self.report(0.0)

    def report(self, part: float) -> None:
        done = sum(self.sizes[: self.tile]) + part * self.sizes[self.tile]
        self.progress(done / sum(self.sizes), f"Tile {self.tile + 1} of {len(self.sizes)}")


class Stopwatch:
    """Seconds and peak memory of a run, for its measurements."""

    def __init__(self) -> None:
        self.started = time.perf_counter()

    def facts(self) -> dict[str, float]:
        return {"seconds": round(time.perf_counter() - self.started, 3), "peak_memory_bytes": memory.peak_memory()}
