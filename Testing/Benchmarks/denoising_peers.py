"""Run the denoising of other projects on one volume: non-local means of DIPY, adaptive non-local means of ANTs.

    python denoising_peers.py IN.npy MASK.npy OUT.npz

For `denoising_quality.py` and `super_resolution_peers.py`, which start it (`estimates_of_peers`) with a Python that has
DIPY and ANTs (`pip install dipy antspyx`): they need other versions of numpy and scipy than SynthMRI. Each peer
estimates the noise with its own means. Writes an array a peer, and the seconds each took, without import and reading.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

#: Settings as the peers' own documentation has them; both are told that the noise is Rician.
SETTINGS = {
    "dipy-nlmeans": {
        "patch_radius": 1,
        "block_radius": 2,
        "rician": True,
        "sigma": "estimate_sigma(N=1)",
    },
    "ants-denoise": {"noise_model": "Rician", "shrink_factor": 1, "p": 1, "r": 2},
}


def dipy_nlmeans(noisy: np.ndarray, mask: np.ndarray) -> Callable[[], np.ndarray]:
    from dipy.denoise.nlmeans import nlmeans
    from dipy.denoise.noise_estimate import estimate_sigma

    def run() -> np.ndarray:
        sigma = estimate_sigma(noisy, N=1)
        return nlmeans(noisy, sigma=sigma, mask=mask, patch_radius=1, block_radius=2, rician=True)

    return run


def ants_denoise(noisy: np.ndarray, mask: np.ndarray) -> Callable[[], np.ndarray]:
    import ants

    image = ants.from_numpy(noisy.astype(np.float32))
    inside = ants.from_numpy(mask.astype(np.float32))

    def run() -> np.ndarray:
        return ants.denoise_image(image, mask=inside, noise_model="Rician", shrink_factor=1, p=1, r=2).numpy()

    return run


PEERS = {"dipy-nlmeans": dipy_nlmeans, "ants-denoise": ants_denoise}


def estimates_of_peers(
    noisy: np.ndarray, mask: np.ndarray, python: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What each peer makes of a volume, and the facts it tells of its run; `python` is a Python that has the peers."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("noisy.npy", "mask.npy", "out.npz")]
        np.save(files[0], noisy)
        np.save(files[1], mask)
        run = subprocess.run([python, __file__, *files], capture_output=True, text=True, check=True)
        with np.load(files[2]) as arrays:
            return {name: arrays[name] for name in arrays.files}, json.loads(run.stdout.splitlines()[-1])


def main() -> int:
    source, mask_file, target = sys.argv[1:4]
    noisy, mask = np.load(source), np.load(mask_file)
    arrays, facts = {}, {}
    for name, prepare in PEERS.items():
        run = prepare(noisy, mask)
        started = time.perf_counter()
        arrays[name] = np.asarray(run(), dtype=np.float32)
        facts[name] = {"seconds": round(time.perf_counter() - started, 2), **SETTINGS[name]}
    facts["versions"] = {name: version(name) for name in ("dipy", "antspyx")}
    np.savez(target, **arrays)
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
