"""Why the correction network learned nothing: how fast variants of its training fit one batch, and what they then gain.

    python Testing/Benchmarks/motion_overfit.py PAIRS.safetensors [--steps N] [--record]

A network that cannot fit one batch has a fault; one that can, but slowly, was stopped too early. Gains are in dB over
the batch with motion, after a tenth, a third and all of the steps. With `--runs` nothing is fitted: what whole
trainings gained on held-out pairs is read from their logs, into a record of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.networks.unet import ResidualUNet  # noqa: E402
from SynthMRILib.training.cache import Cache  # noqa: E402
from SynthMRILib.training.losses import charbonnier, foreground_weight, gaussian_likelihood  # noqa: E402
from SynthMRILib.training.motion_correction import INNER, relative_error  # noqa: E402
from SynthMRILib.training.motion_patches import MotionPatchConfig, MotionPatchSampler  # noqa: E402

WARMUP = 20


@dataclass(frozen=True)
class Variant:
    """A way to train: its network, loss and peak learning rate."""

    loss: str
    rate: float
    network: dict[str, Any] = field(default_factory=dict)


FULL = {"features": (8, 32, 64, 96)}
FOLDED = {"features": (32, 64, 96), "fold": 2}
VARIANTS = {
    "as it was (squared error, 8 features at full resolution)": Variant("squared", 6e-4, FULL),
    "the same without dropout": Variant("squared", 6e-4, {**FULL, "dropout": 0.0}),
    "the same, error relative to the input's": Variant("relative", 6e-4, FULL),
    "folded, squared error": Variant("squared", 1e-3, FOLDED),
    "folded, error relative to the input's": Variant("relative", 1e-3, FOLDED),
    "folded, relative, without dropout": Variant("relative", 1e-3, {**FOLDED, "dropout": 0.0}),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--runs", type=Path, nargs="*", default=[], help="folders of trainings")
    parser.add_argument("--record", action="store_true", help="write the record of the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.runs:
        return tell_runs(arguments)
    config = MotionPatchConfig(size=arguments.size, clean=0.0, weakened=0.0)
    sampler = MotionPatchSampler(Cache(arguments.pairs), config, seed=3)
    batch = tuple(torch.from_numpy(part) for part in sampler.batch(range(2)))
    found = {}
    for name, variant in VARIANTS.items():
        found[name] = fitted(variant, batch, arguments.steps)
        sys.stdout.write(f"{name}: {json.dumps(found[name])}\n")
        sys.stdout.flush()
    if arguments.record:
        record = {
            "command": f"motion_overfit.py PAIRS --steps {arguments.steps} --size {arguments.size} --record",
            "commit": records.current_commit(CHECKOUT),
            "data": "two training patches",
            "variants": found,
        }
        records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_overfit.json", record)
    return 0


def tell_runs(arguments: argparse.Namespace) -> int:
    """Say what trainings gained on held-out pairs, and write it down."""
    found = {folder.name: held_out_gains(folder) for folder in arguments.runs}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if arguments.record:
        record = {
            "command": "motion_overfit.py PAIRS --runs RUN... --record",
            "commit": records.current_commit(CHECKOUT),
            "data": "middle of 32 pairs of heads 13 to 15 and longitudinal03, held out",
            "runs": found,
        }
        records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_runs.json", record)
    return 0


def held_out_gains(folder: Path) -> dict[str, Any]:
    """Network, batch and learning rate of a training, and its gains [dB] on held-out pairs by step."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in (folder / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    gains = {n["step"]: n["gain_db_over_input_all"] for n in lines if n["event"] == "validation"}
    facts = {"batch": config["training"]["batch"], "learning_rate": config["loop"]["learning_rate"]}
    return {**facts, "network": config["training"]["network"], "patch": config["patches"]["size"], "gains_db": gains}


def fitted(variant: Variant, batch: tuple[Tensor, Tensor], steps: int) -> dict[str, Any]:
    """Train on the one batch; gains [dB] on the way and at the end."""
    torch.manual_seed(0)
    network = ResidualUNet(channels=2, **variant.network).to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.Adam(network.parameters(), betas=(0.9, 0.99))
    gains, marks, started = [], {steps // 10, steps // 3, steps}, time.process_time()
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = variant.rate * min(1.0, step / WARMUP)
        optimizer.zero_grad()
        loss_of(variant, network, batch).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step in marks:
            gains.append(gain_db(network, batch))
    return {"gains_db": gains, "cpu_seconds_a_step": round((time.process_time() - started) / steps, 2)}


def loss_of(variant: Variant, network: ResidualUNet, batch: tuple[Tensor, Tensor]) -> Tensor:
    moved, still = batch
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        mean, log_variance = network(moved.contiguous(memory_format=torch.channels_last_3d))
    mean, log_variance, still, first = (v[INNER].float() for v in (mean, log_variance, still, moved[:, :1]))
    weight = foreground_weight(still)
    likelihood = 0.005 * gaussian_likelihood(mean, log_variance, still, weight)
    if variant.loss == "relative":
        return relative_error(mean, first, still, weight, floor=2e-4) + likelihood
    return charbonnier(mean, still, weight, epsilon=0.5) + likelihood


@torch.inference_mode()
def gain_db(network: ResidualUNet, batch: tuple[Tensor, Tensor]) -> float:
    """Mean over the samples."""
    moved, still = batch
    network.eval()
    with torch.autocast("cpu", torch.bfloat16):
        mean = network(moved.contiguous(memory_format=torch.channels_last_3d))[0].float()
    after, before = (((v - still)[INNER] ** 2).mean(dim=(1, 2, 3, 4)).numpy() for v in (mean, moved[:, :1]))
    return round(float(np.mean(10 * np.log10(before / after))), 2)


if __name__ == "__main__":
    sys.exit(main())
