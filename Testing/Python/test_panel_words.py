"""The words of the panels: every choice has a name and an explanation, and every bad input is told in a sentence."""

from __future__ import annotations

import importlib
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from conftest import head_like
from module_support import head_node
from panel_support import BSPLINE_LABEL, checked, result_of, select

#: Fields of text that are no choice from a list.
FREE_TEXT: set[str] = set()


def values_of(task: str, name: str) -> tuple[str, ...]:
    """What a parameter of text can be, as the engine lists it."""
    from SynthMRILib.inference.precision import DEVICES, PRECISIONS
    from SynthMRILib.tasks import get_task

    shared = {"device": ("auto", *DEVICES), "precision": ("auto", *PRECISIONS)}
    if name in shared:
        return shared[name]
    module = importlib.import_module(type(get_task(task)).__module__)
    return tuple(getattr(module, f"{name.upper()}S"))  # METHODS for method; a parameter without such a list fails here


def label_of(name: str, value: str) -> str:
    """How the panels call a value."""
    from SynthMRIModuleLib import choices
    from SynthMRIModuleLib.method_selector import method_words

    if name == "method":
        return method_words(value)[0]
    return getattr(choices, name.capitalize())(value).label()


def choices_of_tasks() -> list[tuple[str, str, str]]:
    """Of all tasks that a panel offers."""
    from SynthMRILib.tasks import get_task
    from SynthMRIModuleLib.choices import Task

    found = []
    for task in (member.value for member in Task):
        names = [f.name for f in fields(get_task(task).parameters_class) if f.type == "str" and f.name not in FREE_TEXT]
        found += [(task, name, value) for name in names for value in values_of(task, name)]
    return found


@pytest.mark.usefixtures("desktop")
def test_every_value_of_every_choice_has_a_name_for_people():
    from SynthMRIModuleLib.method_selector import method_words

    found = choices_of_tasks()
    assert {("motion-correction", "method", "diffusion"), ("denoising", "preset", "low-field")} <= set(found)
    for task, name, value in found:
        label = label_of(name, value)
        assert label != value and (label[0].isupper() or label[0].isdigit()), f"{task}: {name} '{value}'"
        if name == "method":
            assert method_words(value)[1].endswith("."), f"{task}: method '{value}' is not explained"


@pytest.mark.usefixtures("desktop")
def test_a_value_without_a_name_is_found():
    from SynthMRIModuleLib.method_selector import method_words

    assert method_words("quantum") == ("quantum", ""), "the engine's own word, which the test above refuses"


#: Tasks whose network is offered only where one is installed; the tests have none.
NETWORK_OPTIONAL = ("through-plane",)


@pytest.mark.parametrize(
    "task", ["super-resolution", "through-plane", "denoising", "synthetic-dir", "motion-correction"]
)
def test_every_choice_in_the_panel_is_named_and_explained(desktop, task):
    """Items by name, methods with a sentence each, and a label and a tooltip for the box itself."""
    import qt
    from SynthMRIModuleLib.choices import Task
    from SynthMRIModuleLib.task_forms import task_methods, task_parameters

    panel = desktop.open_module("SynthMRI")
    panel.logic.getParameterNode().task = Task(task)
    checked(desktop, panel)
    boxes = {"method": panel.ui.methodComboBox, "device": panel.ui.deviceComboBox}
    boxes |= {"precision": panel.ui.precisionComboBox, "preset": panel.ui.presetComboBox}
    boxes |= {"formula": panel.ui.formulaComboBox, "profile": panel.ui.sliceProfileComboBox}
    for name in set(boxes) & set(task_parameters(task)):
        if name == "method" and not task_methods(task):
            continue
        box, label = boxes[name], getattr(panel.ui, boxes[name].objectName.replace("ComboBox", "Label"))
        shown = [box.itemText(n) for n in range(box.count)]
        missing = ("network",) if name == "method" and task in NETWORK_OPTIONAL else ()
        offered = [value for value in values_of(task, name) if value not in missing]
        assert sorted(shown) == sorted(label_of(name, value) for value in offered)
        assert box.toolTip and label.text.strip() and label.buddy() is not None, name
        if name == "method":
            assert all(box.itemData(n, qt.Qt.ToolTipRole) for n in range(box.count))


def volume(voxels: np.ndarray, name: str = "T1w", *, spacing: tuple[float, float, float] = (1, 1, 1)) -> Any:
    import slicer

    node = slicer.util.addVolumeFromArray(voxels, name=name)
    node.SetSpacing(spacing)
    return node


