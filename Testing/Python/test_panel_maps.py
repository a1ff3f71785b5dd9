"""Which map is taken for the uncertainty of which result: only one of its task, model, settings and voxels."""

from __future__ import annotations

from typing import Any

import pytest
from bundle_support import make_bundle
from module_support import head_node
from panel_support import result_of, shown_volumes

QUALITY = {"reasons": ["Too uncertain."], "rule": "red: above the limit", "sentence": "Confidence: low (red)."}
GREEN, RED = {**QUALITY, "flag": "green", "reasons": []}, {**QUALITY, "flag": "red"}
LATER = "2026-01-01T00:00:09+00:00"


def model(letter: str) -> dict[str, str]:
    return {"name": f"model {letter}", "version": "1", "sha256": letter * 64}


#: What sets a map apart from that of a usual result, by its provenance.
OTHERS: dict[str, dict[str, Any]] = {
    "another task": {"parameters": {"task": "denoising"}},
    "another model": {"bundle": model("b")},
    "other settings": {"parameters": {"task": "super-resolution", "options": {"sharpness": 0.5}}},
    "other voxels": {"inputs": {"input": {"sha256": "c" * 64}}},
    "another kind of input": {"inputs": {"flair": {"sha256": "c" * 64}}},
    "a task that is not known": {"parameters": {"task": "future"}},
    "a parameter that is not known": {"parameters": {"task": "super-resolution", "future": 1}},
    "nothing said": {"task": "", "bundle": None, "inputs": {}, "parameters": {}},
}


@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("other", list(OTHERS))
def test_a_map_of_something_else_is_not_taken_whichever_came_first(other):
    from SynthMRIModuleLib.map_match import reason_no_map, uncertainty_of
    from SynthMRIModuleLib.quality import quality_of, reason_for_caution

    source = head_node()
    result = result_of(source)
    result_of(source, role="total", quality=RED, **OTHERS[other])
    assert uncertainty_of(result) is None and not quality_of(result) and not reason_for_caution(result)
    assert "were computed for another task, model or setting" in reason_no_map(result)
    right = result_of(source, role="total", quality=GREEN)
    result_of(source, role="total", quality=RED, created=LATER, **OTHERS[other])
    assert uncertainty_of(result) is right and quality_of(result) == GREEN and not reason_for_caution(result)


@pytest.mark.usefixtures("desktop")
def test_of_several_maps_the_latest_counts_but_one_red_flag_has_to_be_acknowledged():
    from SynthMRIModuleLib.map_match import maps_of
    from SynthMRIModuleLib.quality import quality_of, reason_for_caution

    source = head_node()
    result = result_of(source)
    made = [
        result_of(source, role="total", created=created, quality=quality)
        for created, quality in ((LATER, GREEN), ("2025-01-01T00:00:00+00:00", RED), (LATER, GREEN))
    ]
    assert maps_of(result) == [made[2], made[0], made[1]]
    assert quality_of(result)["flag"] == "green" and "Too uncertain." in reason_for_caution(result)


@pytest.mark.usefixtures("desktop")
def test_settings_that_change_nothing_but_rounding_keep_a_map_and_its_result_together():
    from SynthMRIModuleLib.map_match import uncertainty_of

    source = head_node()
    result = result_of(source, parameters={"device": "cpu", "tile": 64, "seed": 3, "residual": True})
    asked = {"task": "super-resolution", "samples": 8, "augmentations": 8, "precision": "float32"}
    spread = result_of(source, role="total", parameters=asked)
    assert uncertainty_of(result) is spread


@pytest.mark.usefixtures("desktop")
@pytest.mark.parametrize("task, method", [("synthetic-dir", "network"), ("motion-correction", "network")])
def test_the_method_that_is_judged_counts_as_that_of_the_map(task, method):
    """Which is not the default of the task: "auto" of synthetic DIR, autofocus of motion correction."""
    from SynthMRIModuleLib.map_match import uncertainty_of

    source = head_node()
    spread = result_of(source, role="total", parameters={"task": task})
    assert uncertainty_of(result_of(source, task=task, parameters={"method": method})) is spread
    for other in ("combined", "autofocus"):
        assert uncertainty_of(result_of(source, task=task, parameters={"method": other})) is None


