"""What a user can ask for. A task is named as on the command line; its module is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from .base import Task

_MODULES = {
    "super-resolution": "super_resolution",
    "through-plane": "through_plane",
    "denoising": "denoising",
    "uncertainty": "uncertainty",
    "synthetic-dir": "synthetic_dir",
    "motion-correction": "motion_correction",
}


def task_names() -> list[str]:
    """Names of all tasks, in the order in which panels and help list them."""
    return list(_MODULES)


def get_task(name: str) -> Task:
    """The task of that name. Raises InputError for an unknown one."""
    if name not in _MODULES:
        raise InputError(f"Unknown task '{name}'. Known tasks: {', '.join(_MODULES)}.")
    return import_module(f".{_MODULES[name]}", __name__).TASK
