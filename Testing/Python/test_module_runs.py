"""Runs from node to node in a real child process: results, callbacks, cancelling, failing, and what the scene keeps."""

from __future__ import annotations

import numpy as np
import pytest
from module_support import (
    BSPLINE,
    GRIDS,
    SUPER_RESOLUTION,
    head_node,
    node_matrix,
    scene_facts,
    wait_for,
)
from SynthMRILib.errors import Cancelled, InputError


@pytest.fixture
def logic(slicer_desktop, slicer_scene):
    assert slicer_scene.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    slicer_desktop.load_module(SUPER_RESOLUTION)
    from SynthMRI import SynthMRILogic

    made = SynthMRILogic()
    yield made
    made.close()


class Told:
    """Keeps what a run tells."""

    def __init__(self, logic, node, parameters=BSPLINE):
        self.progress, self.finished, self.errors = [], [], []
        logic.start(
            node,
            parameters=parameters,
            onProgress=lambda *values: self.progress.append(values),
            onFinished=self.finished.append,
            onError=self.errors.append,
        )
        self.logic = logic

    def wait(self):
        wait_for(lambda: not self.logic.running, self.logic.poll)
        return self


@pytest.mark.parametrize("grid", GRIDS)
def test_a_run_gives_a_finer_volume_at_the_same_place(logic, slicer_scene, grid):
    """A linear ramp stays a linear ramp in space, whatever the orientation (voxels near the edge left out)."""
    source = head_node(grid=grid)
    k, j, i = np.indices((18, 20, 22), dtype=np.float32)
    slicer_scene.util.updateVolumeFromArray(source, 100 + 3 * i + 2 * j + k)
    output = logic.process(source, parameters=BSPLINE)
    voxels = slicer_scene.util.arrayFromVolume(output)
    assert voxels.shape == (36, 40, 44)
    index = np.stack(np.indices(voxels.shape)[::-1], axis=-1).reshape(-1, 3)
    to_source = np.linalg.inv(node_matrix(source)) @ node_matrix(output)
    in_source = index @ to_source[:3, :3].T + to_source[:3, 3]
    expected = 100 + in_source @ [3, 2, 1]
    inside = np.all((in_source > 4) & (in_source < np.array([21, 19, 17]) - 4), axis=1)
    np.testing.assert_allclose(voxels.ravel()[inside], expected[inside], rtol=0, atol=0.05)


def test_a_run_leaves_its_source_untouched_and_names_the_result_after_it(logic, slicer_scene):
    source = head_node("FLAIR")
    before, image = slicer_scene.util.arrayFromVolume(source).copy(), source.GetImageData()
    changed = image.GetMTime()
    output = logic.process(source, parameters=BSPLINE)
    assert output.GetName() == "FLAIR SYNTH 2x B-spline"
    assert source.GetImageData() is image and image.GetMTime() == changed
    np.testing.assert_array_equal(slicer_scene.util.arrayFromVolume(source), before)


def test_provenance_names_the_source_by_a_hash_and_holds_no_name(logic):
    from SynthMRIModuleLib.result_nodes import provenance_of

    output = logic.process(head_node("Miller^Anna"), parameters=BSPLINE)
    provenance = provenance_of(output)
    assert provenance["task"] == "super-resolution" and provenance["parameters"]["method"] == "bspline"
    assert len(provenance["inputs"]["input"]["sha256"]) == 64
    assert "Miller" not in output.GetAttribute("SynthMRI.Provenance")


def test_start_returns_at_once_and_poll_tells_the_rest(logic):
    told = Told(logic, head_node())
    assert logic.running and not told.finished
    told.wait()
    assert [node.GetName() for node in told.finished] == ["T1w SYNTH 2x B-spline"] and not told.errors
    fractions = [fraction for fraction, _, _ in told.progress]
    assert fractions == sorted(fractions) and fractions[0] == 0
    logic.poll()
    assert len(told.finished) == 1, "the end is told once"


def test_cancelling_leaves_the_scene_as_it_was(logic):
    source = head_node()
    before = scene_facts()
    told = Told(logic, source)
    logic.cancel()
    told.wait()
    assert isinstance(told.errors[0], Cancelled) and not told.finished
    assert scene_facts() == before


def test_a_run_whose_input_is_deleted_is_stopped(logic, slicer_scene):
    source = head_node()
    told = Told(logic, source)
    slicer_scene.mrmlScene.RemoveNode(source)
    before = scene_facts()
    told.wait()
    assert "was removed" in str(told.errors[0]) and scene_facts() == before


