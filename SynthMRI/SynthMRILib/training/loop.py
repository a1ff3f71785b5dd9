"""The training loop that every task shares: resumable at any moment, on CPU, GPU or several of them.

A task may bring opponents, networks that learn against or beside its own (critics, features; see `adversarial.py`):
they take a step after the task's network in every step, and are part of the checkpoint.

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from ..inference.precision import channels_innermost
from . import compact
from .collapse import TrainingCollapsed, Watch
from .pictures import Board

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


class OpposedTask(TrainingTask, Protocol):
    """A task with opponents."""

    def opponents(self) -> dict[str, nn.Module]:
        """Freshly initialized networks that learn against or beside the task's own, by name."""

    def opponent_loss(self, name: str, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss of one of them; called after `loss` with the same batch."""


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
        opponent_rate: learning rate of the opponents relative to that of the network.
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
    opponent_rate: float = 1.0


class Player:
    """A network that learns: as it is (for checkpoints) and as Fabric runs it, once `prepare` was called."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        learned = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(learned, betas=(0.9, 0.99))

    def prepare(self, fabric: Fabric) -> None:
        """Spread over the devices."""
        self.running, self.running_optimizer = fabric.setup(self.network, self.optimizer)

    def update(self, loss: Tensor, fabric: Fabric, *, rate: float, clip: float) -> float:
        """One optimizer step; returns the norm of the gradient. Raises TrainingCollapsed unless the loss is finite."""
        if not torch.isfinite(loss):
            raise TrainingCollapsed(f"The loss is {loss.item()}: lower the learning rate and resume.")
        for group in self.running_optimizer.param_groups:
            group["lr"] = rate
        self.running_optimizer.zero_grad()
        fabric.backward(loss)
        norm = fabric.clip_gradients(self.running, self.running_optimizer, max_norm=clip)
        self.running_optimizer.step()
        return float(norm)

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, contents: dict[str, Any]) -> None:
        self.network.load_state_dict(contents["network"])
        self.optimizer.load_state_dict(contents["optimizer"])


@dataclass
class State:
    """Everything a checkpoint holds."""

    main: Player
    average: nn.Module
    opponents: dict[str, Player] = field(default_factory=dict)
    step: int = 0
    seconds: float = 0.0

    @property
    def players(self) -> list[Player]:
        return [self.main, *self.opponents.values()]


def fit(
    task: TrainingTask, config: LoopConfig, folder: Path, *, report: Callable[[dict[str, Any]], None], fabric: Fabric
) -> State:
    """Train until `config.steps`, resuming from `folder/checkpoint.pt` when it is there. Returns the final state."""
    state = fresh_state(task, config, fabric)
    resume(state, folder / "checkpoint.pt")
    for player in state.players:
        player.prepare(fabric)
    log = Log(folder, report, enabled=fabric.is_global_zero)
    watch = Watch()
    started = time.monotonic() - state.seconds
    for step, batch in batches(task, state.step, config.steps, fabric):
        try:
            figures = train_step(task, state, config, batch, fabric)
        except TrainingCollapsed as error:
            log.write("warning", state, config, {"message": str(error)})
            raise
        state.step, state.seconds = step + 1, time.monotonic() - started
        for message in watch.see(figures):
            log.write("warning", state, config, {"message": message})
        if state.step % config.log_every == 0:
            log.write("train", state, config, over_processes(figures, fabric))
        if state.step % config.checkpoint_every == 0 or state.step == config.steps:
            save(state, folder / "checkpoint.pt", fabric)
        if fabric.is_global_zero and (state.step % config.validate_every == 0 or state.step == config.steps):
            log.write("validation", state, config, task.validate(state.average.eval()))
            log.show(state, task)
    return state


def fresh_state(task: TrainingTask, config: LoopConfig, fabric: Fabric) -> State:
    """The beginning of a training: the same for the same seed."""
    torch.manual_seed(config.seed)
    network = channels_innermost(task.build_network())
    if hasattr(task, "start_weights"):
        network.load_state_dict(task.start_weights)
    average = copy.deepcopy(network).requires_grad_(False)
    opponents = task.opponents() if hasattr(task, "opponents") else {}
    return State(Player(network), average.to(fabric.device), {name: Player(n) for name, n in opponents.items()})


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


