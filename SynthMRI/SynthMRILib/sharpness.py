"""Between fidelity and perceptual: one network from the weights of two, mixed by how sharp the result should be.

A perceptual bundle is trained on from a fidelity bundle, has its architecture and names it by hash. Weights of such a
pair can be interpolated (Wang et al. 2018, ESRGAN): 0 is the fidelity network, closest to the acquired values on
average and smooth; 1 is the perceptual one, with texture and edges as crisp as in real scans, some of it invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .bundles import Bundle, find_bundles
from .errors import BundleError

if TYPE_CHECKING:
    from torch import Tensor

#: Key in a perceptual bundle's `synthmri` section: name and SHA-256 of the bundle whose weights it started from.
PARTNER = "fidelity_partner"
IN_WORDS = (
    "Sharpness 0 stays closest to the acquired values and is smooth (fidelity); 1 looks as crisp as a real scan, but "
    "more of its fine detail is invented (perceptual)."
)


@dataclass(frozen=True, eq=False)
class Blend(Bundle):
    """A fidelity bundle whose network has weights on the way to those of its perceptual partner.

    Args:
        perceptual: the other end.
        sharpness: share of the perceptual weights, 0 to 1.
    """

    perceptual: Bundle
    sharpness: float

    @property
    def identity(self) -> tuple[str, ...]:
        return (*super().identity, *self.perceptual.identity, repr(self.sharpness))

    def weights(self) -> dict[str, Tensor]:
        """Weights interpolated in float32. Raises BundleError when those of either end were altered."""
        import torch

        other = self.perceptual.weights()
        return {name: torch.lerp(own, other[name], self.sharpness) for name, own in super().weights().items()}

    def facts(self) -> dict[str, Any]:
        """What provenance says of the mixture."""
        ends = {"fidelity": super(), "perceptual": self.perceptual}
        named = {end: {"name": bundle.name, "sha256": bundle.weights_sha256} for end, bundle in ends.items()}
        return {"value": self.sharpness, **named}


def perceptual_partner(fidelity: Bundle) -> Bundle:
    """The installed perceptual bundle that was trained on from `fidelity`. Raises BundleError when there is none."""
    if PARTNER in fidelity.section:
        raise BundleError(
            f"Bundle '{fidelity.name}' is itself the perceptual end. Choose its fidelity partner "
            f"'{fidelity.section[PARTNER]['name']}' to set the sharpness, or leave the sharpness at 0."
        )
    for bundle in find_bundles(fidelity.task):
        if bundle.section.get(PARTNER, {}).get("sha256") == fidelity.weights_sha256:
            return bundle
    raise BundleError(
        f"No perceptual bundle that belongs to '{fidelity.name}' is installed, so its sharpness cannot be set. "
        "Install one, or leave the sharpness at 0."
    )


def blend(fidelity: Bundle, perceptual: Bundle, sharpness: float) -> Blend:
    """The mixture of a pair. Raises BundleError when the two have different networks or are no pair."""
    if perceptual.section["network"] != fidelity.section["network"]:
        raise BundleError(
            f"'{fidelity.name}' and '{perceptual.name}' have different networks, whose weights cannot be mixed. "
            "Choose bundles that belong together."
        )
    if perceptual.section.get(PARTNER, {}).get("sha256") != fidelity.weights_sha256:
        raise BundleError(
            f"'{perceptual.name}' was not trained from the weights of '{fidelity.name}', so they cannot be mixed. "
            "Choose bundles that belong together."
        )
    return Blend(fidelity.folder, fidelity.metadata, perceptual, float(sharpness))


def with_sharpness(fidelity: Bundle, sharpness: float) -> Bundle:
    """The bundle as it is for sharpness 0, otherwise mixed with its installed perceptual partner."""
    return blend(fidelity, perceptual_partner(fidelity), sharpness) if sharpness > 0 else fidelity
