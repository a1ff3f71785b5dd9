"""The slider between smooth and crisp results of super-resolution, shown where the chosen model can do both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from .bundle_choice import chosen_bundle
from .choices import Task

if TYPE_CHECKING:
    from SynthMRILib.bundles import Bundle

WIDGETS = ("sharpnessLabel", "sharpnessSliderWidget", "faithfulLabel", "crispLabel", "sharpnessHintLabel")


class SharpnessRow:
    """Shows the slider where a perceptual model belongs to the chosen one, and says what its ends are.

    Args:
        ui: widgets by name: those of WIDGETS.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._name: str | None = None
        self._reason = ""

    def refresh(self) -> None:
        """Look for models again at the next `show`."""
        self._name = None

    def show(self, bundle: str | None, sharpness: float | None) -> None:
        """Follow the chosen model ("" for the recommended one) and sharpness; None where the request has none of it.

        A sharpness above 0, which a scene may bring, is always shown, so that it can be taken back.
        """
        if bundle is None or sharpness is None:
            return
        if bundle != self._name:
            self._name, self._reason = bundle, reason_no_sharpness(bundle)
        for name in WIDGETS:
            getattr(self._ui, name).visible = not self._reason or sharpness > 0
        self._ui.sharpnessHintLabel.text = self._reason or _(
            "0 stays closest to the acquired values and is smooth. 1 looks as crisp as a real scan, but more of its "
            "fine detail is invented: compare it with the acquired volume."
        )


def reason_no_sharpness(name: str) -> str:
    """Why a model gives smooth results only, in one sentence; empty where a perceptual one belongs to it."""
    from SynthMRILib.errors import BundleError
    from SynthMRILib.sharpness import PARTNER, perceptual_partner

    try:
        bundle: Bundle = chosen_bundle(Task.SUPER_RESOLUTION.value, name, {"method": "network"})
        if PARTNER in bundle.section:
            return _(
                "This model is the crisp end itself. Select its smooth partner '{name}' to choose between."
            ).format(name=bundle.section[PARTNER]["name"])
        perceptual_partner(bundle)
    except BundleError:
        return _("Results are smooth and faithful: no model for crisp ones that belongs to this one is installed.")
    return ""
