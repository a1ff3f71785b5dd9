"""Whether a volume should be corrected at all, and what a person is told about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .severity import CONTRAST, SeverityEstimate
from .strength import Strength

if TYPE_CHECKING:
    from ..bundles import Bundle

ANY_SPACING_MM = (0.4, 6.0)
STRANGE = dict(zip(CONTRAST, ("dark tissue", "middling tissue", "bright tissue", "very bright voxels")))


@dataclass(frozen=True)
class Decision:
    """What to do with a volume.

    Args:
        kind: "corrected", "unchanged" (little motion), "flagged" (unlike what was learned from) or "measured".
        reason: half a sentence; empty where nothing speaks against the correction.
        network: a sentence on what a network did; empty where none did anything.
    """

    kind: str
    reason: str = ""
    network: str = ""

    @property
    def correct(self) -> bool:
        return self.kind == "corrected"

    def sentence(self, before: SeverityEstimate, after: SeverityEstimate) -> str:
        """What was found and done, for a person."""
        found = f"Motion of about {before.severity_mm:.1f} mm ({before.low_mm:.1f} to {before.high_mm:.1f} mm)"
        if self.kind == "corrected":
            caution = f" Caution: {self.reason}." if self.reason else ""
            network = f" {self.network}" if self.network else ""
            return f"{found} before, {after.severity_mm:.1f} mm after correction.{network}{caution}"
        if self.kind == "unchanged":
            return f"{found}: {self.reason}. The volume was left unchanged."
        if self.kind == "flagged":
            return f"{found}, but {self.reason}. The volume was not corrected and left unchanged."
        return f"{found}. It was only measured: the volume is unchanged."


def decide(
    severity: SeverityEstimate,
    spacing: tuple[float, float, float],
    bundle: Bundle | None,
    *,
    force: bool,
    moved: bool = False,
) -> Decision:
    """Correct, leave alone, or flag.

    Args:
        severity: estimate of the volume.
        spacing: of its voxels (i, j, k) [mm].
        bundle: of the correction; its section may give "spacing_mm", the range it was trained with, and "strength".
        force: correct in any case, and keep the reason against it as a caution.
        moved: whether autofocus has undone something: then there was motion, and the threshold of the severity, below
            which a volume may be one without, does not count.
    """
    section = {} if bundle is None else bundle.section
    low, high = section.get("spacing_mm", ANY_SPACING_MM)
    reasons = []
    if not (low <= min(spacing) and max(spacing) <= high):
        size = " x ".join(f"{s:.2g}" for s in spacing)
        reasons.append(f"voxels of {size} mm are outside of the {low:g} to {high:g} mm that were learned from")
    if severity.strangeness > 1:
        what = STRANGE.get(severity.strangest, severity.strangest)
        reasons.append(f"its contrast is unlike the volumes that were learned from ({what})")
    if severity.severity_mm > severity.largest_mm:
        reasons.append(f"this is more than the {severity.largest_mm:g} mm that were learned from")
    if reasons:
        return Decision("corrected" if force else "flagged", reasons[0])
    least = max(0.0 if moved else severity.threshold_mm, Strength.from_section(section).none_mm)
    if severity.severity_mm <= least:
        reason = f"less than the {least:g} mm from which correction helps"
        return Decision("corrected" if force else "unchanged", reason)
    return Decision("corrected")
