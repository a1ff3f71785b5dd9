"""Smooth or crisp: the slider is on where a pair of models allows it, and the panel says which end is which."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bundle_support import make_bundle
from module_support import ROOT, SUPER_RESOLUTION, head_node
from panel_support import checked, run_to_the_end, select, synthetic_volumes
from SynthMRILib.bundles import load_bundle
from test_sharpness import make


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the installed models."""
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def opened(desktop, name: str = "T1w"):
    """The panel with a volume."""
    desktop.load_module(SUPER_RESOLUTION)
    head_node(name)
    panel = desktop.open_module("SynthMRI")
    desktop.process_events()
    return panel


def test_without_a_perceptual_model_there_is_no_slider_unless_a_scene_brings_a_sharpness(slicer_desktop, models):
    make(models / "smooth", seed=1)
    panel = opened(slicer_desktop)
    assert not panel.ui.sharpnessSliderWidget.visible and not panel.ui.crispLabel.visible
    panel.logic.getParameterNode().sharpness = 0.5
    slicer_desktop.process_events()
    assert panel.ui.sharpnessSliderWidget.visible, "what a scene brought can be taken back"
    assert "smooth and faithful: no model for crisp ones" in panel.ui.sharpnessHintLabel.text
    checked(slicer_desktop, panel)
    assert "so its sharpness cannot be set" in panel.ui.applyHintLabel.text
    panel.ui.sharpnessSliderWidget.value = 0
    assert checked(slicer_desktop, panel).ui.applyButton.enabled and not panel.ui.sharpnessSliderWidget.visible


def test_a_pair_of_models_brings_the_slider_and_the_result_says_how_sharp_it_is(slicer_desktop, slicer_scene, models):
    fidelity = make(models / "smooth", seed=1)
    make(models / "sharp", seed=2, partner=fidelity)
    panel = opened(slicer_desktop)
    ui = panel.ui
    assert ui.sharpnessSliderWidget.visible and "more of its fine detail is invented" in ui.sharpnessHintLabel.text
    assert (ui.faithfulLabel.text, ui.crispLabel.text) == ("smooth and faithful", "crisp, may invent detail")
    ui.sharpnessSliderWidget.value = 0.5
    checked(slicer_desktop, panel)
    assert ui.applyButton.enabled, ui.applyHintLabel.text
    run_to_the_end(slicer_desktop, panel)
    assert synthetic_volumes(slicer_scene) == ["T1w SYNTH 2x sharpness 0.50"], ui.statusLabel.text
    select(ui.bundleComboBox, "sharp")
    slicer_desktop.process_events()
    assert "Select its smooth partner 'smooth'" in ui.sharpnessHintLabel.text


def test_a_model_installed_meanwhile_brings_the_slider(slicer_desktop, models):
    fidelity = make(models / "smooth", seed=1)
    panel = opened(slicer_desktop)
    make(models / "sharp", seed=2, partner=fidelity)
    assert not panel.ui.sharpnessSliderWidget.visible
    panel.onModelsChanged()
    assert panel.ui.sharpnessSliderWidget.visible


def test_other_tasks_and_methods_have_no_sharpness(slicer_desktop, models):
    make(models / "sharp", seed=2, partner=make(models / "smooth", seed=1))
    panel = opened(slicer_desktop)
    assert panel.ui.sharpnessSliderWidget.visible
    select(panel.ui.methodComboBox, "B-spline interpolation")
    slicer_desktop.process_events()
    widgets = (panel.ui.sharpnessSliderWidget, panel.ui.faithfulLabel, panel.ui.sharpnessHintLabel)
    assert not any(widget.visible for widget in widgets)
    select(panel.ui.enhancementComboBox, "Denoising")
    slicer_desktop.process_events()
    assert not any(widget.visible for widget in widgets)


def test_experimental_models_say_why_before_they_are_used(slicer_desktop, models):
    models.mkdir()
    shutil.copytree(ROOT / "Resources" / "Models" / "motion-correction", models / "motion-correction")
    panel = opened(slicer_desktop)
    assert not panel.ui.bundleHintLabel.visible
    panel.ui.taskTabWidget.setCurrentIndex(2)
    slicer_desktop.process_events()
    assert not panel.ui.bundleHintLabel.visible, "autofocus, the default, uses no model of this task"
    select(panel.ui.methodComboBox, "Network")
    slicer_desktop.process_events()
    words = panel.ui.bundleHintLabel.text
    assert panel.ui.bundleHintLabel.visible and words.startswith("Motion correction is experimental. ")
    said = str(load_bundle(models / "motion-correction").metadata["description"]).removeprefix("Experimental: ")
    assert words.endswith(said[1:]) and "Select the one you want to try" in panel.ui.applyHintLabel.text
    select(panel.ui.bundleComboBox, "Motion correction (experimental)")
    checked(slicer_desktop, panel)
    assert panel.ui.bundleHintLabel.text == words and panel.ui.applyButton.enabled


def test_an_experimental_model_that_the_method_does_not_use_says_nothing(slicer_desktop, models):
    models.mkdir()
    shutil.copytree(ROOT / "Resources" / "Models" / "synthetic-dir", models / "synthetic-dir")
    panel = opened(slicer_desktop, "FLAIR")
    panel.ui.taskTabWidget.setCurrentIndex(1)
    slicer_desktop.process_events()
    assert not panel.ui.bundleHintLabel.visible
    select(panel.ui.bundleComboBox, "Synthetic DIR (simulated heads and dictionary fits) (experimental)")
    slicer_desktop.process_events()
    assert "never compared with an acquired DIR" in panel.ui.bundleHintLabel.text


def test_a_sound_model_has_no_such_words(slicer_desktop, models):
    make_bundle(models / "sound")
    panel = opened(slicer_desktop)
    assert not panel.ui.bundleHintLabel.visible
