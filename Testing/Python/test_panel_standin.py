"""The stand-in for Slicer's desktop plays a panel as Slicer does, and refuses what Slicer refuses.

The example module lies in `panel_example`. With SLICER_SOURCE naming a checkout of Slicer, its own Python files are
used, and the last test runs these files again without them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from SlicerDesktop.errors import NotInStandInError, UnexpectedDialogError

EXAMPLE = Path(__file__).parent / "panel_example" / "StandinExample.py"
PYTHON = sys.executable


@pytest.fixture
def panel(slicer_desktop: Any) -> Any:
    """The example's panel, shown."""
    slicer_desktop.load_module(EXAMPLE)
    return slicer_desktop.open_module("StandinExample")


def add_volume(name: str = "T1w", value: float = 3.0) -> Any:
    """A small volume node in the scene."""
    import slicer

    return slicer.util.addVolumeFromArray(np.full((4, 5, 6), value, np.float32), name=name)


def test_apply_is_off_until_an_input_is_chosen_and_then_changes_the_voxels(slicer_desktop: Any, panel: Any) -> None:
    import slicer

    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == "Select an input volume"
    node = add_volume()
    panel.ui.inputSelector.setCurrentNode(node)
    assert panel.ui.applyButton.enabled
    panel.ui.amountSlider.value = 2.5
    panel.ui.applyButton.click()
    assert np.all(slicer.util.arrayFromVolume(node) == 5.5)
    assert slicer_desktop.wait_until(lambda: panel.ui.progressBar.value == 100)
    assert not panel.timer.active


def test_an_error_in_a_callback_is_shown_to_the_user_and_known_to_the_test(slicer_desktop: Any, panel: Any) -> None:
    panel.ui.inputSelector.setCurrentNode(add_volume())
    panel.ui.amountSlider.value = 0
    panel.ui.applyButton.click()
    assert [dialog.text for dialog in slicer_desktop.shown_dialogs] == ["Failed to add.\n\nThe amount must not be 0."]
    assert [str(error) for error in slicer_desktop.callback_errors] == ["The amount must not be 0."]
    slicer_desktop.callback_errors.clear()


# parameter, value, widget, property or method that shows it, shown value, value set in the widget, value it gives
BOUND = [
    ("amount", -3.5, "amountSlider", "value", -3.5, 4.0, 4.0),
    ("passes", 5, "passesSpinBox", "value", 5, 7, 7),
    ("device", "cuda", "deviceComboBox", "currentIndex", 2, 1, "cpu"),
    ("keepName", False, "keepNameCheckBox", "checked", False, True, True),
    ("note", "other", "noteLineEdit", "text", "other", "typed", "typed"),
    ("folder", Path("/a/b"), "folderPathLineEdit", "currentPath", "/a/b", "/c", Path("/c")),
    ("corner.x", 4.0, "cornerSpinBox", "value", 4.0, 6.0, 6.0),
]


@pytest.mark.parametrize("row", BOUND, ids=lambda row: row[0])
def test_widget_and_parameter_follow_each_other(panel: Any, row: tuple) -> None:
    name, value, widget_name, shown_by, shown, entered, given = row
    widget = getattr(panel.ui, widget_name)
    panel.parameters.setValue(name, value)
    assert getattr(widget, shown_by) == shown
    setattr(widget, shown_by, entered)
    assert panel.parameters.getValue(name) == given


def test_an_enum_parameter_follows_its_combo_box(panel: Any) -> None:
    assert [panel.ui.modeComboBox.itemText(index) for index in range(panel.ui.modeComboBox.count)] == [
        "add",
        "subtract",
    ]
    panel.ui.modeComboBox.currentIndex = 1
    assert panel.parameters.mode.name == "SUBTRACT"


def test_widgets_take_their_bounds_from_the_parameters(panel: Any) -> None:
    assert (panel.ui.amountSlider.minimum, panel.ui.amountSlider.maximum) == (-10, 10)
    assert (panel.ui.passesSpinBox.minimum, panel.ui.passesSpinBox.maximum) == (1, 8)


REFUSED_VALUES = [
    ("passes", 9, ValueError),
    ("passes", 2.5, TypeError),
    ("passes", None, ValueError),
    ("device", "tpu", ValueError),
    ("mode", "ADD", TypeError),
    ("keepName", 1, TypeError),
    ("inputVolume", "T1w", TypeError),
    ("folder", "here", TypeError),
    ("seeds", ["one"], TypeError),
    ("corner.x", 11, ValueError),
    ("no", 1, ValueError),
]


