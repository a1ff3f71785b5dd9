"""Fit the filter bank of motion correction to packed pairs by least squares, and write it as a bundle.

    python Testing/Benchmarks/motion_filters.py OUTPUT [--train FILE] [--validate FILE]

The filters are told, as the network is, what motion changed of the volume, with an error as that of the estimate, so
that a wrong one does little harm.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
from SynthMRILib.bundles import load_bundle  # noqa: E402
from SynthMRILib.evaluation import records  # noqa: E402
from SynthMRILib.motion.condition import TOLD, condition_of, expected_change  # noqa: E402
from SynthMRILib.networks.filter_bank import (  # noqa: E402
    ORDERS,
    RADIUS,
    FilterBank,
    edge_strength,
    far_means,
    fluctuation,
    order_of,
)
from SynthMRILib.training.cache import Cache  # noqa: E402
from SynthMRILib.training.export import BundleDescription, write_bundle  # noqa: E402
from SynthMRILib.training.facts import data_statements  # noqa: E402
from SynthMRILib.training.motion_correction import HeldOutPairs  # noqa: E402

CACHES = CHECKOUT / "build" / "cache"
CONFIG = CHECKOUT / "Testing" / "Benchmarks" / "queue" / "motion_correction.json"
CHANGES = (0.0, 0.02, 0.035, 0.05, 0.08, 0.13)
"""Of the volume [network units], for each of which filters are fitted."""
BLOCK = 88
SAMPLES = 6_000
TOLD_DEVIATION = 0.35
RIDGE = 5e-4
FLOOR = 1e-4
"""Added to the squared error of a volume, to which its weight is inverse: each counts alike, as in the training."""
FLUCTUATION_SHARES, EDGE_SHARES = (0.35, 0.75), (0.6,)
"""Shares of the head between which the borders of the classes lie: few classes, which many volumes agree on."""
FEATURES = (RADIUS + 1) ** 3 + 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--train", type=Path, default=CACHES / "motion_train.safetensors")
    parser.add_argument("--every", type=int, default=1, help="use each n-th training pair")
    parser.add_argument("--validate", type=Path, default=CACHES / "motion_validate.safetensors")
    parser.add_argument("--compare", nargs="*", default=[], metavar="BUNDLE", help="only measure these, and write down")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.compare:
        return compare(arguments)
    cache = Cache(arguments.train)
    network = FilterBank(**borders(cache))
    fit(network, cache, arguments.every)
    held_out = Cache(arguments.validate)
    figures = HeldOutPairs(held_out, size=64).gains(network)
    sys.stderr.write(json.dumps(figures) + "\n")
    export(network, figures, arguments)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Gains of bundles on the same held-out pairs, the true change told; into a record."""
    held_out, found = HeldOutPairs(Cache(arguments.validate), size=64), {}
    for path in arguments.compare:
        bundle = load_bundle(path)
        figures = held_out.gains(bundle.build_network().eval())
        found[bundle.weights_sha256[:12]] = {"title": bundle.metadata["name"], **figures}
        sys.stdout.write(json.dumps(found) + "\n")
    record = {
        "command": "motion_filters.py OUTPUT --compare BUNDLE...",
        "commit": records.current_commit(CHECKOUT),
        "data": "middle of 32 pairs of heads 13 to 15 and longitudinal03, held out; true change told",
        "bundles": found,
    }
    records.write_record(CHECKOUT / "Documentation" / "figures" / "motion_filters.json", record)
    return 0


def export(network: FilterBank, figures: dict[str, float], arguments: argparse.Namespace) -> None:
    """Write the bundle; its words are those of the network's configuration."""
    words = json.loads(CONFIG.read_text(encoding="utf-8"))["bundle"]
    caches = {"cache": arguments.train, "validation_cache": arguments.validate}
    facts = {
        "fit": "least squares, by class and change",
        "pairs": len(Cache(arguments.train)) // 2 // arguments.every,
        "samples a volume": SAMPLES,
        "subjects": {name: subjects(Cache(path)) for name, path in caches.items()},
    }
    description = BundleDescription(
        **{**words, "title": "Motion correction (adaptive filters)", "section": {"spacing_mm": [0.4, 5.0], **TOLD}},
        task="motion-correction",
        network_name="FilterBank",
        network_arguments=borders_of(network),
        training=facts,
        validation=figures,
        data=data_statements({"training": caches}, None, None),
    )
    write_bundle(arguments.output, network, description)


def subjects(cache: Cache) -> list[str]:
    return sorted({entry.subject for entry in cache.entries})


def borders_of(network: FilterBank) -> dict[str, list[float]]:
    return {n: list(getattr(network, n)) for n in ("fluctuations", "edges", "conditions")}


