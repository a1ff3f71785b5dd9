"""Look at untouched clinical scans before and after: one PNG a scan, in three planes, with a magnified detail.

    python Testing/Benchmarks/real_scans.py SCAN... --output FOLDER [--bundle NAME]

There is no reference for these scans, so there is no figure; this is for the eye. Pictures are of patients: they are
written to the folder named and are not part of the project.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "SynthMRI"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scans", nargs="+", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--bundle", help="name or folder; the best installed one by default")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for path in arguments.scans:
        target = arguments.output / f"{path.parent.name}_{path.name.split('.')[0]}.png"
        draw(path, target, arguments.bundle)
        sys.stdout.write(f"{target}\n")
    return 0


def draw(path: Path, target: Path, bundle_name: str | None) -> None:
    from SynthMRILib.bundles import best_bundle, load_bundle
    from SynthMRILib.evaluation.baselines import upsample
    from SynthMRILib.progress import no_progress
    from SynthMRILib.tasks import get_task
    from SynthMRILib.volume_io import read_volume

    task = get_task("super-resolution")
    bundle = load_bundle(bundle_name) if bundle_name else best_bundle(task.name)
    before = read_volume(path)
    after = task.run({"input": before}, bundle, task.parameters_class(), no_progress).outputs["output"]
    spline = upsample(before, 2, "bspline")
    picture(spline.voxels, after.voxels, after.spacing, target)


def picture(spline: np.ndarray, after: np.ndarray, spacing: tuple[float, float, float], target: Path) -> None:
    """Rows: axial, axial detail, sagittal. Columns: acquired (B-spline for display), enhanced, difference."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    k, j, i = (n // 2 for n in after.shape)
    detail = (slice(j - j // 3, j + j // 3), slice(i - i // 3, i + i // 3))
    views = [
        (lambda v: v[k], spacing[1] / spacing[0]),
        (lambda v: v[k][detail], spacing[1] / spacing[0]),
        (lambda v: v[::-1, :, i], spacing[2] / spacing[1]),
    ]
    top = float(np.percentile(after[after > 0], 99.5))
    columns = [(spline, 0, top, "gray", "acquired"), (after, 0, top, "gray", "SYNTHETIC")]
    columns.append((after - spline, -0.1 * top, 0.1 * top, "RdBu_r", "difference, +-10 %"))
    figure, axes = plt.subplots(3, 3, figsize=(15, 15), constrained_layout=True)
    for row, (view, aspect) in zip(axes, views):
        for axis, (volume, low, high, colors, title) in zip(row, columns):
            axis.imshow(view(volume), cmap=colors, vmin=low, vmax=high, aspect=aspect, interpolation="nearest")
            axis.set_title(f"{title}: not for diagnosis" if title == "SYNTHETIC" else title)
            axis.axis("off")
    figure.savefig(target, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