@pytest.mark.parametrize(("name", "value", "error"), REFUSED_VALUES)
def test_a_parameter_refuses_a_wrong_value_and_keeps_its_own(panel: Any, name: str, value: Any, error: type) -> None:
    before = None if name == "no" else panel.parameters.getValue(name)
    with pytest.raises(error):
        panel.parameters.setValue(name, value)
    assert name == "no" or panel.parameters.getValue(name) == before


def test_parameters_are_kept_in_the_scene_as_slicer_keeps_them(panel: Any) -> None:
    node, parameters = add_volume(), panel.parameters
    parameters.inputVolume, parameters.seeds, parameters.limit = node, [3, 4], 0.5
    parameters.seeds.append(5)
    parameters.corner.y = 9.0
    stored = parameters.parameterNode
    expected = {
        "amount": "1.0", "passes": "2", "mode": "ADD", "keepName": "True", "folder": "here", "inputVolume": "",
        "seeds.len": "3", "seeds.2": "5", "corner.x": "0.0", "corner.y": "9.0", "limit.0": "0.5",
    }  # fmt: skip
    assert {name: stored.GetParameter(name) for name in expected} == expected
    assert stored.GetNodeReferenceID("inputVolume") == node.GetID()
    parameters.limit = None
    assert stored.GetParameter("limit.0") == ""
    assert stored.GetParameter("limit.1") == "True"


def test_a_scene_brings_the_choices_back(panel: Any, tmp_path: Path) -> None:
    import slicer

    panel.ui.inputSelector.setCurrentNode(add_volume("FLAIR"))
    panel.ui.passesSpinBox.value = 6
    scene_file = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(scene_file)
    slicer.mrmlScene.Clear(0)
    assert panel.ui.passesSpinBox.value == 2
    assert panel.ui.inputSelector.currentNode() is None
    slicer.util.loadScene(scene_file)
    panel.initializeParameterNode()
    assert panel.ui.passesSpinBox.value == 6
    assert panel.ui.inputSelector.currentNode().GetName() == "FLAIR"


def test_a_panel_is_entered_left_reloaded_and_cleaned_up(slicer_desktop: Any, panel: Any) -> None:
    import slicer

    slicer_desktop.leave_module()
    assert (panel.events, panel.parent.isEntered) == (["enter", "exit"], False)
    panel.onReload()
    fresh = slicer.modules.StandinExampleWidget
    assert fresh is not panel
    assert panel.events[-1] == "cleanup"
    slicer_desktop.reset()
    assert fresh.events[-1] == "cleanup"
    assert not hasattr(slicer.modules, "StandinExampleWidget")


def test_choosing_another_module_leaves_the_first(panel: Any) -> None:
    import slicer

    selected: list[str] = []
    slicer.util.moduleSelector().connect("moduleSelected(QString)", selected.append)
    slicer.util.selectModule("Volumes")
    slicer.util.selectModule(slicer.modules.standinexample)
    assert panel.events == ["enter", "exit", "enter"]
    assert (selected, slicer.util.selectedModule()) == (["Volumes", "StandinExample"], "StandinExample")
    with pytest.raises(ValueError, match="NoModule"):
        slicer.util.selectModule("NoModule")


def test_a_module_is_known_to_slicer(panel: Any) -> None:
    import slicer

    module = slicer.modules.standinexample
    assert (module.title, module.name, module.path) == ("Stand-in example", "StandinExample", str(EXAMPLE))
    assert module.categories == ("Examples",)
    assert slicer.util.getModuleWidget("StandinExample") is panel
    assert slicer.util.getModuleLogic("StandinExample") is panel.logic
    assert slicer.moduleNames.StandinExample == "StandinExample"
    form = "UI/StandinExample.ui"
    assert Path(panel.resourcePath(form)).is_file()
    assert slicer.selfTests["StandinExample"]


def test_a_collapsed_section_hides_its_content_and_remembers_what_was_hidden(panel: Any) -> None:
    section, note = panel.ui.advancedSection, panel.ui.noteLineEdit
    assert section.collapsed
    assert not note.visible
    note.visible = True
    assert not note.visible
    panel.ui.cornerSpinBox.hide()
    section.collapsed = False
    assert (note.visible, panel.ui.cornerSpinBox.visible) == (True, False)