@pytest.mark.usefixtures("desktop")
def test_real_runs_belong_together_by_run_model_and_voxels(slicer_scene, tmp_path):
    from SynthMRIModuleLib.map_match import pair_to_show, reason_not_its_map, uncertainty_of

    from SynthMRI import SynthMRILogic
    from SynthMRIUncertainty import SynthMRIUncertaintyLogic

    make_bundle(tmp_path / "models" / "test-network")
    source = head_node(shape=(16, 18, 20))
    result = SynthMRILogic().process(source)
    few = {"samples": 2}
    mine = SynthMRIUncertaintyLogic().process(source, parameters=few)
    assert uncertainty_of(result) is mine["total"] and uncertainty_of(mine["output"]) is mine["total"]
    again = SynthMRIUncertaintyLogic().process(source, parameters={**few, "seed": 5})
    assert uncertainty_of(result) is again["total"] and uncertainty_of(mine["output"]) is mine["total"]
    assert pair_to_show(None, None) == (again["output"], again["total"])
    assert pair_to_show(None, mine["total"]) == (mine["output"], mine["total"])
    assert pair_to_show(mine["output"], None) == (mine["output"], mine["total"])
    assert "was computed for another volume" in reason_not_its_map(again["output"], mine["total"])
    assert not reason_not_its_map(result, mine["total"])
    slicer_scene.util.updateVolumeFromArray(source, 2 * slicer_scene.util.arrayFromVolume(source))
    assert uncertainty_of(SynthMRILogic().process(source)) is None


def test_a_result_without_a_map_of_its_own_is_compared_without_one_and_told_why(desktop, slicer_scene):
    panel = desktop.open_module("SynthMRI")
    source = head_node()
    corrected = result_of(source, task="motion-correction", bundle=None, parameters={"method": "autofocus"})
    result_of(source, role="total", parameters={"task": "motion-correction"})
    panel.logic.getParameterNode().outputVolume = corrected
    desktop.process_events()
    assert not panel.ui.uncertaintyCheckBox.enabled
    assert "No network computed this result" in panel.ui.compareHintLabel.text
    panel.ui.compareButton.click()
    assert "SynthMRIMap" not in shown_volumes(slicer_scene)


def test_a_red_flag_of_an_earlier_map_has_to_be_acknowledged_before_an_export(desktop):
    import qt

    panel = desktop.open_module("SynthMRI")
    source = head_node()
    panel.logic.getParameterNode().outputVolume = result_of(source)
    result_of(source, role="total", quality=GREEN, created=LATER)
    result_of(source, role="total", quality=RED)
    desktop.process_events()
    desktop.answer(qt.QMessageBox.Cancel)
    panel.ui.exportButton.click()
    assert (
        panel.ui.exportStatusLabel.text == "Nothing was exported." and "Too uncertain." in desktop.shown_dialogs[0].text
    )


@pytest.mark.parametrize("there", ["a map and its mean", "a map without its mean", "a result without a map"])
def test_only_the_mean_and_the_map_of_one_run_are_selected_at_first(desktop, there):
    source = head_node()
    result_of(source, task="motion-correction", bundle=None)
    run = {"parameters": {"task": "denoising"}, "quality": GREEN}
    wanted: tuple[Any, Any] = (None, None)
    if there != "a result without a map":
        spread = result_of(source, role="total", **run)
        result_of(source, role="epistemic", **run)
    if there == "a map and its mean":
        wanted = (result_of(source, task="uncertainty", **run), spread)
        result_of(source, task="super-resolution", created=LATER)
    panel = desktop.open_module("SynthMRIUncertainty")
    selected = panel.ui.imageSelector.currentNode(), panel.ui.uncertaintySelector.currentNode()
    assert selected == wanted
    assert panel.ui.overlayButton.enabled is (wanted[0] is not None)
    assert panel.ui.qualityLabel.visible is (wanted[0] is not None)


def test_a_pair_that_does_not_belong_together_is_shown_with_a_warning(desktop):
    source = head_node()
    result, spread = result_of(source), result_of(source, role="total", **OTHERS["another task"])
    panel = desktop.open_module("SynthMRIUncertainty")
    panel.ui.imageSelector.setCurrentNode(result)
    panel.ui.uncertaintySelector.setCurrentNode(spread)
    desktop.process_events()
    assert panel.ui.overlayButton.enabled and panel.ui.overlayHintLabel.visible
    assert "does not tell how far to trust 'T1w SYNTH output'" in panel.ui.overlayHintLabel.text
    panel.ui.uncertaintySelector.setCurrentNode(result_of(source, role="total"))
    desktop.process_events()
    assert not panel.ui.overlayHintLabel.visible