def train_step(task: TrainingTask, state: State, config: LoopConfig, batch: Batch, fabric: Fabric) -> dict[str, float]:
    """One step of the network, of its moving average and of every opponent. Raises TrainingCollapsed."""
    torch.manual_seed(1_000_003 * config.seed + 4_096 * state.step + fabric.global_rank)
    rate = learning_rate(state.step, config)
    main = state.main
    main.running.train()
    loss, figures = task.loss(main.running, batch)
    norm = main.update(loss, fabric, rate=rate, clip=config.clip)
    figures = {**figures, "loss": loss.item(), "gradient_norm": norm}
    decay = min(config.ema, (state.step + 1) / (state.step + 10))
    with torch.no_grad():
        for mean, value in zip(state.average.parameters(), main.network.parameters()):
            mean.lerp_(value.to(mean.dtype), 1 - decay)
    for name, opponent in state.opponents.items():
        loss, more = task.opponent_loss(name, opponent.running, batch)
        opponent.update(loss, fabric, rate=rate * config.opponent_rate, clip=config.clip)
        figures |= {**more, f"{name}_loss": loss.item()}
    return figures


def over_processes(figures: dict[str, float], fabric: Fabric) -> dict[str, float]:
    """The mean of the figures over all processes, each of which saw its own part of the batch."""
    if fabric.world_size == 1:
        return figures
    values = torch.tensor([float(value) for value in figures.values()], device=fabric.device)
    return dict(zip(figures, fabric.all_reduce(values, reduce_op="mean").tolist()))


def learning_rate(step: int, config: LoopConfig) -> float:
    """Linear warm-up, constant, then a cosine to zero over the last part."""
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    start = config.steps * (1 - config.decay)
    late = max(0.0, (step - start) / max(1.0, config.steps - start))
    return config.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, late)))


def save(state: State, path: Path, fabric: Fabric) -> None:
    """Write the checkpoint, all of it or nothing."""
    small = compact.plain_bytes((p.network for p in state.players), state.average) > compact.LIMIT
    if small:
        compact.round_in_use((p.optimizer for p in state.players), state.average)
    if not fabric.is_global_zero:
        return
    contents = {
        **state.main.state_dict(),
        "average": state.average.state_dict(),
        "opponents": {name: opponent.state_dict() for name, opponent in state.opponents.items()},
        "step": state.step,
        "seconds": state.seconds,
    }
    part = path.with_suffix(".part")
    torch.save(compact.narrowed(contents) if small else contents, part)
    part.replace(path)


def resume(state: State, path: Path) -> None:
    """Load the checkpoint if there is one; tensors and numbers only, nothing that runs."""
    if not path.exists():
        return
    contents = torch.load(path, map_location="cpu", weights_only=True)
    state.main.load_state_dict(contents)
    state.average.load_state_dict(contents["average"])
    for name, opponent in state.opponents.items():
        opponent.load_state_dict(contents["opponents"][name])
    state.step, state.seconds = contents["step"], contents["seconds"]


class Log:
    """Writes a JSON line an event to `training.jsonl`, curves and pictures beside it, and tells the caller."""

    def __init__(self, folder: Path, report: Callable[[dict[str, Any]], None], *, enabled: bool) -> None:
        self.path = folder / "training.jsonl"
        self.report = report
        self.enabled = enabled
        self.board = Board(folder) if enabled else None
        if enabled and self.board.missing:
            self._append({"event": "note", "message": self.board.missing})

    def write(self, event: str, state: State, config: LoopConfig, figures: dict[str, Any]) -> None:
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
        self.board.curves(event, state.step, figures)
        self._append(line)
        self.report(line)

    def show(self, state: State, task: TrainingTask) -> None:
        """Pictures of held-out volumes, of a task that has `samples`; curves up to here are on disk after it."""
        if self.enabled:
            rows = task.samples(state.average.eval()) if hasattr(task, "samples") else []
            self.board.pictures(state.step, rows)
            self.board.flush()

    def _append(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
