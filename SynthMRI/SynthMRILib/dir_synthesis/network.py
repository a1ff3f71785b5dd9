"""What the DIR network sees of prepared contrasts, and how its output becomes a DIR on the grid of the reference.

Each contrast is scaled by its tissues (`scaling.py`) and comes with a mask of where it has data; one that is missing is
zero with an empty mask. A hybrid network also sees the dictionary fit of the very contrasts, and only adds to its DIR.
Volumes whose voxels are not about 1 mm are computed on a grid of 1 mm over the same field of view. Nothing here imports
torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..itk_io import image_from_volume
from ..progress import Progress, no_progress
from ..tasks.base import NetworkInput
from ..volume import Grid, Volume
from . import dictionary, mixing
from .dictionary import UNIT, DictionaryFit, core_intensities
from .preprocessing import CONTRASTS, Prepared
from .registration import resampled
from .scaling import ContrastScale
from .sequences import NOMINAL, dir_signal
from .tissue_fit import CSF, GRAY, WHITE, TissueFit, fit_tissues

#: Intensity [a.u.] of nominal cortex in the nominal DIR: 1 in network units.
CORTEX = float(UNIT * np.abs(dir_signal(NOMINAL))[GRAY])
#: Window of the result [a.u.], from black to a little above the brightest lesions.
WINDOW = (0.0, round(2.5 * CORTEX, 1))
#: Voxel sizes that are computed as they are [mm]; training had 1 mm.
SPACINGS_MM = (0.8, 1.25)
MARGIN = 2
#: Width of the bend by which negative outputs become small positive ones, 1 being nominal cortex.
FLOOR = 0.02
#: What a hybrid network sees of the dictionary fit, after contrasts and masks: the DIR and its spread over the groups
#: of atoms, both 1 at nominal cortex, and the probability of lesion.
FIT_CHANNELS = ("dir", "spread", "lesion")
FIRST_FIT_CHANNEL = 2 * len(CONTRASTS)


@dataclass(frozen=True, eq=False)
class DirInput(NetworkInput):
    """A `NetworkInput` that also knows where the result belongs.

    Args:
        target: a volume on the grid of the result.
        brain: on that grid, boolean (k, j, i); the result is zero outside.
        labels: of the tissue fit on that grid, (k, j, i).
        fit: dictionary DIR and its spread, (2, k, j, i) on the network's grid in its units, where the result is to be
            mixed with it; levels: of the tissues in both [a.u.], once the network has been seen.
    """

    target: Volume | None = None
    brain: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int8))
    fit: np.ndarray | None = None
    levels: mixing.Levels | None = None


def network_input(
    prepared: Prepared, tissues: TissueFit, *, hybrid: bool = False, progress: Progress = no_progress
) -> DirInput:
    """What the network sees of prepared contrasts, cropped to the brain.

    Channels (6, k, j, i) are contrasts, then masks, in the order of CONTRASTS; a hybrid network has FIT_CHANNELS more.

    Args:
        tissues: fit to the same contrasts on their own grid.
        hybrid: add the channels of the dictionary fit.
    """
    working = on_working_grid(prepared)
    scales = {name: contrast_scale(name, voxels, tissues) for name, voxels in prepared.contrasts.items()}
    channels, facts = contrast_channels(working, scales), {}
    if hybrid:
        fit = fitted(working, tissues if working is prepared else None, progress)
        channels, facts = np.concatenate([channels, fit_channels(fit)]), {"dictionary": fit.facts}
    box = bounding_box(channels[len(CONTRASTS) : FIRST_FIT_CHANNEL].any(axis=0))
    channels = np.ascontiguousarray(channels[(slice(None), *box)])
    facts |= {
        "scales": {name: scale.as_dict() for name, scale in scales.items()},
        "computed_on_mm": [round(s, 4) for s in working.grid.spacing],
        "window": list(WINDOW),
    }
    return DirInput(
        channels,
        Volume(channels[0], cropped_grid(working.grid, box)),
        CORTEX,
        images=len(CONTRASTS),
        same_contrast=False,
        facts=facts,
        target=Volume(prepared.brain.astype(np.float32), prepared.grid),
        brain=prepared.brain,
        labels=tissues.labels,
    )


def on_working_grid(prepared: Prepared) -> Prepared:
    """The contrasts on the grid on which the network works; the very same where that is theirs."""
    grid = working_grid(prepared.grid)
    if grid is prepared.grid:
        return prepared
    covered = {n: on_grid(c.astype(np.float32), prepared.grid, grid) > 0.5 for n, c in prepared.covered.items()}
    contrasts = {
        name: np.where(covered[name], np.maximum(on_grid(voxels, prepared.grid, grid), 0), 0).astype(np.float32)
        for name, voxels in prepared.contrasts.items()
    }
    brain = np.logical_or.reduce(list(covered.values()))
    return Prepared(contrasts, covered, brain, grid, prepared.facts)


def contrast_channels(working: Prepared, scales: Mapping[str, ContrastScale]) -> np.ndarray:
    """Contrasts in network units and their masks, float32 (6, k, j, i); one that is missing is zero in both."""
    channels = np.zeros((FIRST_FIT_CHANNEL, *working.grid.shape), dtype=np.float32)
    for n, name in enumerate(CONTRASTS):
        if name in working.contrasts:
            covered = working.covered[name]
            channels[n] = np.where(covered, scales[name].apply(working.contrasts[name]), 0)
            channels[len(CONTRASTS) + n] = covered
    return channels


def fitted(working: Prepared, tissues: TissueFit | None, progress: Progress = no_progress) -> DictionaryFit:
    """The dictionary fit of prepared contrasts; tissues are fitted anew where None are given."""
    if tissues is None:
        everywhere = np.logical_and.reduce(list(working.covered.values()))
        tissues = fit_tissues(working.contrasts, everywhere, spacing=working.grid.spacing)
    return dictionary.synthesize(
        working.contrasts,
        working.brain,
        tissues,
        spacing=working.grid.spacing,
        covered=working.covered,
        progress=progress,
    )


def fit_channels(fit: DictionaryFit) -> np.ndarray:
    """FIT_CHANNELS in network units, float32 (3, k, j, i)."""
    return np.stack([fit.dir_signal / np.float32(CORTEX), fit.spread / np.float32(CORTEX), fit.lesion])


def contrast_scale(name: str, voxels: np.ndarray, tissues: TissueFit) -> ContrastScale:
    """Scale of a contrast from the inner voxels of its tissues."""
    core = core_intensities(name, voxels, tissues)
    return ContrastScale(name, float(core[CSF]), float(core[WHITE]))


def result_volume(prepared: DirInput, voxels: np.ndarray, *, spread: bool = False) -> Volume:
    """The network's output (k, j, i) as a volume on the grid of the reference [a.u.], zero outside of the brain."""
    computed = Volume((voxels if spread else floored(voxels)) * np.float32(prepared.unit), prepared.volume.grid)
    placed = resampled(image_from_volume(computed), image_from_volume(prepared.target), sitk.Transform(), linear=True)
    return prepared.target.with_voxels(np.where(prepared.brain, placed, 0))


