"""How much of what the network would change is changed, by the estimated severity.

Where there is little motion a network can only do harm, and where the estimate errs it does. The strength is nothing up
to one severity, rises linearly, and is at its largest from another one on. All three are chosen on held-out volumes so
that none of them gets worse (`Testing/Benchmarks/motion_strength_fit.py`), and are numbers in the bundle's metadata.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..errors import BundleError


@dataclass(frozen=True)
class Strength:
    """Strength as a function of severity.

    Args:
        none_mm: up to this estimate nothing is changed.
        full_mm: from this estimate on the strength is `largest`.
        largest: share of the network's change; may be above 1, as it changes too little where it is told uncertainly.
        left_share: root mean square error after the correction over that before, geometric mean of the held-out volumes
            that it changes. 1 where it is not known.
    """

    none_mm: float = 0.0
    full_mm: float = 0.0
    largest: float = 1.0
    left_share: float = 1.0

    @classmethod
    def from_section(cls, section: dict[str, Any]) -> Strength:
        """From the `synthmri` section of a bundle; everything is changed where it states none. Raises BundleError."""
        try:
            values = {name: float(value) for name, value in dict(section.get("strength", {})).items()}
            return cls(**values)
        except (TypeError, ValueError):
            raise BundleError("The bundle's strength of correction is not readable. Install it again.") from None

    def as_dict(self) -> dict[str, float]:
        return asdict(self)

    def in_words(self) -> str:
        """What is told of the severity after the correction, which is not measured."""
        known = f"counted as {100 * (1 - self.left_share):.0f} %, its mean on other volumes"
        share = known if self.left_share < 1 else "not counted"
        return f"What the network took away is {share}: a smoother volume would look as if it had less motion."

    def at(self, severity_mm: float) -> float:
        """The share of the change that is made at an estimated severity [mm]."""
        if severity_mm <= self.none_mm and self.none_mm > 0:
            return 0.0
        if severity_mm >= self.full_mm:
            return self.largest
        return self.largest * (severity_mm - self.none_mm) / (self.full_mm - self.none_mm)