def test_a_run_whose_scene_is_closed_is_stopped_although_another_node_has_the_same_id(logic, slicer_scene):
    source = head_node()
    node_id = source.GetID()
    told = Told(logic, source)
    slicer_scene.mrmlScene.Clear()
    assert head_node("Another").GetID() == node_id
    before = scene_facts()
    told.wait()
    assert "was removed" in str(told.errors[0]) and scene_facts() == before


def test_a_second_run_waits_for_the_first(logic):
    first, second = Told(logic, head_node()), Told(logic, head_node("T2w"))
    assert logic.waiting == ["T2w SYNTH 2x B-spline"]
    second.wait()
    assert [node.GetName() for node in first.finished] == ["T1w SYNTH 2x B-spline"]
    assert [node.GetName() for node in second.finished] == ["T2w SYNTH 2x B-spline"] and not logic.waiting
    assert logic.latest[0] == "T2w SYNTH 2x B-spline" and 0 < logic.latest[1] < 60


def test_waiting_for_one_run_in_a_script_does_not_wait_for_those_of_others(logic):
    told = Told(logic, head_node())
    output = logic.process(head_node("T2w"), parameters=BSPLINE)
    assert output.GetName() == "T2w SYNTH 2x B-spline" and len(told.finished) == 1 and not logic.running


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"method": "magic"}, "Unknown method"),
        ({"method": "bspline", "factor": 3}, "Factor 3"),
        ({"method": "bspline", "colour": 1}, "Unknown parameter"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_before_and_by_the_run(logic, parameters, words, monkeypatch, tmp_path):
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path))
    source = head_node()
    findings = logic.check(source, parameters=parameters)
    if parameters["method"] == "bspline":
        assert any(words in finding.message for finding in findings if finding.severity == "error")
        before = scene_facts()
        with pytest.raises(InputError, match=words):
            logic.process(source, parameters=parameters)
        assert scene_facts() == before
    else:
        assert any(finding.severity == "error" for finding in findings)


def test_an_input_that_cannot_be_used_is_refused_before_the_child_is_bothered(logic, slicer_scene):
    label_map = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Lesions")
    with pytest.raises(InputError, match="'Lesions' is a label map"):
        logic.process(label_map, parameters=BSPLINE)
    assert not logic.running


def test_findings_are_kept_until_the_voxels_change(logic, slicer_scene):
    source = head_node()
    first = logic.check(source, parameters=BSPLINE)
    assert logic.check(source, parameters=BSPLINE) is first
    slicer_scene.util.updateVolumeFromArray(source, np.full((18, 20, 22), 7.0))
    assert any(finding.severity == "error" for finding in logic.check(source, parameters=BSPLINE))


def test_a_result_is_recognised_as_synthetic_when_it_is_the_next_input(logic):
    output = logic.process(head_node(), parameters=BSPLINE)
    assert "node-synthetic" in [finding.code for finding in logic.check(output, parameters=BSPLINE)]
    assert not logic.isAcquired(output) and logic.isAcquired(head_node())


def test_the_choices_of_a_user_survive_saving_and_loading(logic, slicer_scene, tmp_path):
    from SynthMRIModuleLib.choices import Device, Method, Precision

    source = head_node()
    stored = logic.getParameterNode()
    stored.inputVolume, stored.method, stored.bundle = source, Method.BSPLINE, "some-model"
    stored.device, stored.precision = Device.CPU, Precision.BFLOAT16
    stored.tile, stored.seed, stored.compareWhenDone = 64, 2147483647, False
    path = str(tmp_path / "scene.mrml")
    assert slicer_scene.mrmlScene.Commit(path)
    slicer_scene.mrmlScene.Clear()
    slicer_scene.mrmlScene.SetURL(path)
    slicer_scene.mrmlScene.Connect()
    loaded = logic.getParameterNode()
    assert (loaded.method, loaded.bundle, loaded.device) == (Method.BSPLINE, "some-model", Device.CPU)
    assert (loaded.precision, loaded.tile, loaded.seed) == (Precision.BFLOAT16, 64, 2147483647)
    assert loaded.compareWhenDone is False and loaded.inputVolume.GetName() == "T1w"


@pytest.mark.usefixtures("logic")
def test_the_self_test_of_the_module_passes(slicer_desktop):
    from SynthMRI import SynthMRITest

    slicer_desktop.set_testing(True)
    SynthMRITest().runTest()
