"""What is asked for is what the panel shows: no hidden choice has an effect, and no visible one is without."""

from __future__ import annotations

import pytest
from bundle_support import make_bundle
from module_support import head_node
from panel_support import BSPLINE_LABEL, checked, press_apply, result_of, select, shown_volumes, wait_for_end


def task_methods() -> list[tuple[str, str]]:
    from SynthMRIModuleLib.choices import Task
    from SynthMRIModuleLib.task_forms import task_methods

    return [(task.name, method) for task in Task for method in task_methods(task.value) or ("",)]


def everything_open(desktop):
    """The panel with no section collapsed."""
    panel = desktop.open_module("SynthMRI")
    for name, widget in vars(panel.ui).items():
        if name.endswith("CollapsibleButton"):
            widget.collapsed = False
    return panel


#: Values that differ from the default of each parameter.
OTHERS = {
    "sharpness": 0.5,
    "residual": True,
    "keepAcquired": True,
    "voxelSize": 0.7,
    "sliceDistance": 0.6,
    "sliceGap": 1.0,
    "strength": 0.5,
    "noise": 3.0,
    "forceCorrection": True,
    "t1Factor": 0.7,
    "smoothing": 1.0,
    "registered": True,
    "biasCorrection": True,
}


@pytest.mark.parametrize(
    "task, method",
    [
        *[("SUPER_RESOLUTION", method) for method in ("network", "bspline")],
        *[("THICK_SLICES", method) for method in ("network", "total-variation", "bspline")],
        ("DENOISING", ""),
        *[("SYNTHETIC_DIR", method) for method in ("auto", "network", "dictionary", "combined", "arithmetic")],
        *[("MOTION_CORRECTION", method) for method in ("autofocus", "network", "both", "diffusion", "measure")],
    ],
)
def test_only_what_is_shown_is_asked_for_whatever_the_other_choices_are(desktop, task, method):
    from SynthMRIModuleLib.choices import Method, Task
    from SynthMRIModuleLib.task_forms import COMMON, FORMS
    from SynthMRIModuleLib.task_tabs import ROWS

    assert (task, method) in task_methods()
    panel = everything_open(desktop)
    node = panel.logic.getParameterNode()
    for field, value in OTHERS.items():
        setattr(node, field, value)
    node.task = Task[task]
    if method:
        setattr(node, FORMS[node.task].method, Method(method) if task == "SUPER_RESOLUTION" else method)
    desktop.process_events()
    shown = {parameter for parameter, widgets in ROWS.items() if getattr(panel.ui, widgets[0]).visible}
    asked = set(node.request()["parameters"]) - {*COMMON, "method"}
    assert asked == shown
    assert {field: getattr(node, field) for field in OTHERS} == OTHERS, "and all of it is kept for another method"


@pytest.mark.parametrize("switch", ["keep acquired", "sharpness"])
def test_a_switch_that_is_hidden_does_not_block_apply_and_comes_back(desktop, tmp_path, switch):
    make_bundle(tmp_path / "models" / "test-network")
    head_node()
    panel = desktop.open_module("SynthMRI")
    ui, stored = panel.ui, panel.logic.getParameterNode()
    if switch == "keep acquired":
        ui.keepAcquiredCheckBox.click()
    else:
        stored.sharpness = 0.5  # from a scene: no crisp model is installed here
    select(ui.methodComboBox, BSPLINE_LABEL)
    checked(desktop, panel)
    assert not ui.keepAcquiredCheckBox.visible and not ui.sharpnessSliderWidget.visible
    assert ui.applyButton.enabled, ui.applyHintLabel.text
    press_apply(desktop, panel)
    wait_for_end(desktop, panel)
    assert "Done" in ui.statusLabel.text
    select(ui.methodComboBox, "Network")
    checked(desktop, panel)
    assert ui.keepAcquiredCheckBox.checked is (switch == "keep acquired")
    assert stored.sharpness == (0 if switch == "keep acquired" else 0.5)


def test_correct_anyway_is_offered_only_to_methods_that_can_be_forced(desktop):
    """Not to autofocus, the default: it would be recorded as forced and is not."""
    from SynthMRIModuleLib.choices import Task

    panel = everything_open(desktop)
    stored = panel.logic.getParameterNode()
    stored.task, stored.forceCorrection = Task.MOTION_CORRECTION, True
    desktop.process_events()
    assert not panel.ui.forceCheckBox.visible and "force" not in stored.request()["parameters"]
    stored.motionMethod = "both"
    desktop.process_events()
    assert panel.ui.forceCheckBox.visible and panel.ui.forceCheckBox.checked
    assert stored.request()["parameters"]["force"] is True


def test_boxes_of_what_cannot_be_shown_are_empty_and_the_choice_comes_back(desktop, slicer_scene):
    panel = desktop.open_module("SynthMRI")
    ui, stored, source = panel.ui, panel.logic.getParameterNode(), head_node()
    assert not ui.uncertaintyCheckBox.enabled and not ui.uncertaintyCheckBox.checked and stored.showUncertainty
    stored.showDifference = True
    stored.outputVolume = result_of(source, task="synthetic-dir")
    desktop.process_events()
    for box in (ui.differenceCheckBox, ui.uncertaintyCheckBox):
        assert not box.enabled and not box.checked
    assert stored.showDifference and stored.showUncertainty
    stored.outputVolume = result_of(source)
    result_of(source, role="total")
    panel.updatePanel()
    for box in (ui.differenceCheckBox, ui.uncertaintyCheckBox):
        assert box.enabled and box.checked
    ui.uncertaintyCheckBox.click()
    assert not stored.showUncertainty and stored.showDifference
    desktop.leave_module("SynthMRI")
    assert stored.showDifference and not stored.showUncertainty
    desktop.open_module("SynthMRI")
    assert ui.differenceCheckBox.checked and not ui.uncertaintyCheckBox.checked
    ui.compareButton.click()
    ui.uncertaintyCheckBox.click()
    desktop.process_events()
    assert stored.showUncertainty and "SynthMRIMap" in shown_volumes(slicer_scene)
