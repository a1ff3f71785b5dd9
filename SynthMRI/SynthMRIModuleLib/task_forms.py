"""Which choices of the panel belong to which task: a table between the engine's tasks and the parameter node.

The engine's registry decides what is there: a task it does not have is not offered, a parameter that a task does not
have is neither shown nor passed on.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from .bundle_choice import default_method, uses_network
from .choices import Method, Task
from .thick_slices import thin_suffix, wanted_spacing

#: Parameters that every task has: engine name -> field of the parameter node.
COMMON = {"device": "device", "precision": "precision", "tile": "tile", "seed": "seed"}
#: Methods that use a parameter, of those that not all methods use.
METHODS_USING = {
    "formula": ("arithmetic",),
    "factor": ("arithmetic",),
    "smoothing": ("arithmetic",),
    "sharpness": ("network",),
    "keep_acquired": ("network",),
    "residual": ("network",),
    "strength": ("network",),
    "force": ("network", "both", "diffusion"),
}
#: Parameters that every method of this task uses all the same.
ALWAYS_USED = {Task.THICK_SLICES: ("residual",)}


@dataclass(frozen=True)
class TaskForm:
    """One task in the panel.

    Args:
        roles: field of the parameter node for each input role.
        bundle: field that holds the name of the chosen bundle.
        method: field that holds the method.
        parameters: field for each parameter of this task alone.
        suffix: what is added to the name of the leading input.
        derived: for a parameter that is no field's value as it is: what makes it of the parameter node.
    """

    roles: dict[str, str]
    bundle: str
    method: str
    parameters: dict[str, str]
    suffix: str
    derived: dict[str, Callable[[Any], Any]] = field(default_factory=dict)

    def has(self, parameter: str) -> bool:
        """Whether the panel has a place for a parameter."""
        return parameter in self.parameters or parameter in self.derived


FORMS: dict[Task, TaskForm] = {
    Task.SUPER_RESOLUTION: TaskForm(
        {"input": "inputVolume"},
        "bundle",
        "method",
        {"sharpness": "sharpness", "residual": "residual", "keep_acquired": "keepAcquired"},
        "SYNTH 2x",
    ),
    Task.THICK_SLICES: TaskForm(
        {"input": "inputVolume"},
        "thickBundle",
        "thickMethod",
        {"gap": "sliceGap", "profile": "sliceProfile", "residual": "residual"},
        "SYNTH thin slices",
        {"spacing": wanted_spacing},
    ),
    Task.DENOISING: TaskForm(
        {"input": "inputVolume"},
        "denoisingBundle",
        "denoisingMethod",
        {"strength": "strength", "noise": "noise", "preset": "preset"},
        "SYNTH denoised",
    ),
    Task.SYNTHETIC_DIR: TaskForm(
        {"flair": "flairVolume", "t1": "t1Volume", "t2": "t2Volume", "mask": "maskVolume"},
        "dirBundle",
        "dirMethod",
        {
            "formula": "formula",
            "factor": "t1Factor",
            "smoothing": "smoothing",
            "registered": "registered",
            "bias_correction": "biasCorrection",
        },
        "SYNTH DIR",
    ),
    Task.MOTION_CORRECTION: TaskForm(
        {"input": "motionVolume"},
        "motionBundle",
        "motionMethod",
        {"force": "forceCorrection"},
        "SYNTH motion-corrected",
    ),
}


def available_tasks() -> list[Task]:
    """The tasks of the panel that the engine has."""
    from SynthMRILib.tasks import task_names

    return [task for task in Task if task.value in task_names()]


@cache
def task_parameters(task: str) -> dict[str, Any]:
    """Names and default values of the parameters that the engine's task has."""
    from SynthMRILib.tasks import get_task

    return {field.name: field.default for field in fields(get_task(task).parameters_class)}


@cache
def task_methods(task: str) -> tuple[str, ...]:
    """The methods the engine's task can be asked for; empty when there is only one."""
    import importlib

    from SynthMRILib.tasks import get_task

    if "method" not in task_parameters(task):
        return ()
    module = importlib.import_module(type(get_task(task)).__module__)
    return tuple(getattr(module, "METHODS", ()))


def chosen_method(task: Task, node: Any) -> str:
    """The method stored in the parameter node, or the task's own default; "" for a task without a choice."""
    stored = plain(getattr(node, FORMS[task].method))
    return stored or default_method(task.value)


def is_used(task: Task, method: str, parameter: str) -> bool:
    """Whether a method ("" for a task with one way only) of a task uses a parameter: only then the panel shows it."""
    if not FORMS[task].has(parameter) or parameter not in task_parameters(task.value):
        return False
    methods = METHODS_USING.get(parameter, ())
    return not methods or method in ("", *methods) or parameter in ALWAYS_USED.get(task, ())


def request_of(task: Task, node: Any) -> dict[str, Any]:
    """What a logic's `start` and `check` are asked for: input nodes by role, bundle, parameters and task.

    What the method does not use stays in the parameter node, but is not asked for: the user cannot see it.
    """
    form, known, method = FORMS[task], task_parameters(task.value), chosen_method(task, node)
    fields_used = {name: field for name, field in COMMON.items() if name in known}
    fields_used |= {name: field for name, field in form.parameters.items() if is_used(task, method, name)}
    parameters = {name: plain(getattr(node, field)) for name, field in fields_used.items()}
    parameters |= {name: make(node) for name, make in form.derived.items()}
    if method:
        parameters["method"] = method
    bundle = getattr(node, form.bundle)
    network = uses_network(task.value, method, bundle)
    if not network:
        parameters = {name: value for name, value in parameters.items() if name not in COMMON}
    return {
        "inputNode": {role: getattr(node, field) for role, field in form.roles.items()},
        "bundle": bundle if network else None,
        "parameters": parameters,
        "task": task.value,
    }


def result_suffix(task: Task, parameters: dict[str, Any]) -> str:
    """What is added to the name of the leading input: whatever sets one result apart from others of the same task."""
    suffix = FORMS[task].suffix
    if task == Task.THICK_SLICES:
        return f"{suffix}{thin_suffix(parameters)}"
    if parameters.get("method") == Method.BSPLINE.value:
        return f"{suffix} B-spline"
    if sharpness := parameters.get("sharpness", 0):
        suffix = f"{suffix} sharpness {sharpness:.2f}"
    return f"{suffix} acquired kept" if parameters.get("keep_acquired") else suffix


def plain(value: Any) -> Any:
    """The value of a choice as the engine takes it."""
    return value.value if isinstance(value, enum.Enum) else value
