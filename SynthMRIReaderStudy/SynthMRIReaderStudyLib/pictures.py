"""Which volumes of a presentation are shown, and under which neutral names.

The names say where a volume stands (left, baseline), never what it is: every reader sees the same names whatever the
arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slicer.i18n import tr as _

if TYPE_CHECKING:
    from SynthMRILib.readers.responses import Presentation

OVERLAY_ROLE = "overlay"
REGIONS_ROLE = "regions"


@dataclass(frozen=True)
class Picture:
    """One volume to be shown.

    Args:
        title: name of its node.
        case: random code of the case it belongs to.
        role: what it is within the case ("main", "baseline", "followup", "difference").
        file: where it lies.
    """

    title: str
    case: str
    role: str
    file: Path


def pictures_of(presentation: Presentation) -> list[Picture]:
    """The volumes to be shown side by side, from left to right."""
    if len(presentation.cases) == 2:
        titles = (_("Left"), _("Right"))
        places = zip(titles, presentation.cases, presentation.volumes)
        return [Picture(title, case, "main", files["main"]) for title, case, files in places]
    files, case = presentation.volumes[0], presentation.cases[0]
    return [Picture(title_of(role), case, role, files[role]) for role in roles_shown(presentation) if role in files]


def roles_shown(presentation: Presentation) -> list[str]:
    """Roles that the questions need, in the order in which they are shown; a difference goes with two visits."""
    from SynthMRILib.readers.paradigms import roles_needed

    needed = {role for question in presentation.questions.values() for role in roles_needed(question)}
    if "followup" in needed:
        needed.add("difference")
    return [role for role in ("main", "baseline", "followup", "difference") if role in needed]


def title_of(role: str) -> str:
    """Name of the node of a role."""
    return {
        "main": _("Case"),
        "baseline": _("Baseline"),
        "followup": _("Follow-up"),
        "difference": _("Difference"),
    }[role]


def only_file(presentation: Presentation, role: str) -> Path | None:
    """The file of a role of a single case; None for pairs and where the case has none."""
    return presentation.volumes[0].get(role) if len(presentation.cases) == 1 else None