def sheared() -> Any:
    import slicer

    node = volume(head_like((18, 20, 22)))
    matrix = np.eye(4)
    matrix[0, 1] = 0.3
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return node


def with_voxel(value: float) -> Any:
    voxels = head_like((18, 20, 22))
    voxels[9, 9, 9] = value
    return volume(voxels)


def without_voxels() -> Any:
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "T1w")


def colored() -> Any:
    """Three values a voxel in a scalar volume node, as a picture that was loaded may be."""
    import vtk

    node, image = without_voxels(), vtk.vtkImageData()
    image.SetDimensions(20, 20, 20)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node.SetAndObserveImageData(image)
    return node


def labels() -> Any:
    return volume((head_like((18, 20, 22)) > 0).astype(np.float32) * 3)


#: What a user may select by mistake, whether it can be run all the same, and what is said of it.
BAD_INPUTS = {
    "no voxels": (without_voxels, False, "'T1w' holds no voxels. Load the volume again or select another one."),
    "colors": (colored, False, "'T1w' has 3 values per voxel. Select a scalar MR volume."),
    "a single slice": (lambda: volume(head_like((1, 40, 40)) + 1), False, "The data are a single slice (40 x 40 x 1)"),
    "too few voxels": (lambda: volume(head_like((18, 20, 8))), False, "fewer than 16 voxels along an axis"),
    "too many voxels": (lambda: volume(head_like((17, 16, 2049))), False, "more than 2048 voxels along an axis"),
    "sheared axes": (sheared, False, "The axes are not at right angles (off by"),
    "unusual spacing": (
        lambda: volume(head_like((18, 20, 22)), spacing=(0.02, 0.02, 0.02)),
        True,
        "The spacing (0.02 x 0.02 x 0.02 mm) is unusual for brain MR; check its unit.",
    ),
    "thick slices": (lambda: volume(head_like((18, 20, 22)), spacing=(1, 1, 5)), True, "the slices are thick"),
    "not a number": (lambda: with_voxel(np.nan), False, "Voxels that are not finite (NaN or infinite): 1"),
    "infinite": (lambda: with_voxel(np.inf), False, "Voxels that are not finite (NaN or infinite): 1"),
    "nothing but zero": (
        lambda: volume(np.zeros((18, 20, 22))),
        False,
        "All voxels are zero; load another volume.",
    ),
    "one value": (lambda: volume(np.full((18, 20, 22), 7.0)), False, "All voxels have the same value (7)"),
    "negative values": (lambda: with_voxel(-3), True, "% of the voxels are negative (lowest -3)"),
    "CT": (lambda: volume(head_like((18, 20, 22)) - 1000), True, "Intensities go down to -1000 as in CT"),
    "labels": (labels, True, "The volume looks like labels; check that it is an MR volume."),
    "a synthetic volume": (
        lambda: result_of(head_node()),
        True,
        "'T1w SYNTH output' is synthetic itself. Select the acquired volume.",
    ),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_a_bad_input_is_told_in_a_sentence_before_apply(desktop, case):
    make, can_run, words = BAD_INPUTS[case]
    panel = desktop.open_module("SynthMRI")
    select(panel.ui.methodComboBox, BSPLINE_LABEL)
    panel.ui.inputSelector.setCurrentNode(make())
    checked(desktop, panel)
    assert panel.ui.applyButton.enabled == can_run
    label = panel.ui.findingsLabel if can_run else panel.ui.applyHintLabel
    assert label.visible and words in label.text, label.text
    assert label.text.rstrip().endswith(".")
    if not can_run:
        assert panel.ui.applyButton.toolTip in label.text, "the button itself says why, too"


@pytest.mark.usefixtures("desktop")
def test_every_finding_about_a_volume_is_among_the_bad_inputs():
    """A new check needs a place in the table above, so that somebody has read it as its user will."""
    import inspect
    import re

    from SynthMRILib import input_checks

    known = set(re.findall(r'_(?:error|warning)\("(volume-[a-z-]+)"', inspect.getsource(input_checks)))
    #: Those a node cannot have: they are about files, or MRML refuses them before.
    elsewhere = {
        *("volume-empty", "volume-components", "volume-frames", "volume-modality", "volume-orientation-unknown"),
        *("volume-orientation-conflict", "volume-synthetic", "volume-label", "volume-geometry", "volume-spacing"),
    }
    told = {
        *("volume-two-dimensional", "volume-axis-short", "volume-axis-long", "volume-shear", "volume-not-finite"),
        *("volume-spacing-unusual", "volume-zero", "volume-constant", "volume-negative", "volume-ct"),
        "volume-label-like",
    }
    assert known == elsewhere | told
