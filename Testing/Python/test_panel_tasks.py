"""The tabs of the SynthMRI panel: what each task offers, what it chooses by itself, and what it says before Apply."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from module_support import head_node, scene_facts
from panel_support import checked, press_apply, run_to_the_end, select, shown_volumes, synthetic_volumes

ENHANCE, DIR, MOTION = 0, 1, 2


#: Signal of fluid, white and gray matter in each contrast.
TISSUES = {"FLAIR": (30, 180, 260), "T1w": (60, 330, 230), "T2w": (450, 160, 260)}


def stripped_node(name: str, *, shift: float = 0.0):
    """A head in which all around the brain is zero: fluid within white matter within gray matter."""
    import slicer

    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in (24, 26, 28)), indexing="ij")
    radius = np.sqrt(k**2 + j**2 + i**2)
    fluid, white, gray = TISSUES.get(name, TISSUES["FLAIR"])
    voxels = (
        np.select([radius < 0.3, radius < 0.6], [fluid, white], gray) + 8 * np.sin(7 * k + 5 * j) + 6 * np.cos(9 * i)
    )
    node = slicer.util.addVolumeFromArray(np.where(radius < 0.85, voxels, 0).astype(np.float32), name=name)
    node.SetSpacing(1.5, 1.5, 1.5)
    node.SetOrigin(shift, 0, 0)
    return node


def open_tab(desktop, tab: int):
    panel = desktop.open_module("SynthMRI")
    panel.ui.taskTabWidget.setCurrentIndex(tab)
    desktop.process_events()
    return panel


@pytest.mark.usefixtures("desktop")
def test_every_role_and_parameter_of_a_task_has_its_place_in_the_panel():
    from SynthMRILib.tasks import get_task
    from SynthMRIModuleLib.task_forms import COMMON, FORMS, available_tasks, task_parameters

    from SynthMRI import SynthMRIParameterNode

    #: Choices that are left to scripts, with the reason.
    sampling = "the diffusion model of motion correction is experimental: scripts choose how it samples"
    not_offered = {
        "factor": "super-resolution has one factor only",
        **dict.fromkeys(("steps", "draws", "start", "from_network"), sampling),
    }
    tasks = available_tasks()
    assert {task.value for task in tasks} >= {"super-resolution", "denoising", "synthetic-dir"}
    for task in tasks:
        form = FORMS[task]
        assert [role.name for role in get_task(task.value).roles] == list(form.roles)
        placed = {*COMMON, *form.parameters, *form.derived, "method"}
        missing = set(task_parameters(task.value)) - placed
        assert missing <= set(not_offered), f"{task.value}: {missing}"
        fields = [*form.roles.values(), *form.parameters.values(), form.bundle, form.method]
        assert set(fields) <= set(SynthMRIParameterNode.allParameters)


def test_a_tab_shows_the_choices_of_its_task_and_no_others(desktop):
    panel = open_tab(desktop, ENHANCE)
    ui = panel.ui
    ui.advancedCollapsibleButton.collapsed = False
    assert ui.presetLabel.isHidden() and ui.formulaComboBox.isHidden()
    assert not ui.strengthSliderWidget.visible and ui.methodComboBox.visible
    select(ui.enhancementComboBox, "Denoising")
    desktop.process_events()
    assert panel.logic.getParameterNode().task.value == "denoising"
    assert ui.strengthSliderWidget.visible and not ui.methodComboBox.visible
    ui.taskTabWidget.setCurrentIndex(DIR)
    desktop.process_events()
    methods = [ui.methodComboBox.itemText(n) for n in range(ui.methodComboBox.count)]
    assert "Tissue parameters and signal equation" in methods and "B-spline interpolation" not in methods
    select(ui.methodComboBox, "Formula of FLAIR and T1w or T2w")
    desktop.process_events()
    assert not ui.formulaLabel.isHidden() and not ui.t1FactorLabel.isHidden() and ui.presetLabel.isHidden()


def test_each_task_keeps_its_own_choices(desktop):
    panel = open_tab(desktop, DIR)
    ui = panel.ui
    select(ui.methodComboBox, "Formula of FLAIR and T1w or T2w")
    ui.taskTabWidget.setCurrentIndex(ENHANCE)
    select(ui.methodComboBox, "B-spline interpolation")
    ui.taskTabWidget.setCurrentIndex(DIR)
    desktop.process_events()
    assert ui.methodComboBox.currentText == "Formula of FLAIR and T1w or T2w"
    ui.taskTabWidget.setCurrentIndex(ENHANCE)
    desktop.process_events()
    assert ui.methodComboBox.currentText == "B-spline interpolation"
    desktop.leave_module("SynthMRI")
    panel.logic.getParameterNode().task = type(panel.logic.getParameterNode().task).SYNTHETIC_DIR
    desktop.open_module("SynthMRI")
    assert ui.taskTabWidget.currentIndex == DIR, "the scene decides which tab is shown"


def test_dir_inputs_are_chosen_by_name_and_place(desktop, slicer_scene):
    far = stripped_node("FLAIR of another patient's scan", shift=400)
    names = ["Patient T2_TSE", "MPRAGE", "T1 post Gd", "localizer", "t2_flair_sag"]
    nodes = {name: stripped_node(name) for name in names}
    slicer_scene.mrmlScene.RemoveNode(far)
    far_t1 = stripped_node("T1w far away", shift=400)
    mask = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "brain mask")
    slicer_scene.util.updateVolumeFromArray(mask, np.ones((24, 26, 28), dtype=np.int16))
    mask.SetSpacing(1.5, 1.5, 1.5)
    ui = open_tab(desktop, DIR).ui
    assert ui.flairSelector.currentNode() is nodes["t2_flair_sag"]
    assert ui.t1Selector.currentNode() is nodes["MPRAGE"], "neither the contrast-enhanced one nor the one far away"
    assert ui.t2Selector.currentNode() is nodes["Patient T2_TSE"]
    assert ui.maskSelector.currentNode() is mask and far_t1.GetScene() is not None


def test_what_the_user_has_chosen_or_taken_out_stays(desktop):
    stripped_node("FLAIR")
    other = stripped_node("Another")
    panel = open_tab(desktop, DIR)
    panel.ui.flairSelector.setCurrentNode(other)
    panel.ui.taskTabWidget.setCurrentIndex(ENHANCE)
    panel.ui.taskTabWidget.setCurrentIndex(DIR)
    desktop.process_events()
    assert panel.ui.flairSelector.currentNode() is other


@pytest.mark.parametrize(
    "name, contrast",
    [
        ("t2_tirm_dark-fluid_fs", "flair"),
        ("MR T2 FLAIR", "flair"),
        ("sag_MPRAGE", "t1"),
        ("T1 post gad", "t1-contrast"),
        ("t1c", "t1-contrast"),
        ("T1w", "t1"),
        ("t2_star", "susceptibility"),
        ("ep2d_diff", "diffusion"),
        ("T2 SPACE", "t2"),
        ("3D DIR", "dir"),
        ("direction", ""),
        ("Volume 7", ""),
    ],
)
@pytest.mark.usefixtures("desktop")
def test_contrasts_are_told_from_names(name, contrast):
    from SynthMRIModuleLib.contrasts import contrast_from_name

    assert contrast_from_name(name) == contrast


@pytest.mark.parametrize(
    "repetition, echo, inversion, agent, contrast",
    [
        ("9000", "110", "2500", "", "flair"),
        ("2300", "3", "900", "", "t1"),
        ("600", "12", "", "Gadovist", "t1-contrast"),
        ("4000", "100", "", "", "t2"),
        ("2000", "30", "", "", ""),
        ("", "100", "", "", ""),
        ("many", "100", "", "", ""),
    ],
)
@pytest.mark.usefixtures("desktop")
def test_contrasts_are_told_from_the_times_of_a_dicom_header(repetition, echo, inversion, agent, contrast):
    from SynthMRIModuleLib.contrasts import contrast_from_times

    facts = {"repetition": repetition, "echo": echo, "inversion": inversion, "agent": agent}
    assert contrast_from_times(facts) == contrast


@pytest.mark.parametrize(
    "given, words",
    [
        ([], "No volume is given"),
        (["T1w", "T2w"], "FLAIR is missing"),
        (["FLAIR"], "FLAIR alone does not determine"),
    ],
)
def test_what_is_missing_for_a_dir_is_said_before_apply(desktop, given, words):
    for name in given:
        stripped_node(name)
    panel = open_tab(desktop, DIR)
    select(panel.ui.methodComboBox, "Tissue parameters and signal equation")
    checked(desktop, panel)
    assert not panel.ui.applyButton.enabled and words in panel.ui.applyHintLabel.text


def test_a_dir_is_made_from_three_volumes_and_gets_its_own_window(desktop, slicer_scene):
    flair, t1, t2 = stripped_node("FLAIR"), stripped_node("T1w"), stripped_node("T2w")
    panel = open_tab(desktop, DIR)
    assert [s.currentNode() for s in (panel.ui.flairSelector, panel.ui.t1Selector, panel.ui.t2Selector)] == [
        flair,
        t1,
        t2,
    ]
    panel.ui.registeredCheckBox.click()
    select(panel.ui.methodComboBox, "Formula of FLAIR and T1w or T2w")
    checked(desktop, panel)
    assert panel.ui.applyButton.enabled, panel.ui.applyHintLabel.text
    assert "experimental" in panel.ui.findingsLabel.text
    run_to_the_end(desktop, panel)
    assert synthetic_volumes(slicer_scene) == ["FLAIR SYNTH DIR"], panel.ui.statusLabel.text
    result = slicer_scene.util.getNode("FLAIR SYNTH DIR")
    assert shown_volumes(slicer_scene) == {"SynthMRIBefore": "FLAIR", "SynthMRIAfter": "FLAIR SYNTH DIR"}
    voxels = slicer_scene.util.arrayFromVolume(result)
    low, high = np.percentile(voxels[voxels != 0], [1, 99.5])
    display = result.GetDisplayNode()
    assert display.GetWindowLevelMin() == pytest.approx(low, rel=1e-3, abs=1e-3)
    assert display.GetWindowLevelMax() == pytest.approx(high, rel=1e-3, abs=1e-3)
    sources = [result.GetNthNodeReference("SynthMRI.Source", n) for n in range(3)]
    assert sources == [flair, t1, t2]
    assert not panel.ui.differenceCheckBox.enabled and "another contrast" in panel.ui.differenceCheckBox.toolTip


def test_inputs_under_different_linear_transforms_meet(desktop, slicer_scene):
    """What a transform moves away, and the header moves back, lies where it lay."""
    from SynthMRILib.tasks import get_task
    from SynthMRIModuleLib.inputs import voxels_of_inputs

    assert desktop is not None
    flair, t1 = stripped_node("FLAIR"), stripped_node("T1w")
    transform = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.array([[0.0, -1, 0, 12], [1, 0, 0, -7], [0, 0, 1, 3], [0, 0, 0, 1]])
    transform.SetMatrixTransformToParent(slicer_scene.util.vtkMatrixFromArray(matrix))
    t1.SetAndObserveTransformNodeID(transform.GetID())
    given = voxels_of_inputs(get_task("synthetic-dir").roles, {"flair": flair, "t1": t1})
    own = np.diag([1.5, 1.5, 1.5, 1.0])
    np.testing.assert_allclose(given["flair"].grid.ijk_to_ras, own, atol=1e-9)
    np.testing.assert_allclose(given["t1"].grid.ijk_to_ras, matrix @ own, atol=1e-9)


def test_inputs_that_only_one_of_is_warped_are_refused_with_a_sentence(desktop, slicer_scene):
    flair, t1 = stripped_node("FLAIR"), stripped_node("T1w")
    warp = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    t1.SetAndObserveTransformNodeID(warp.GetID())
    panel = open_tab(desktop, DIR)
    panel.ui.flairSelector.setCurrentNode(flair)
    panel.ui.t1Selector.setCurrentNode(t1)
    desktop.process_events()
    assert "'T1w' is under a warping transform" in panel.ui.applyHintLabel.text and not panel.ui.applyButton.enabled


def test_a_run_ends_when_any_of_its_inputs_is_removed(desktop, slicer_scene):
    for name in ("FLAIR", "T1w", "T2w"):
        stripped_node(name)
    panel = open_tab(desktop, DIR)
    select(panel.ui.methodComboBox, "Formula of FLAIR and T1w or T2w")
    press_apply(desktop, panel)
    slicer_scene.mrmlScene.RemoveNode(slicer_scene.util.getNode("T2w"))
    before = scene_facts()
    assert desktop.wait_until(lambda: not panel.logic.running, timeout=60)
    assert "was removed" in panel.ui.statusLabel.text and scene_facts() == before


def test_findings_follow_the_voxels_of_the_input(desktop, slicer_scene):
    node = head_node()
    panel = open_tab(desktop, ENHANCE)
    select(panel.ui.methodComboBox, "B-spline interpolation")
    assert checked(desktop, panel).ui.applyButton.enabled
    slicer_scene.util.updateVolumeFromArray(node, np.full((18, 20, 22), 7.0))
    assert desktop.wait_until(lambda: not panel.ui.applyButton.enabled, timeout=5)
    assert "All voxels have the same value" in panel.ui.applyHintLabel.text


def test_contrasts_are_told_from_the_dicom_header_before_the_name(desktop, slicer_scene, tmp_path, monkeypatch):
    """Names of series are free text; repetition, echo and inversion times are not."""
    from dicom_files import STRAIGHT, stack, write_series
    from SlicerDesktop.application.dicom_database import DICOMDatabase
    from SlicerDesktop.proxies import proxy_for
    from SynthMRIModuleLib.contrasts import contrast_of

    assert desktop is not None
    times = {"flair": (9000, 110, 2500), "t1": (2300, 3, 900), "t2": (4500, 95, None)}

    def acquire(contrast: str):
        def change(_index, dataset):
            dataset.RepetitionTime, dataset.EchoTime, inversion = times[contrast]
            if inversion:
                dataset.InversionTime = inversion

        return change

    database = DICOMDatabase()
    nodes = {}
    for number, contrast in enumerate(times, start=1):
        files = write_series(tmp_path / contrast, stack(), STRAIGHT, number=number, change=acquire(contrast))
        instances = [str(pydicom.dcmread(file).SOPInstanceUID) for file in files]
        nodes[contrast] = stripped_node(f"T1 or so {number}")
        nodes[contrast].SetAttribute("DICOM.instanceUIDs", " ".join(instances))
    database.import_folder(tmp_path)
    monkeypatch.setattr(slicer_scene, "dicomDatabase", proxy_for(database), raising=False)
    assert {contrast: contrast_of(node) for contrast, node in nodes.items()} == {name: name for name in times}
    ui = open_tab(desktop, DIR).ui
    assert ui.flairSelector.currentNode() is nodes["flair"] and ui.t2Selector.currentNode() is nodes["t2"]
