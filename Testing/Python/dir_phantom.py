"""A small simulated brain with lesions in T1w, T2w, FLAIR and true DIR, for the tests of synthetic DIR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from simulation_phantoms import small_head
from SynthMRILib.simulation import lesions, protocols, subject
from SynthMRILib.simulation.tissue import BRAIN_LABELS
from SynthMRILib.volume import Grid, Volume

SHAPE = (48, 56, 52)


@dataclass(frozen=True, eq=False)
class Phantom:
    """Stripped volumes by contrast, the true DIR, lesion mask, labels and brain, arrays (k, j, i)."""

    volumes: dict[str, Volume]
    dir_truth: np.ndarray
    lesions: np.ndarray
    labels: np.ndarray
    brain: np.ndarray
    grid: Grid


def simulated_phantom(*, seed: int = 3, number: int = 6, noise: float = 0.02) -> Phantom:
    """Noise is relative to the 99th percentile of each contrast; every contrast has another arbitrary unit."""
    rng = np.random.default_rng(seed)
    labels = small_head(SHAPE)
    labels[labels == 515] = 24
    person = subject.draw(rng, deformed=False, lesions_probability=0.0)
    drawn = lesions.draw(rng, number=number, locations=("periventricular", "juxtacortical", "subcortical"))
    person = subject.apply(subject.SubjectRecord(person.anatomy, None, drawn, None), labels)
    brain = np.isin(labels, (*BRAIN_LABELS, 24))
    matrix = np.eye(4)
    matrix[:3, 3] = -np.array(SHAPE[::-1]) / 2
    grid = Grid(SHAPE, matrix)
    volumes = {}
    for name, contrast, unit in (("flair", "flair", 180.0), ("t1", "t1w", 700.0), ("t2", "t2w", 1500.0)):
        clean = person.volume(protocols.draw(rng, contrast, field_strength=3.0))
        clean = clean / np.percentile(clean[brain], 99)
        noisy = np.abs(clean + noise * rng.standard_normal(SHAPE)) + 1e-3
        volumes[name] = Volume(np.where(brain, unit * noisy, 0), grid)
    truth = person.volume(protocols.draw(rng, "dir", field_strength=3.0))
    return Phantom(volumes, truth, np.asarray(person.lesions.mask), labels, brain, grid)
