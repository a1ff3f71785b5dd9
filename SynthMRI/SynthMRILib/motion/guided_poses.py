"""Poses of the head that a network asks for: physics and network together.

A correction network takes away a part of what motion did, everywhere a little and nowhere all. What it changes in the
thousands of samples of a line or spoke of k-space says where those should go: the pose that explains it best has six
numbers, so that most of the network's errors cancel, and what is applied to the volume is a pose and nothing that
a network made. The network then sees the volume that was corrected so far, and asks again. It says the direction
rather than the length of a step; that one counts which makes the edges of the volume fewest.

Along which axis k-space was cut into lines or spokes is told in the same way, where autofocus has not found it: along
the right one poses explain more of what the network changes, and undoing them makes edges fewer.

A network guides the search for poses in Haskell et al., Magn Reson Med 82 (2019), 1452-1461, too, there by the k-space
of several coils.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..progress import Progress, no_progress, part_of
from ..simulation.motion import head_mask
from ..volume import Grid
from .autofocus import Asked, AutofocusResult, Focus, Way, ways_of
from .features import edge_entropy

ROUNDS = 5
DOUBT = 10.0
"""See `BlockSamples.derivatives`."""
FACTORS = (0.1, 0.2, 0.4)
"""On the step that the network asks for, which is too long."""
LEAST_FALL = 5e-5
"""Fall of the entropy of the edges that a round must bring."""
MOST_ASKED = 1.0
"""Of a volume with the right poses undone the network asks for less: mean square over that before."""

Correct = Callable[[np.ndarray, Progress], np.ndarray]


def guided(
    voxels: np.ndarray,
    grid: Grid,
    way: Way | None,
    correct: Correct,
    severity_mm: float,
    *,
    progress: Progress = no_progress,
) -> AutofocusResult:
    """The volume with the poses undone that a network asks for, or as it was where none help.

    Args:
        voxels: magnitude (k, j, i) in network units.
        grid: of the volume; only its spacing counts.
        way: kind of the groups of samples and their axis, where known.
        correct: the network: takes and gives a part of a volume (k, j, i) in network units.
        severity_mm: estimated severity of the motion.
    """
    mask = head_mask(voxels)
    before = edge_entropy(voxels, mask)
    nothing = AutofocusResult(voxels, None, None, np.zeros((1, 3)), np.zeros(1), before, before)
    if not mask.any():
        return nothing
    way = way or likeliest(voxels, mask, grid, correct, severity_mm, part_of(progress, 0.0, 0.3))
    if way is None:
        return nothing
    focus = Focus(voxels, mask, np.array(grid.spacing[::-1]), *way)
    focus.divide()
    entropy, changes = focus.entropy_now(), []
    for n in range(ROUNDS):
        part = part_of(progress, 0.3 + 0.7 * n / ROUNDS, 0.3 + 0.7 * (n + 1) / ROUNDS)
        asked = focus.asked(lambda seen, part=part: mirrored(correct, seen, part), severity_mm, DOUBT)
        changes.append(asked.change)
        least, poses = fewest_edges(focus, asked)
        if entropy - least < LEAST_FALL:
            break
        focus.search.poses, entropy = poses, least
    # The last step of the last round is not looked at by the network any more.
    if changes[-1] > MOST_ASKED * changes[0] or not focus.search.poses.any():
        return nothing
    found = focus.result(voxels, mask, before)
    return found.undoing(voxels, grid)


def likeliest(
    voxels: np.ndarray, mask: np.ndarray, grid: Grid, correct: Correct, severity_mm: float, progress: Progress
) -> Way | None:
    """The kind and axis for which what the network asks for speaks most; None where it speaks for none.

    Args:
        mask: of the head; the others as of `guided`.
    """
    made = mirrored(correct, voxels, progress)
    promises: dict[Way, float] = {}
    for way in ways_of(voxels.shape):
        focus = Focus(voxels, mask, np.array(grid.spacing[::-1]), *way)
        focus.divide()
        asked = focus.asked(lambda _, part=focus.part: made[part], severity_mm, DOUBT)
        fall = focus.entropy_now() - fewest_edges(focus, asked)[0]
        if fall >= LEAST_FALL:
            promises[way] = fall * asked.explained
    return max(promises, key=promises.get, default=None)


def fewest_edges(focus: Focus, asked: Asked) -> tuple[float, np.ndarray]:
    """The least entropy of the edges that a step towards what is asked for reaches, and the poses there."""
    poses, reached = focus.search.poses, []
    for factor in FACTORS:
        focus.search.poses = poses + factor * asked.poses
        reached.append((focus.entropy_now(), factor))
    focus.search.poses = poses
    least, factor = min(reached)
    return least, poses + factor * asked.poses


def mirrored(correct: Correct, seen: np.ndarray, progress: Progress) -> np.ndarray:
    """The mean of what the network makes of a volume and of its point reflection.

    Networks displace what they see by a small part of a voxel, which is nothing to an eye and much beside what they ask
    for; of a reflection, by the same the other way.
    """
    ways = [slice(None, None, step) for step in (1, -1)]
    made = [
        correct(np.ascontiguousarray(seen[way, way, way]), part_of(progress, n / 2, (n + 1) / 2))[way, way, way]
        for n, way in enumerate(ways)
    ]
    return np.mean(made, axis=0, dtype=np.float32)
