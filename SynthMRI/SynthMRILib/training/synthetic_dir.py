"""Training of synthetic DIR from any non-empty subset of FLAIR, T1w and T2w, on simulated heads and real examinations.

Losses of the lesion-aware networks of Finck et al. (2020, 2022): fidelity, structural similarity, and an error inside
lesions that counts the same whatever their size; which inputs are there is told by a mask each, as in DiamondGAN (Li et
al. 2019), and drawn anew for every sample (modality dropout). With a "game" a PatchGAN critic (or another, see
`adversarial.py`) plays against the network.

A "hybrid" learns what to add to the dictionary fit of the very inputs: its last layer begins at zero, so that it starts
as the dictionary. Its caches are those of `dir_examinations.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..dir_synthesis.network import FIRST_FIT_CHANNEL, FIT_CHANNELS
from ..errors import InputError
from ..networks.unet import ResidualUNet
from .adversarial import Game, GameConfig
from .attribution import CROSS_SECTIONAL
from .configuration import from_mapping
from .dir_examinations import Examinations
from .dir_hybrid_samples import HybridSampler
from .dir_packing import INPUTS, HeadCache
from .dir_samples import DirSampler, Sample, SampleConfig
from .losses import charbonnier, gaussian_likelihood, lesion_l1, lost_contrast, ssim_loss
from .pictures import Slice

#: Weight of voxels outside of the brain, where inputs and target are zero.
OUTSIDE_WEIGHT = 0.02
VALIDATION_SEED = 10_007
VALIDATED = (("flair", "t1", "t2"), ("flair", "t1"), ("flair",), ("t1", "t2"))


@dataclass(frozen=True)
class SyntheticDirConfig:
    """What to train and on what.

    Args:
        cache: packed heads for training; validation_cache: packed heads that are held out (see `dir_packing`), both of
            `dir_examinations` for a hybrid, which reads several files as well.
        network: arguments of `ResidualUNet`; channels and residual are set here.
        patches: ranges of the samples.
        batch: patches a step over all processes.
        epsilon: error [network units] up to which fidelity is squared; beyond it grows linearly.
        fidelity_weight, similarity_weight, lesion_weight, contrast_weight, variance_weight: of the losses.
        validation_blocks: blocks that validation looks at; validation_size: their edge [voxels].
        game: the rules of the adversarial game; None plays none.
        hybrid: learn what to add to the dictionary fit.
        seed: seed of the samples.
    """

    cache: Path | tuple[Path, ...]
    validation_cache: Path | tuple[Path, ...]
    network: dict[str, Any] = field(default_factory=dict)
    patches: SampleConfig = field(default_factory=SampleConfig)
    batch: int = 4
    epsilon: float = 0.05
    fidelity_weight: float = 1.0
    similarity_weight: float = 0.05
    lesion_weight: float = 0.15
    contrast_weight: float = 0.0
    variance_weight: float = 0.005
    validation_blocks: int = 9
    validation_size: int = 48
    game: GameConfig | None = None
    hybrid: bool = False
    seed: int = 0


class SyntheticDirTraining:
    """A `TrainingTask` for synthetic DIR."""

    network_name = "ResidualUNet"
    inputs = INPUTS
    data_statements = (f"Outlines of simulated lesions: {CROSS_SECTIONAL}",)

    def __init__(self, config: SyntheticDirConfig) -> None:
        self.config = config
        self.sampler = sampler_of(config, config.cache, config.patches, config.seed)
        self.held_out = held_out_samples(config)
        self.game = Game(config.game) if config.game else None

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SyntheticDirTraining:
        """From the "training" and "patches" of a configuration. Raises InputError for what it does not know."""
        patches = from_mapping(SampleConfig, config.get("patches", {}), "patches")
        values = {**config.get("training", {}), "patches": patches}
        if values.get("game") is not None:
            values["game"] = from_mapping(GameConfig, values["game"], "game")
        return cls(from_mapping(SyntheticDirConfig, values, "training"))

    @property
    def network_arguments(self) -> dict[str, Any]:
        if self.config.hybrid:
            channels = FIRST_FIT_CHANNEL + len(FIT_CHANNELS)
            return {**self.config.network, "channels": channels, "residual": True, "base": FIRST_FIT_CHANNEL}
        return {**self.config.network, "channels": FIRST_FIT_CHANNEL, "residual": False}

    @property
    def section(self) -> dict[str, Any]:
        """What the task reads from the bundle."""
        return {"hybrid": True} if self.config.hybrid else {}

    def build_network(self) -> nn.Module:
        return ResidualUNet(**self.network_arguments)

    def batch(self, step: int, rank: int, world: int) -> tuple[Tensor, ...]:
        share = self.config.batch // world
        first = step * self.config.batch + rank * share
        parts = (torch.from_numpy(part) for part in self.sampler.batch(range(first, first + share)))
        return (*parts, torch.tensor(step))

    def opponents(self) -> dict[str, nn.Module]:
        return self.game.opponents() if self.game else {}

    def opponent_loss(
        self, name: str, network: nn.Module, batch: tuple[Tensor, ...]
    ) -> tuple[Tensor, dict[str, float]]:
        del batch  # the game keeps the pair
        return self.game.opponent_loss(name, network)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        config = self.config
        channels, target, lesion, brain, step = batch
        mean, log_variance = network(channels.contiguous(memory_format=torch.channels_last_3d))
        weight = brain_weight(brain)
        terms = {
            "fidelity": (config.fidelity_weight, charbonnier(mean, target, weight, epsilon=config.epsilon)),
            "similarity": (config.similarity_weight, ssim_loss(mean * brain, target, peak=2.0)),
            "lesion": (config.lesion_weight, lesion_l1(mean, target, lesion)),
            "contrast": (config.contrast_weight, lost_contrast(mean, target, lesion, brain)),
            "likelihood": (config.variance_weight, gaussian_likelihood(mean, log_variance, target, weight)),
        }
        total = sum(factor * value for factor, value in terms.values())
        figures = {name: value.item() for name, (_, value) in terms.items()}
        if self.game is None:
            return total, figures
        more, played = self.game.generator_loss(mean * brain, target, int(step))
        return total + more, {**figures, **played}

    def validate(self, network: nn.Module) -> dict[str, float]:
        return {
            f"{name}_{'_'.join(subset)}": round(value, 4)
            for subset, samples in self.held_out.items()
            for name, value in errors(network, samples).items()
        }

    def samples(self, network: nn.Module) -> list[Slice]:
        """Slices of the first held-out block: the first input of each subset, the DIR made from it, the true one."""
        rows = []
        for subset, (sample, *_) in self.held_out.items():
            shown = sample.channels[INPUTS.index(subset[0])]
            rows.append(Slice.middle("_".join(subset), shown, dir_of(network, sample)[0], sample.target[0]))
        return rows


def brain_weight(brain: Tensor) -> Tensor:
    """1 in the brain and little outside, scaled to a mean of one in each sample."""
    weight = OUTSIDE_WEIGHT + (1 - OUTSIDE_WEIGHT) * brain
    return weight / weight.mean(dim=(1, 2, 3, 4), keepdim=True)


def sampler_of(
    config: SyntheticDirConfig, cache: Path | tuple[Path, ...], patches: SampleConfig, seed: int
) -> DirSampler | HybridSampler:
    """The sampler of a cache: of packed examinations for a hybrid, of packed heads otherwise."""
    if config.hybrid:
        return HybridSampler(Examinations(cache), patches, seed=seed)
    if not isinstance(cache, Path):
        raise InputError("Only a hybrid reads several caches; give one file of packed heads.")
    return DirSampler(HeadCache(cache), patches, seed=seed)


def held_out_samples(config: SyntheticDirConfig) -> dict[tuple[str, ...], list[Sample]]:
    """The same corrupted blocks of held-out heads for each subset of inputs that validation looks at."""
    patches = replace(config.patches, size=config.validation_size, retone=0.0, fit_missing=0.0)
    sampler = sampler_of(config, config.validation_cache, patches, VALIDATION_SEED)
    blocks = range(config.validation_blocks)
    there = sampler.subsets
    return {subset: [sampler.sample(n, subset=subset) for n in blocks] for subset in VALIDATED if subset in there}


@torch.inference_mode()
def errors(network: nn.Module, samples: list[Sample]) -> dict[str, float]:
    """Root mean square error in the brain and mean signed error in lesions, if there are any; 1 is nominal cortex."""
    squares, signed = [], []
    for sample in samples:
        difference = dir_of(network, sample) - sample.target
        squares.append(difference[sample.brain > 0] ** 2)
        signed.append(difference[sample.lesion > 0])
    found = {"rms": float(np.sqrt(np.concatenate(squares).mean()))}
    inside = np.concatenate(signed)
    return {**found, "lesion_bias": float(inside.mean())} if inside.size else found


@torch.inference_mode()
def dir_of(network: nn.Module, sample: Sample) -> np.ndarray:
    """The network's mean (1, k, j, i) for a sample."""
    block = torch.from_numpy(sample.channels)[None].to(next(network.parameters()).device)
    return network(block.contiguous(memory_format=torch.channels_last_3d))[0][0].float().cpu().numpy()
