"""The training loop that every task shares: resumable at any moment, on CPU, GPU or several of them.

Nothing random carries over from one step to the next: samples and dropout depend on seed and step alone. A run that is
killed therefore resumes from its last checkpoint and ends with the weights of an unbroken run. Devices, precision and
processes are Lightning Fabric's business.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

Batch = tuple[Tensor, ...]


class TrainingTask(Protocol):
    """What a task brings to the loop."""

    def build_network(self) -> nn.Module:
        """A freshly initialized network."""

    def batch(self, step: int, rank: int, world: int) -> Batch:
        """The batch of one process at a step; called from another thread, one step ahead."""

    def loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss and the numbers worth logging."""

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures on held-out data."""


@dataclass(frozen=True)
class LoopConfig:
    """How to train.

    Args:
        steps: optimizer steps in all.
        learning_rate: peak learning rate of Adam.
        warmup: steps of linear increase from zero.
        decay: share of the steps at the end in which the learning rate falls to zero along a cosine.
        ema: decay of the exponential moving average of the weights, which is what a bundle holds.
        clip: largest gradient norm.
        validate_every, checkpoint_every, log_every: intervals in steps.
        seed: seed of the initial weights, samples and dropout.
    """

    steps: int = 10000
    learning_rate: float = 5e-4
    warmup: int = 100
    decay: float = 0.3
    ema: float = 0.998
    clip: float = 1.0
    validate_every: int = 500
    checkpoint_every: int = 100
    log_every: int = 20
    seed: int = 0


@dataclass
class State:
    """Everything a checkpoint holds."""

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0


def fit(
    task: TrainingTask, config: LoopConfig, folder: Path, *, report: Callable[[dict[str, Any]], None], fabric: Fabric
) -> State:
    """Train until `config.steps`, resuming from `folder/checkpoint.pt` when it is there. Returns the final state."""
    torch.manual_seed(config.seed)
    network = task.build_network().to(memory_format=torch.channels_last_3d)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=(0.9, 0.99))
    state = State(network, average.to(fabric.device), optimizer)
    resume(state, folder / "checkpoint.pt")
    network, optimizer = fabric.setup(network, optimizer)
    log = Log(folder, report, enabled=fabric.is_global_zero)
    started = time.monotonic() - state.seconds
    for step, batch in batches(task, state.step, config.steps, fabric):
        figures = train_step(task, state, config, network, optimizer, batch, fabric)
        state.step, state.seconds = step + 1, time.monotonic() - started
        if state.step % config.log_every == 0:
            log.write("train", state, config, figures)
        if state.step % config.checkpoint_every == 0 or state.step == config.steps:
            save(state, folder / "checkpoint.pt", fabric)
        if fabric.is_global_zero and (state.step % config.validate_every == 0 or state.step == config.steps):
            log.write("validation", state, config, task.validate(state.average.eval()))
    return state


def batches(task: TrainingTask, start: int, end: int, fabric: Fabric) -> Iterator[tuple[int, Batch]]:
    """The batch of each step, made one step ahead in a thread of its own."""

    def make(step: int) -> Batch:
        return task.batch(step, fabric.global_rank, fabric.world_size)

    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = pool.submit(make, start) if start < end else None
        for step in range(start, end):
            batch = pending.result()
            pending = pool.submit(make, step + 1) if step + 1 < end else None
            yield step, tuple(fabric.to_device(part) for part in batch)


def train_step(
    task: TrainingTask,
    state: State,
    config: LoopConfig,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    fabric: Fabric,
) -> dict[str, float]:
    """One optimizer step and one step of the moving average. Raises FloatingPointError when the loss is not finite."""
    torch.manual_seed(1_000_003 * config.seed + 4_096 * state.step + fabric.global_rank)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(state.step, config)
    network.train()
    loss, figures = task.loss(network, batch)
    if not torch.isfinite(loss):
        raise FloatingPointError(f"The loss is {loss.item()} at step {state.step}: lower the learning rate.")
    optimizer.zero_grad()
    fabric.backward(loss)
    norm = fabric.clip_gradients(network, optimizer, max_norm=config.clip)
    optimizer.step()
    decay = min(config.ema, (state.step + 1) / (state.step + 10))
    with torch.no_grad():
        for mean, value in zip(state.average.parameters(), state.network.parameters()):
            mean.lerp_(value.to(mean.dtype), 1 - decay)
    return {**figures, "loss": loss.item(), "gradient_norm": float(norm)}


def learning_rate(step: int, config: LoopConfig) -> float:
    """Linear warm-up, constant, then a cosine to zero over the last part."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    start = config.steps * (1 - config.decay)
    late = max(0.0, (step - start) / max(1.0, config.steps - start))
    return config.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, late)))


def save(state: State, path: Path, fabric: Fabric) -> None:
    """Write the checkpoint, all of it or nothing."""
    if not fabric.is_global_zero:
        return
    contents = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "seconds": state.seconds,
    }
    part = path.with_suffix(".part")
    torch.save(contents, part)
    part.replace(path)


def resume(state: State, path: Path) -> None:
    """Load the checkpoint if there is one; tensors and numbers only, nothing that runs."""
    if not path.exists():
        return
    contents = torch.load(path, map_location="cpu", weights_only=True)
    state.network.load_state_dict(contents["network"])
    state.average.load_state_dict(contents["average"])
    state.optimizer.load_state_dict(contents["optimizer"])
    state.step, state.seconds = contents["step"], contents["seconds"]


class Log:
    """Writes a JSON line an event to `training.jsonl` and tells the caller."""

    def __init__(self, folder: Path, report: Callable[[dict[str, Any]], None], *, enabled: bool) -> None:
        self.path = folder / "training.jsonl"
        self.report = report
        self.enabled = enabled

    def write(self, event: str, state: State, config: LoopConfig, figures: dict[str, float]) -> None:
        if not self.enabled:
            return
        left = state.seconds / max(1, state.step) * (config.steps - state.step)
        line = {
            "event": event,
            "step": state.step,
            "steps": config.steps,
            "seconds": round(state.seconds, 1),
            "seconds_left": round(left),
            "learning_rate": learning_rate(state.step, config),
            **figures,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.report(line)
