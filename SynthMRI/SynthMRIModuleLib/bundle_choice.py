"""The bundles a user can choose from, and their model cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from SynthMRILib.bundles import Bundle

#: Stored in the scene instead of a name: the bundle that the task takes when none is named.
AUTOMATIC = ""

#: Tasks that run the bundles of another task.
TASK_OF_BUNDLES = {"uncertainty": "super-resolution"}


def bundles_of(task: str) -> list[Bundle]:
    """All bundles for a task that are installed here, the preferred one first."""
    from SynthMRILib.bundles import find_bundles

    return find_bundles(TASK_OF_BUNDLES.get(task, task))


def chosen_bundle(task: str, name: str | None, parameters: dict[str, Any]) -> Bundle | None:
    """The bundle of that name, the preferred one for None or "", or None where the method needs no bundle.

    Raises BundleError with a sentence when it is missing or unusable.
    """
    from SynthMRILib.bundles import load_bundle

    if parameters.get("method") == "bspline":
        return None
    return load_bundle(name) if name else _preferred_bundle(task)


def _preferred_bundle(task: str) -> Bundle:
    """The first that is not experimental: those are run only when a user names them."""
    from SynthMRILib.errors import BundleError

    bundles = bundles_of(task)
    for bundle in bundles:
        if not bundle.experimental:
            return bundle
    if bundles:
        raise BundleError(_("All installed models for this task are experimental. Select the one you want to try."))
    raise BundleError(_("No model for this task is installed. Install one, or choose another method."))


def card_text(bundle: Bundle) -> str:
    """The model card (Markdown): what it was trained on, how good it is, what it must not be used for."""
    return bundle.card_path.read_text(encoding="utf-8")