def test_a_picture_of_a_panel_shows_letters(slicer_desktop: Any, panel: Any, tmp_path: Path) -> None:
    import qt

    picture = slicer_desktop.grab(panel.parent, tmp_path / "panel.png")
    assert picture.stat().st_size > 2000
    shapes = [slicer_desktop.grab(qt.QLabel(text), tmp_path / f"{text}.png").read_bytes() for text in ("E", "F")]
    assert shapes[0] != shapes[1], "Letters look alike: install a font (fonts-dejavu-core)."


def test_pop_ups_are_answered_as_prepared(slicer_desktop: Any) -> None:
    import qt
    import slicer

    slicer_desktop.answer(qt.QMessageBox.Cancel, qt.QMessageBox.Yes, "/tmp/x.nii")
    assert not slicer.util.confirmOkCancelDisplay("Sure?")
    assert slicer.util.confirmYesNoDisplay("Really?")
    assert qt.QFileDialog.getOpenFileName(None, "Open") == "/tmp/x.nii"
    slicer.util.infoDisplay("Done.")
    slicer.util.delayDisplay("Wait.")
    assert [dialog.text for dialog in slicer_desktop.shown_dialogs] == ["Sure?", "Really?", "Open", "Done.", "Wait."]
    with pytest.raises(UnexpectedDialogError, match="Overwrite"):
        slicer.util.confirmOkCancelDisplay("Overwrite?")


def test_testing_mode_shows_no_pop_ups(slicer_desktop: Any) -> None:
    import slicer

    slicer_desktop.set_testing(True)
    slicer.util.confirmOkCancelDisplay("Sure?")
    slicer.util.errorDisplay("Oh.")
    assert slicer_desktop.shown_dialogs == []


def test_packages_are_installed_only_with_consent_and_never_for_real(slicer_desktop: Any, tmp_path: Path) -> None:
    import qt
    import slicer

    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# a comment\nnumpy>=1.0\nno-such-package>=2\n", encoding="utf-8")
    wanted = slicer.packaging.load_requirements(requirements)
    assert slicer.packaging.pip_check(wanted[0])
    assert not slicer.packaging.pip_check(wanted)
    slicer_desktop.answer(qt.QMessageBox.Cancel)
    with pytest.raises(RuntimeError):
        slicer.packaging.pip_ensure(wanted, requester="StandinExample")
    assert slicer_desktop.home.pip_calls() == []
    slicer_desktop.answer(qt.QMessageBox.Ok)
    slicer.packaging.pip_ensure(wanted, requester="StandinExample", show_progress=False)
    assert any("no-such-package>=2" in call for call in slicer_desktop.home.pip_calls())


def test_child_processes_start_with_python_slicer_only(slicer_desktop: Any) -> None:
    import shutil

    import slicer

    command = [shutil.which("PythonSlicer"), "-c", "import sys; print(sys.executable, flush=True)"]
    process = slicer.util.launchConsoleProcess(command)
    assert process.communicate()[0].strip() == PYTHON
    refused = slicer.util.launchConsoleProcess([sys.executable, "-c", "print(1)"])
    assert "not a Python interpreter" in refused.communicate()[0]
    assert refused.returncode != 0
    done: list[int] = []
    slicer.util.launchConsoleProcess(command, blocking=False, logCallback=lambda _: None, completedCallback=done.append)
    assert slicer_desktop.wait_until(lambda: done == [0])


def test_samples_are_recorded(slicer_desktop: Any) -> None:  # noqa: ARG001
    import SampleData
    import slicer

    slicer.app.connect(
        "startupCompleted()",
        lambda: SampleData.SampleDataLogic.registerCustomSampleDataSource("Mine", "A", "https://a/b", "b.nrrd", "B"),
    )
    slicer.app.startupCompleted()
    assert [sample.sampleName for sample in slicer.modules.sampleDataSources["Mine"]] == ["A"]


def test_what_slicer_has_and_the_stand_in_has_not_is_said_so(slicer_desktop: Any) -> None:  # noqa: ARG001
    import slicer

    with pytest.raises(NotInStandInError, match="do not change product code"):
        slicer.qMRMLSegmentsTableView()
    with pytest.raises(NotInStandInError):
        slicer.cli.run(None)


@pytest.mark.skipif(not os.environ.get("SLICER_SOURCE"), reason="SLICER_SOURCE is not set: only one way to run.")
def test_these_tests_pass_without_slicers_own_files_too() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SLICER_SOURCE"}
    files = sorted(str(path) for path in Path(__file__).parent.glob("test_panel_standin*.py"))
    done = subprocess.run([PYTHON, "-m", "pytest", "-q", *files], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
