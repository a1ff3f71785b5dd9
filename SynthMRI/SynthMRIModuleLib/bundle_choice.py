"""The bundles a user can choose from, and their model cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from SynthMRILib.bundles import Bundle

#: Stored in the scene instead of a name: the bundle that the task takes when none is named.
AUTOMATIC = ""

#: Methods that compute without a network, hence without PyTorch.
METHODS_WITHOUT_NETWORK = ("bspline", "total-variation", "dictionary", "arithmetic")
#: Methods that need no bundle of their task; those not above use a network for something else.
METHODS_WITHOUT_BUNDLE = (*METHODS_WITHOUT_NETWORK, "autofocus", "measure")


def bundles_of(task: str) -> list[Bundle]:
    """All bundles for a task that are installed here, the preferred one first."""
    from SynthMRILib.bundles import find_bundles

    return find_bundles(task)


def chosen_bundle(task: str, name: str | None, parameters: dict[str, Any]) -> Bundle | None:
    """The bundle of that name, the preferred one for None or "", or None where the method needs no bundle.

    Raises BundleError with a sentence when it is missing or unusable.
    """
    from SynthMRILib.bundles import load_bundle
    from SynthMRILib.errors import BundleError

    judged, parameters = judged_request(task, parameters)
    if not uses_network(judged, chosen_method_name(judged, parameters), name):
        return None
    if task == "uncertainty" and not bundles_of(judged):
        raise BundleError(
            _(
                "No model for this task is installed, and only what a network computes has an uncertainty. "
                "Install a model, or select another task."
            )
        )
    return load_bundle(name) if name else _preferred_bundle(judged)


def judged_request(task: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Task and parameters whose bundle a request uses: those of the judged task for a request for uncertainty."""
    if task != "uncertainty":
        return task, parameters
    return parameters.get("task", "super-resolution"), {"method": "network", **parameters.get("options", {})}


def uses_network(task: str, method: str, name: str | None) -> bool:
    """Whether a method ("" for a task with one way only) runs a network when the bundle of that name is chosen.

    The method "auto" does so when a bundle is named, or one is installed that is not experimental.
    """
    if method == "auto":
        return bool(name) or any(not bundle.experimental for bundle in bundles_of(task))
    return method not in METHODS_WITHOUT_BUNDLE


def needs_packages(task: str, parameters: dict[str, Any], bundle: str | None) -> bool:
    """Whether a request needs PyTorch and the packages that networks need."""
    return bundle is not None or chosen_method_name(task, parameters) not in (*METHODS_WITHOUT_NETWORK, "auto")


def chosen_method_name(task: str, parameters: dict[str, Any]) -> str:
    """The method a request asks for, "" for a task that has one way only."""
    return str(parameters.get("method") or default_method(task))


def default_method(task: str) -> str:
    """The method that a task takes when none is asked for: without a sound bundle what serves in its place, if any."""
    from SynthMRILib.tasks import get_task

    from .task_forms import task_parameters

    fallback = getattr(get_task(task), "fallback_method", "")
    if fallback and all(bundle.experimental for bundle in bundles_of(task)):
        return fallback
    return task_parameters(task).get("method", "")


def offered_methods(task: str, chosen: str) -> tuple[str, ...]:
    """The methods a panel offers: of a task that has something in its place, the network only once one is installed.

    What is chosen already, maybe in a scene from elsewhere, is always among them.
    """
    from SynthMRILib.tasks import get_task

    from .task_forms import task_methods

    optional = hasattr(get_task(task), "fallback_method") and not bundles_of(task)
    return tuple(m for m in task_methods(task) if m == chosen or not (optional and m == "network"))


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
