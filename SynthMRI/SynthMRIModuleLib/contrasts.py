"""What a volume node most likely holds: its contrast, by DICOM header or name, and how thick its slices are."""

from __future__ import annotations

import re

import slicer

#: Name -> pattern, in the order in which they are tried: "t2_flair" is a FLAIR, and "T1 post Gd" is no plain T1w.
NAMES = {
    "dir": r"(?<![a-z])dir(?![a-z])|double.?inversion",
    "flair": r"flair|dark.?fluid|tirm",
    "susceptibility": r"t2\*|t2.?star|swi(?![a-z])|swan",
    "diffusion": r"dwi|dti|adc|diff",
    "t1-contrast": r"t1.?c(e|\b)|t1.*(post|gd|gad|contrast|\+c|km\b)|(post|gd|gad).*t1",
    "t1": r"t1|mp2?rage|spgr|bravo|tfe",
    "t2": r"t2|space(?!\w*flair)|cube",
    "pd": r"(?<![a-z])pd(?![a-z])|proton.?density",
}
MASK = r"mask|brain|bet|skull.?strip"
#: DICOM tags by name.
TAGS = {
    "image type": "0008,0008",
    "description": "0008,103e",
    "repetition": "0018,0080",
    "echo": "0018,0081",
    "inversion": "0018,0082",
    "agent": "0018,0010",
    "thickness": "0018,0050",
}
INSTANCES_ATTRIBUTE = "DICOM.instanceUIDs"


def contrast_of(node: slicer.vtkMRMLNode) -> str:
    """A key of NAMES; "" when neither header nor name tells."""
    facts = dicom_facts(node)
    return (
        contrast_from_times(facts)
        or contrast_from_name(facts.get("description", ""))
        or contrast_from_name(node.GetName() or "")
    )


def contrast_from_name(name: str) -> str:
    """A key of NAMES from a volume's or a series' name."""
    return next((key for key, pattern in NAMES.items() if re.search(pattern, name.lower())), "")


def contrast_from_times(facts: dict[str, str]) -> str:
    """A key of NAMES from repetition, echo and inversion time [ms]; "" when they do not decide."""
    repetition, echo, inversion = (_number(facts.get(key, "")) for key in ("repetition", "echo", "inversion"))
    if echo is None or repetition is None:
        return ""
    if inversion is not None and inversion > 1500 and echo > 60:
        return "flair"
    if echo < 30 and (repetition < 900 or (inversion is not None and 500 <= inversion <= 1300)):
        return "t1-contrast" if facts.get("agent") else "t1"
    if echo > 70 and repetition > 1800 and not inversion:
        return "t2"
    return ""


def is_brain_mask(node: slicer.vtkMRMLNode) -> bool:
    """True for a label map that is named like a brain mask."""
    return node.IsA("vtkMRMLLabelMapVolumeNode") and bool(re.search(MASK, (node.GetName() or "").lower()))


def slice_thickness(node: slicer.vtkMRMLNode) -> float | None:
    """Thickness of the acquired slices [mm] as the DICOM header tells; None where there is none."""
    return _number(dicom_facts(node).get("thickness", ""))


def dicom_facts(node: slicer.vtkMRMLNode) -> dict[str, str]:
    """What Slicer's DICOM database tells about the first slice of a volume; empty for volumes from other files."""
    database = getattr(slicer, "dicomDatabase", None)
    instances = (node.GetAttribute(INSTANCES_ATTRIBUTE) or "").split()
    if database is None or not instances:
        return {}
    facts = {name: database.instanceValue(instances[0], tag) for name, tag in TAGS.items()}
    return {name: value for name, value in facts.items() if value}


def _number(text: str) -> float | None:
    try:
        return float(text.split("\\")[0])
    except ValueError:
        return None