def floored(voxels: np.ndarray) -> np.ndarray:
    """Positive values that keep their order: s log(1 + exp(x / s)), which is x well above zero and never zero itself.

    A magnitude cannot be negative; cutting at zero would throw away what tells dark voxels apart.
    """
    return np.float32(FLOOR) * np.logaddexp(np.float32(0), voxels / np.float32(FLOOR))


def working_grid(grid: Grid) -> Grid:
    """The grid itself when its voxels are about 1 mm, else one of 1 mm over the same field of view."""
    if all(SPACINGS_MM[0] <= s <= SPACINGS_MM[1] for s in grid.spacing):
        return grid
    size = [max(1, round(n * s)) for n, s in zip(grid.size, grid.spacing)]
    factors = tuple(new / old for new, old in zip(size, grid.size))
    return grid.scaled(factors, tuple(size[::-1]))


def on_grid(voxels: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Voxels on another grid over the same field of view; axes that get coarser are smoothed first."""
    if source is target:
        return voxels
    coarser = [new / old for new, old in zip(target.spacing, source.spacing)][::-1]
    smooth = ndimage.gaussian_filter(voxels, [0.42 * np.sqrt(max(c**2 - 1, 0.0)) for c in coarser])
    image = image_from_volume(Volume(smooth, source))
    return resampled(image, image_from_volume(Volume(np.zeros(target.shape), target)), sitk.Transform(), linear=True)


def bounding_box(mask: np.ndarray) -> tuple[slice, ...]:
    """Box around a mask, MARGIN voxels wider, within the array."""
    found = ndimage.find_objects(mask.astype(np.uint8))
    if not found:
        return tuple(slice(0, n) for n in mask.shape)
    return tuple(slice(max(0, s.start - MARGIN), min(n, s.stop + MARGIN)) for s, n in zip(found[0], mask.shape))


def cropped_grid(grid: Grid, box: tuple[slice, ...]) -> Grid:
    """The grid of a box of its voxels, given as slices (k, j, i)."""
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] = grid.index_to_ras(np.array([s.start for s in box][::-1]))
    return Grid(tuple(s.stop - s.start for s in box), matrix)


def run(
    bundle: Any, prepared: DirInput, parameters: Any, progress: Any, *, with_dictionary: bool = False
) -> tuple[Volume, dict[str, Any], Mapping[str, Any]]:
    """The mean of the network as a volume, the facts that decided it, and what was measured.

    Args:
        with_dictionary: mix it with the dictionary DIR of `prepared` (see `mixing.py`), of which the network then sees
            nothing.
    """
    from ..inference import runner

    stopwatch = runner.Stopwatch()
    seen = np.ascontiguousarray(prepared.voxels[:FIRST_FIT_CHANNEL]) if with_dictionary else prepared.voxels
    channels, facts, _ = runner.run_volume(bundle, seen, parameters, forward=forward_mean, outputs=1, progress=progress)
    output = result_volume(prepared, channels[0])
    if with_dictionary:
        output, mixed = mixed_with_dictionary(prepared, output)
        facts = {**facts, **mixed}
    return output, {**prepared.facts, **facts}, stopwatch.facts()


def mixed_with_dictionary(prepared: DirInput, made: Volume) -> tuple[Volume, dict[str, Any]]:
    """The mean of a network's result and the dictionary DIR of `prepared`, and the facts that decided it."""
    share = mixing.dictionary_share(prepared.facts["scales"])
    levels, fitted_dir = levels_with_dictionary(prepared, made, prepared.voxels[FIRST_FIT_CHANNEL])
    voxels = mixing.mixed(made.voxels, fitted_dir, levels, share=share)
    return made.with_voxels(voxels), {"dictionary_share": share, "levels": levels.as_dict()}


def levels_with_dictionary(prepared: DirInput, made: Volume, fit: np.ndarray) -> tuple[mixing.Levels, np.ndarray]:
    """The common levels of a network's result and a dictionary DIR (network units), and that DIR on its grid."""
    fitted_dir = result_volume(prepared, fit, spread=True).voxels
    share = mixing.dictionary_share(prepared.facts["scales"])
    return mixing.common_levels(made.voxels, fitted_dir, prepared.labels, share=share), fitted_dir


def to_be_mixed(prepared: DirInput) -> DirInput:
    """A `DirInput` with the channels of the fit kept apart from what the network sees."""
    channels, first = prepared.voxels, FIRST_FIT_CHANNEL
    return replace(prepared, voxels=np.ascontiguousarray(channels[:first]), fit=channels[first : first + 2].copy())


def with_levels(prepared: DirInput, bundle: Any, parameters: Any, progress: Progress) -> DirInput:
    """What `to_be_mixed` gave, with the levels that the network's result has in the whole volume."""
    made, _, _ = run(bundle, prepared, parameters, progress)
    levels, _ = levels_with_dictionary(prepared, made, prepared.fit[0])
    facts = {"dictionary_share": mixing.dictionary_share(prepared.facts["scales"]), "levels": levels.as_dict()}
    return replace(prepared, levels=levels, facts={**prepared.facts, **facts})


def mixed_maps(prepared: DirInput, maps: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Mean and deviations of the mean of network and dictionary from those of the network, all in network units."""
    seen = {**maps, "mean": floored(maps["mean"])}
    share, levels = prepared.facts["dictionary_share"], prepared.levels.over(prepared.unit)
    return mixing.mixed_moments(seen, prepared.fit[0], prepared.fit[1], levels, share=share)


def forward_mean(network: Any, block: Any) -> Any:
    """The mean alone, one channel."""
    return network(block)[0][0]
