"""Measure how fast each network trains and runs on this machine, one thread, and keep the record.

    python Testing/Benchmarks/network_speed.py [--seconds 4] [--documentation FOLDER]

A step is forward, backward and one update by Adam on random numbers of the size that is stated. Seconds are those of
the processor: other work on the machine still slows them through shared caches, so the load is recorded too.
Writes `Documentation/figures/network_speed.json`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from SynthMRILib.evaluation.records import current_commit, write_record
from SynthMRILib.networks.critics import PatchCritic, ResNetCritic
from SynthMRILib.networks.diffusion import ConditionalDiffusion
from SynthMRILib.networks.features import ResNetFeatures
from SynthMRILib.networks.rrdb import RRDBNet
from SynthMRILib.networks.unet import ResidualUNet
from SynthMRILib.networks.wavelet_critic import WaveletCritic
from torch import Tensor, nn

CHECKOUT = Path(__file__).resolve().parents[2]
#: Name -> (what builds it, shape of its input).
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "RRDBNet, as shipped for x2": (RRDBNet, (1, 1, 24, 24, 24)),
    "RRDBNet, 64 features": (lambda: RRDBNet(features=64, growth=32, dense_blocks=4), (1, 1, 24, 24, 24)),
    "ResidualUNet": (ResidualUNet, (1, 1, 48, 48, 48)),
    "WaveletCritic": (lambda: WaveletCritic(features=(8, 16, 32)), (1, 1, 48, 48, 48)),
    "ResNetCritic": (lambda: ResNetCritic(features=(16, 32, 64, 128)), (1, 1, 48, 48, 48)),
    "PatchCritic": (PatchCritic, (1, 1, 48, 48, 48)),
    "ResNetFeatures": (lambda: ResNetFeatures(features=(8, 16, 32, 64)), (1, 1, 48, 48, 48)),
    "ConditionalDiffusion, slices": (ConditionalDiffusion, (1, 1, 128, 128)),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="processor seconds for each figure")
    parser.add_argument("--documentation", type=Path, default=CHECKOUT / "Documentation", help="where the record goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, (build, shape) in NETWORKS.items():
        rows.append({"network": name, **measured(build(), shape, arguments.seconds)})
        sys.stdout.write(f"{name:32} {rows[-1]['steps_per_second']:8.2f} steps/s\n")
    record = {
        "command": f"python Testing/Benchmarks/{Path(__file__).name}",
        "commit": current_commit(CHECKOUT),
        "machine": {"processor": processor(), "threads": 1, "torch": torch.__version__, "precision": "float32"},
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "unit": "per processor second on one thread, batch of one",
        "networks": rows,
    }
    target = arguments.documentation / "figures" / "network_speed.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_record(target, record)
    return 0


def measured(network: nn.Module, shape: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """Size, training steps and forward passes a second."""
    if len(shape) == 5:
        network = network.to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.Adam(network.parameters())
    x = torch.rand(shape)

    def step() -> None:
        optimizer.zero_grad()
        output(network, x).square().mean().backward()
        optimizer.step()

    @torch.inference_mode()
    def forward() -> None:
        output(network.eval(), x)

    return {
        "input": list(shape),
        "parameters": sum(p.numel() for p in network.parameters()),
        "steps_per_second": round(rate(step, seconds), 3),
        "forward_per_second": round(rate(forward, seconds), 3),
    }


def output(network: nn.Module, x: Tensor) -> Tensor:
    """One tensor of whatever a network gives."""
    if isinstance(network, ConditionalDiffusion):
        return network(x, torch.full((len(x),), 500), network.encode_condition(x))
    result = network(x)
    return torch.cat([part.flatten() for part in result]) if isinstance(result, tuple) else result


def rate(action: Callable[[], None], seconds: float) -> float:
    """Calls a processor second, after one that does not count."""
    action()
    started, count = time.process_time(), 0
    while time.process_time() - started < seconds:
        action()
        count += 1
    return count / (time.process_time() - started)


def processor() -> str:
    """Model of the processor, where the system tells."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    sys.exit(main())
