"""Train our network and its peers (ESRGAN-3D, DCSRN) for x2 super-resolution with equal budgets of processor time.

    OMP_NUM_THREADS=1 python Testing/Benchmarks/super_resolution_peer_training.py [--seconds 300] [--search 50]
        [--names ours esrgan-3d dcsrn] [--output build/peers]

Every network sees the same data, the same loss and the same kinds of samples. First its processor seconds a step are
taken; a learning rate of three is then chosen on the held-out volumes after `--search` seconds of training each, and
the final run of `--seconds` seconds uses it. Seconds are those of one thread in bfloat16 autocast, of training steps
alone. Small patches and batches were given to the peers, whose steps cost most; a budget of time, not of steps, is what
a user pays. Finished runs are kept, so that the command can be repeated after it was broken off. Writes
`Documentation/figures/super_resolution_peer_training.json` with all learning curves; bundles stay in OUTPUT/bundles,
for `super_resolution_peers.py --bundle`. No test subject is opened.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))
QUEUE = CHECKOUT / "Testing" / "Benchmarks" / "queue"
RECORD = CHECKOUT / "Documentation" / "figures" / "super_resolution_peer_training.json"
NETWORKS = {"ours": "super_resolution_x2", "esrgan-3d": "peer_esrgan_3d", "dcsrn": "peer_dcsrn"}
#: Learning rates relative to that of the configuration.
RATES = (0.5, 1.0, 2.0)
#: Looks at the held-out volumes in the final run.
VALIDATIONS = 3
TIMED_STEPS = 8
LAUNCH = {"accelerator": "cpu", "devices": 1, "precision": "bf16-mixed"}


def main() -> int:
    import torch
    from SynthMRILib.evaluation.records import current_commit, write_record

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300, help="processor seconds of the final run")
    parser.add_argument("--search", type=float, default=50, help="processor seconds of each run of the search")
    parser.add_argument("--names", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--output", type=Path, default=CHECKOUT / "build" / "peers")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["networks"] if RECORD.exists() else {}
    for name in arguments.names:
        rows[name] = train_peer(name, arguments)
        record = {
            "task": "super-resolution",
            "command": f"OMP_NUM_THREADS=1 python Testing/Benchmarks/{Path(__file__).name} "
            f"--seconds {arguments.seconds:g} --search {arguments.search:g}",
            "commit": current_commit(CHECKOUT),
            "data": "training and validation caches of the project's own sets; no test subject",
            "unit": "gain in PSNR over the cubic B-spline on held-out volumes [dB], mean of contrasts and sources",
            "seconds": "processor seconds of one thread, bfloat16 autocast, training steps alone",
            "networks": rows,
        }
        write_record(RECORD, record)
        sys.stdout.write(f"{name}: {json.dumps(rows[name]['final'])}\n")
        sys.stdout.flush()
    return 0


def train_peer(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Search and final run of one network."""
    config = json.loads((QUEUE / f"{NETWORKS[name]}.json").read_text(encoding="utf-8"))
    folder = arguments.output / name
    cost = step_seconds(config, folder)
    base = config["loop"]["learning_rate"]
    search = {
        rate * base: run(config, folder / f"search_{rate:g}", arguments.search / cost, rate * base) for rate in RATES
    }
    best = max(search, key=lambda rate: search[rate]["curve"][-1]["gain_db"])
    final = run(config, folder / "final", arguments.seconds / cost, best, validations=VALIDATIONS)
    shutil.copytree(folder / "final" / "bundle", arguments.output / "bundles" / f"{name}-budget", dirs_exist_ok=True)
    return {
        "configuration": f"queue/{NETWORKS[name]}.json",
        "batch": config["training"]["batch"],
        "patch": config["patches"]["size"],
        "seconds_a_step": round(cost, 3),
        "search": [{"learning_rate": rate, **row} for rate, row in search.items()],
        "final": {"learning_rate": best, **final},
    }


def step_seconds(config: dict[str, Any], folder: Path) -> float:
    """Processor seconds of a step, batch included; taken once and kept in the folder."""
    import torch
    from SynthMRILib.training.configuration import training_class
    from SynthMRILib.training.loop import LoopConfig, fit

    kept = folder / "seconds_a_step.json"
    if kept.exists():
        return json.loads(kept.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    training = training_class("super-resolution", config).from_config(timed(config))
    from lightning.fabric import Fabric

    times = {}
    loop = LoopConfig(steps=TIMED_STEPS, log_every=1, validate_every=10**9, checkpoint_every=10**9)
    training.validate = lambda _: {}
    training.samples = lambda _: []
    torch.manual_seed(0)
    fit(
        training,
        loop,
        folder,
        report=lambda line: times.setdefault(line["step"], time.process_time()),
        fabric=Fabric(**LAUNCH),
    )
    (folder / "checkpoint.pt").unlink()
    (folder / "training.jsonl").unlink()
    cost = (times[TIMED_STEPS] - times[2]) / (TIMED_STEPS - 2)
    kept.write_text(json.dumps(cost), encoding="utf-8")
    return cost


def timed(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with next to no validation."""
    config = copy.deepcopy(config)
    config["training"] |= {"validation_blocks": 1, "validation_size": 32}
    return config


def run(config: dict[str, Any], folder: Path, steps: float, rate: float, *, validations: int = 1) -> dict[str, Any]:
    """Train into the folder, resuming what is there; steps and learning curve."""
    from SynthMRILib.training.run import train

    steps = max(VALIDATIONS, round(steps))
    config = copy.deepcopy(config)
    config["training"] |= {"validation_blocks": 1, "validation_size": 48}
    config["loop"] |= {
        "steps": steps,
        "learning_rate": rate,
        "warmup": max(5, steps // 20),
        "ema": min(0.998, 1 - 10 / steps),
        "decay": 0.4,
        "validate_every": -(-steps // validations),
        "checkpoint_every": 25,
    }
    if not (folder / "bundle").is_dir():
        train("super-resolution", config, folder, launch=LAUNCH, report=lambda _: None)
    return {"steps": steps, "curve": curve(folder / "training.jsonl", steps)}


def curve(log: Path, steps: int) -> list[dict[str, Any]]:
    """Share of the budget and mean gain at each validation."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    rows = {line["step"]: line for line in lines if line["event"] == "validation"}
    return [
        {
            "share": round(step / steps, 2),
            "gain_db": round(fmean(v for k, v in line.items() if k.startswith("gain_db_")), 3),
            **{k: v for k, v in line.items() if k.startswith("gain_db_")},
        }
        for step, line in sorted(rows.items())
    ]


if __name__ == "__main__":
    sys.exit(main())
