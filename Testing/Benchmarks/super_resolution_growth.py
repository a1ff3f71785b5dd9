"""How the gain of super-resolution grows with training heads and with parameters, and what unseen subjects cost.

    OMP_NUM_THREADS=1 python Testing/Benchmarks/super_resolution_growth.py [--seconds 300] [--rows NAME...]
        [--output build/growth]

Every row is a training from nothing by the rules of `super_resolution_peer_training.py`, at the learning rate that its
search chose for our network: with 1, 3, 6 and 12 simulated heads beside the same two patients, for `--seconds`
processor seconds; and with two and four times the parameters for as many steps as the row of 12 heads. "shipped" is no
training: the gain of the best installed bundle on blocks of the training subjects beside that on held-out subjects.
Finished rows are kept, so that the command can be repeated after it was broken off. Writes
`Documentation/figures/super_resolution_growth.json`. No test subject is opened.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "SynthMRI"), str(CHECKOUT / "Testing")]
from Benchmarks import super_resolution_peer_training as peers  # noqa: E402

RECORD = CHECKOUT / "Documentation" / "figures" / "super_resolution_growth.json"
HEADS = {"1 head": 1, "3 heads": 3, "6 heads": 6, "12 heads": 12}
WIDTHS = {"parameters x2": {"features": 48, "growth": 24}, "parameters x4": {"features": 64, "growth": 32}}
ALL_HEADS = "12 heads"
SIMULATED = "simulated"


def main() -> int:
    from SynthMRILib.evaluation.records import current_commit, write_record

    arguments = build_parser().parse_args()
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {"rows": {}}
    base = json.loads((peers.QUEUE / f"{peers.NETWORKS['ours']}.json").read_text(encoding="utf-8"))
    base.pop("start", None)
    record |= {
        "task": "super-resolution",
        "command": f"OMP_NUM_THREADS=1 python Testing/Benchmarks/{Path(__file__).name} --seconds {arguments.seconds:g}",
        "commit": current_commit(CHECKOUT),
        "data": "training and validation caches of the project's own sets; no test subject",
        "unit": "gain in PSNR over the cubic B-spline on held-out volumes [dB], mean of contrasts and sources",
        "learning_rate": chosen_rate(),
    }
    for name in arguments.rows:
        record["rows"][name] = train_row(name, base, arguments)
        write_record(RECORD, record)
        sys.stdout.write(f"{name}: {json.dumps(record['rows'][name])}\n")
        sys.stdout.flush()
    if arguments.shipped:
        record |= shipped(base)
        write_record(RECORD, record)
    return 0


def build_parser() -> argparse.ArgumentParser:
    names = [*HEADS, *WIDTHS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300, help="processor seconds of a row")
    parser.add_argument("--rows", nargs="*", choices=names, default=names)
    parser.add_argument("--shipped", action="store_true", help="also compare training with held-out subjects")
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build" / "growth")
    return parser


def chosen_rate() -> float:
    """The learning rate that the search of the peers' record found best for our network."""
    return json.loads(peers.RECORD.read_text(encoding="utf-8"))["networks"]["ours"]["final"]["learning_rate"]


def train_row(name: str, base: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Steps, parameters and learning curve of one row."""
    steps = arguments.seconds / peers.step_seconds(base, arguments.output / "base")
    config = copy.deepcopy(base)
    if name in WIDTHS:
        config["training"]["network"] |= WIDTHS[name]
    else:
        config["patches"]["weights"] = weights_of_heads(config["patches"]["weights"], HEADS[name])
    folder = arguments.output / name.replace(" ", "_")
    done = peers.run(config, folder, steps, chosen_rate(), validations=peers.VALIDATIONS)
    return {"parameters": parameters(config), "network": config["training"]["network"], **done}


def weights_of_heads(weights: list[list[Any]], number: int) -> list[list[Any]]:
    """Weights of the subjects when only the first `number` simulated heads share what all of them had."""
    share = dict(weights)[SIMULATED] / number
    others = [[name, weight] for name, weight in weights if name != SIMULATED]
    return others + [[f"head_{n:02d}", share] for n in range(1, number + 1)]


def parameters(config: dict[str, Any]) -> int:
    from SynthMRILib.bundles import network_class

    network = network_class("RRDBNet")(**config["training"]["network"])
    return sum(p.numel() for p in network.parameters())


def shipped(base: dict[str, Any]) -> dict[str, Any]:
    """Gains of the best bundle on blocks of the subjects it was trained on and of those held out."""
    from SynthMRILib.bundles import best_bundle
    from SynthMRILib.training.cache import Cache
    from SynthMRILib.training.super_resolution import ValidationSet

    bundle = best_bundle("super-resolution")
    network = bundle.build_network().eval()
    gains = {
        part: ValidationSet(Cache(CHECKOUT / base["training"][key]), blocks=1, size=64).gains(network)
        for part, key in (("trained_on", "cache"), ("held_out", "validation_cache"))
    }
    return {"bundle": {"name": bundle.name, "sha256": bundle.weights_sha256}, "shipped": gains}


if __name__ == "__main__":
    sys.exit(main())