def borders(cache: Cache) -> dict[str, list[float]]:
    """Borders that share the voxels of the head among the classes evenly."""
    fine, coarse = [], []
    for index in range(0, len(cache), 10):
        block = torch.from_numpy(block_of(cache, index))[None, None]
        head = block > 0.05
        fine.append(fluctuation(block)[head])
        coarse.append(edge_strength(block)[head])
    shares = {
        "fluctuations": (torch.cat(fine), FLUCTUATION_SHARES),
        "edges": (torch.cat(coarse), EDGE_SHARES),
    }
    found = {n: [round(float(q), 5) for q in np.quantile(v.numpy(), at)] for n, (v, at) in shares.items()}
    return {**found, "conditions": [round(condition_of(change), 4) for change in CHANGES]}


def block_of(cache: Cache, index: int) -> np.ndarray:
    """The middle of a volume: the same for both of a pair."""
    return cache.block(index, tuple((n - BLOCK) // 2 for n in cache.shape(index)), BLOCK)


@torch.inference_mode()
def fit(network: FilterBank, cache: Cache, every: int) -> None:
    """Normal equations of every class and change, gathered pair by pair."""
    number = len(network.conditions)
    normal = torch.zeros(number, network.classes, FEATURES, FEATURES, dtype=torch.float64)
    right = torch.zeros(number, network.classes, FEATURES, dtype=torch.float64)
    square = torch.zeros(number, network.classes, dtype=torch.float64)
    count = torch.zeros(number, network.classes, dtype=torch.float64)
    rng = np.random.default_rng(0)
    for index in range(0, len(cache), 2 * every):
        moved, still = (torch.from_numpy(block_of(cache, index + n))[None, None] for n in (0, 1))
        whole, extra = cache.volume(index).astype(np.float32), cache.entries[index].extra
        change = expected_change(whole, extra["severity_mm"], tuple(extra["spacing_kji"][::-1]))
        for amount in (1.0, float(rng.choice([0.0, rng.uniform(0.3, 0.9)]))):
            volume = still + amount * (moved - still)
            condition = condition_of(amount * change * np.exp(TOLD_DEVIATION * rng.standard_normal()))
            place = int(np.argmin(np.abs(np.array(network.conditions) - condition)))
            features, wanted, classes = sampled(network, volume, still, rng)
            share = 1 / (float((wanted**2).mean()) + FLOOR) / len(wanted)
            for c in classes.unique():
                part, target = features[classes == c], wanted[classes == c]
                normal[place, c] += share * (part.T @ part)
                right[place, c] += share * (part.T @ target)
                square[place, c] += share * (target**2).sum()
                count[place, c] += share * len(target)
        sys.stderr.write(f"{index // 2 + 1} of {len(cache) // 2}\n")
    scale = normal.diagonal(dim1=-2, dim2=-1).mean(dim=-1).clamp(min=1e-9)
    penalty = RIDGE * scale[..., None, None] * torch.eye(FEATURES, dtype=torch.float64)
    weights = torch.linalg.solve(normal + penalty, right[..., None])[..., 0]
    error = square - 2 * (weights * right).sum(-1) + torch.einsum("sca,scab,scb->sc", weights, normal, weights)
    network.taps.copy_(weights[..., : FEATURES - 4])
    network.far.copy_(weights[..., FEATURES - 4 :])
    network.log_variance.copy_((error / count.clamp(min=1e-9)).clamp(min=1e-6).log())


def sampled(network: FilterBank, volume: torch.Tensor, still: torch.Tensor, rng: np.random.Generator):
    """Features (n, 31), wanted change (n,) and class (n,) of random voxels of the head."""
    inside = torch.zeros_like(volume, dtype=torch.bool)
    core = (0, 0, *(slice(RADIUS, -RADIUS),) * 3)
    inside[core] = (still > 0.02)[core]
    places = np.argwhere(inside[0, 0].numpy())
    places = torch.from_numpy(places[rng.choice(len(places), min(SAMPLES, len(places)), replace=False)])
    at = (0, 0, *places.T)
    order = torch.tensor(ORDERS)[order_of(volume)[at]]
    taps = torch.zeros(len(places), RADIUS + 1, RADIUS + 1, RADIUS + 1)
    reach = range(-RADIUS, RADIUS + 1)
    for offset in ((a, b, c) for a in reach for b in reach for c in reach):
        shift = torch.zeros_like(places)
        shift.scatter_(1, order, torch.tensor(offset).expand(len(places), 3))
        taps[:, abs(offset[0]), abs(offset[1]), abs(offset[2])] += volume[(0, 0, *(places + shift).T)]
    means = far_means(volume)[(0, slice(None), *places.T)].T
    far = torch.cat([means[:, :3].gather(1, order), means[:, 3:]], dim=1)
    features = torch.cat([taps.flatten(1), far], dim=1).double()
    return features, (still - volume)[at].double(), network.classes_of(volume)[at]


if __name__ == "__main__":
    sys.exit(main())
