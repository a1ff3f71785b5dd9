"""Real examinations for the training of synthetic DIR, with the dictionary DIR of all their contrasts as the target.

Simulated heads do not have the contrast, the noise and the stripping of real ones; a dictionary fit has no truth but
needs none. A network that sees real inputs, made worse, learns to give the fit of the better ones, from fewer
contrasts. No lesion mask of a rater is read: where lesions may be, which decides where patches lie and what the lesion
loss counts, is what the fit takes for one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from ..dir_synthesis import dictionary, network
from ..dir_synthesis.preprocessing import Prepared, prepare
from ..dir_synthesis.tissue_fit import CSF, GRAY, TISSUES, WHITE, TissueFit, fit_tissues
from ..volume_io import read_volume
from .cache import Entry
from .dir_packing import DEPTH_OFFSET, INPUTS, PackedHead, bounding_box, packed_depth

#: Part of the split -> examinations with all three contrasts: name, files below the data folder, and whether they are
#: in register. Subjects that test are not here; no part but "train" has any. The second visit of longitudinal01 has a
#: lesion that is bright in T1w (contrast agent or blood), which the fit shows dark: not a target.
EXAMINATIONS: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "train": (
        ("patient07", "ms_cross_sectional/patient07/{}.nii.gz", True),
        ("longitudinal01", "ms_longitudinal/patient01/study1_{}.nii.gz", False),
    ),
}
FILES = {True: {"flair": "FLAIR", "t1": "T1", "t2": "T2"}, False: {"flair": "FLAIR", "t1": "T1W", "t2": "T2W"}}
#: Probability of lesion above which a voxel belongs to a presumed lesion, and its smallest size.
PROBABLE, LEAST_MM3 = 0.5, 5


def real_heads(data: Path, part: str, report: Callable[[str], None]) -> list[PackedHead]:
    """The examinations of a part that are there, packed like simulated heads."""
    heads = []
    for name, pattern, registered in EXAMINATIONS.get(part, ()):
        paths = {role: data / pattern.format(file) for role, file in FILES[registered].items()}
        if all(path.is_file() for path in paths.values()):
            volumes = {role: read_volume(path) for role, path in paths.items()}
            prepared = of_1_mm(prepare(volumes, registered=registered, bias_correction=not registered))
            heads.append(packed(prepared, name))
            report(f"{name} {len(heads[-1].entry.extra['lesions'])} presumed lesions {heads[-1].volumes.shape[1:]}")
    return heads


def of_1_mm(prepared: Prepared) -> Prepared:
    """The contrasts where all have data, on the grid on which the network works."""
    grid = network.working_grid(prepared.grid)
    covered = np.logical_and.reduce(list(prepared.covered.values())).astype(np.float32)
    brain = network.on_grid(covered, prepared.grid, grid) > 0.5
    contrasts = {
        name: np.where(brain, np.maximum(network.on_grid(voxels, prepared.grid, grid), 0), 0).astype(np.float32)
        for name, voxels in prepared.contrasts.items()
    }
    return Prepared(contrasts, dict.fromkeys(contrasts, brain), brain, grid, prepared.facts)


def packed(prepared: Prepared, name: str) -> PackedHead:
    """One examination with its dictionary DIR, in the units of packed heads."""
    spacing, brain = prepared.grid.spacing, prepared.brain
    tissues = fit_tissues(prepared.contrasts, brain, spacing=spacing)
    fit = dictionary.synthesize(prepared.contrasts, brain, tissues, spacing=spacing)
    marks = landmarks(prepared, tissues)
    box = bounding_box(brain)
    lesion, rows = presumed_lesions(fit.lesion[box])
    volumes = [prepared.contrasts[role][box] / np.float32(marks[role].pop("unit")) for role in INPUTS]
    volumes.append(fit.dir_signal[box] / np.float32(network.CORTEX))
    maps = np.stack([lesion, 255.0 * tissues.certain_fluid[box], packed_depth(inner_depth(brain, spacing))[box]])
    extra = {"landmarks": marks, "field_strength": None, "sequences": {}, "lesions": rows}
    entry = Entry(name, "dir", "real", True, extra)
    return PackedHead(entry, np.clip(np.stack(volumes), 0, 60).astype(np.float16), np.rint(maps).astype(np.uint8))


def landmarks(prepared: Prepared, tissues: TissueFit) -> dict[str, dict[str, float]]:
    """Intensity of the tissues of every contrast in units of its white matter, which is "unit"."""
    found = {}
    for role in INPUTS:
        core = dictionary.core_intensities(role, prepared.contrasts[role], tissues)
        names = dict(zip(TISSUES, (CSF, GRAY, WHITE)))
        values = {name: float(core[n] / core[WHITE]) for name, n in names.items()}
        found[role] = {"fluid": values.pop("csf"), **values, "unit": float(core[WHITE])}
    return found


def inner_depth(brain: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Distance [mm] from the border of the brain, negative inside; outside there are no data, hence far away."""
    inside = ndimage.distance_transform_edt(np.pad(brain, 1), sampling=spacing[::-1])[1:-1, 1:-1, 1:-1]
    return np.where(brain, np.maximum(-inside, -DEPTH_OFFSET), np.inf)


def presumed_lesions(probability: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Parts that the fit takes for lesions, boolean (k, j, i), and a row for each."""
    labels, count = ndimage.label(probability > PROBABLE, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    kept = [n for n in range(1, count + 1) if sizes[n] >= LEAST_MM3]
    centers = ndimage.center_of_mass(labels > 0, labels, kept) if kept else []
    rows = [
        {"location": "presumed", "volume_mm3": int(sizes[n]), "center_kji": [round(float(c)) for c in center]}
        for n, center in zip(kept, centers)
    ]
    return np.isin(labels, kept), rows
