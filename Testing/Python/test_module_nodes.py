"""Volume nodes become volumes of the engine and results become nodes, with exact geometry and honest marks."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
from module_support import GRIDS, head_node, node_matrix, place, scene_facts
from SynthMRILib.errors import InputError
from SynthMRILib.volume import Grid, Volume


def result_beside(source, *, name="T1w SYNTH 2x", provenance=None):
    """A result node as a run makes it: twice the voxels over the same field of view."""
    from SynthMRIModuleLib.node_volume import volume_from_node
    from SynthMRIModuleLib.result_nodes import SourceSnapshot, add_result_node

    volume = volume_from_node(source)
    doubled = Volume(np.kron(volume.voxels, np.ones((2, 2, 2))), volume.grid.upsampled(2))
    return add_result_node(
        doubled,
        source=SourceSnapshot.of(source),
        name=name,
        role="output",
        task="super-resolution",
        provenance={"seed": 3} if provenance is None else provenance,
    )


@pytest.mark.parametrize("grid", GRIDS)
def test_a_volume_lies_where_its_node_lies(slicer_scene, grid):
    from SynthMRIModuleLib.node_volume import volume_from_node

    node = head_node(grid=grid)
    volume = volume_from_node(node)
    assert volume.voxels.dtype == np.float32
    np.testing.assert_array_equal(volume.voxels, slicer_scene.util.arrayFromVolume(node))
    np.testing.assert_allclose(volume.grid.ijk_to_ras, node_matrix(node), rtol=0, atol=1e-12)


def test_a_volume_is_a_copy(slicer_scene):
    from SynthMRIModuleLib.node_volume import volume_from_node

    node = head_node()
    before = slicer_scene.util.arrayFromVolume(node).copy()
    volume_from_node(node).voxels[:] = -1
    np.testing.assert_array_equal(slicer_scene.util.arrayFromVolume(node), before)


@pytest.mark.parametrize(
    "class_name, components, words",
    [
        (None, 0, "Select an input volume"),
        ("vtkMRMLLabelMapVolumeNode", 1, "is a label map"),
        ("vtkMRMLVectorVolumeNode", 3, "color or vector volume"),
        ("vtkMRMLDiffusionTensorVolumeNode", 1, "tensor volume"),
        ("vtkMRMLDiffusionWeightedVolumeNode", 1, "diffusion-weighted"),
        ("vtkMRMLScalarVolumeNode", 0, "holds no voxels"),
        ("vtkMRMLScalarVolumeNode", 2, "2 values per voxel"),
        ("vtkMRMLModelNode", 0, "is not a volume"),
    ],
)
def test_what_is_no_mr_volume_is_refused_with_a_sentence(slicer_scene, class_name, components, words):
    import vtk
    from SynthMRIModuleLib.node_volume import reason_not_usable, volume_from_node

    node = slicer_scene.mrmlScene.AddNewNodeByClass(class_name, "Node") if class_name else None
    if components:
        image = vtk.vtkImageData()
        image.SetDimensions(20, 20, 20)
        image.AllocateScalars(vtk.VTK_FLOAT, components)
        node.SetAndObserveImageData(image)
    assert words in reason_not_usable(node)
    with pytest.raises(InputError, match=words):
        volume_from_node(node)


@pytest.mark.parametrize("grid", GRIDS)
def test_a_result_covers_the_field_of_view_of_its_source(slicer_scene, grid):
    source = head_node(grid=grid)
    result = result_beside(source)
    shape = tuple(2 * n for n in slicer_scene.util.arrayFromVolume(source).shape)
    assert slicer_scene.util.arrayFromVolume(result).shape == shape
    outer = np.array([-0.5, -0.5, -0.5, 1])
    first = node_matrix(source) @ outer
    np.testing.assert_allclose(node_matrix(result) @ outer, first, rtol=0, atol=1e-6)
    end = np.array([*(n - 0.5 for n in reversed(shape)), 1])
    source_end = np.array([*(n / 2 - 0.5 for n in reversed(shape)), 1])
    np.testing.assert_allclose(node_matrix(result) @ end, node_matrix(source) @ source_end, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["vtkMRMLLinearTransformNode", "vtkMRMLBSplineTransformNode"])
def test_a_result_is_under_the_transform_of_its_source(slicer_scene, kind):
    source = head_node()
    transform = slicer_scene.mrmlScene.AddNewNodeByClass(kind)
    source.SetAndObserveTransformNodeID(transform.GetID())
    assert result_beside(source).GetParentTransformNode() is transform


def test_a_result_stays_in_place_when_the_transform_of_its_source_is_hardened_meanwhile(slicer_scene):
    from SynthMRIModuleLib.node_volume import volume_from_node
    from SynthMRIModuleLib.result_nodes import SourceSnapshot, add_result_node

    source = head_node()
    transform = slicer_scene.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    turned = np.eye(4)
    turned[:3, :3] = [[math.cos(0.3), -math.sin(0.3), 0], [math.sin(0.3), math.cos(0.3), 0], [0, 0, 1]]
    turned[:3, 3] = 10, -20, 30
    transform.SetMatrixTransformToParent(slicer_scene.util.vtkMatrixFromArray(turned))
    source.SetAndObserveTransformNodeID(transform.GetID())
    volume, snapshot = volume_from_node(source), SourceSnapshot.of(source)
    where = node_matrix(source, in_world=True)
    source.HardenTransform()
    arguments = {"name": "R", "role": "output", "task": "t", "provenance": {}}
    result = add_result_node(volume, source=snapshot, **arguments)
    np.testing.assert_allclose(node_matrix(result, in_world=True), where, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("slicer_scene")
def test_a_result_is_displayed_like_its_source():
    source = head_node()
    display = source.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(321, 123)
    display.SetInterpolate(False)
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeInvertedGrey")
    shown = result_beside(source).GetDisplayNode()
    assert (shown.GetWindow(), shown.GetLevel(), shown.GetAutoWindowLevel()) == (321, 123, 0)
    assert shown.GetInterpolate() == 0
    assert shown.GetColorNodeID() == "vtkMRMLColorTableNodeInvertedGrey"


def test_a_result_of_a_source_that_was_never_displayed_can_be_displayed(slicer_scene):
    source = head_node()
    slicer_scene.mrmlScene.RemoveNode(source.GetDisplayNode())
    assert result_beside(source).GetDisplayNode() is not None


def test_a_result_stands_right_after_its_source_in_the_same_folder(slicer_scene):
    hierarchy = slicer_scene.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer_scene.mrmlScene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    nodes = [head_node("T1w"), head_node("FLAIR")]
    for node in nodes:
        item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(study, node)
        hierarchy.SetItemParent(item, study)
    result_beside(nodes[0])
    names = [hierarchy.GetItemName(hierarchy.GetItemByPositionUnderParent(study, n)) for n in range(3)]
    assert names == ["T1w", "T1w SYNTH 2x", "FLAIR"]


@pytest.mark.usefixtures("slicer_scene")
def test_a_result_says_what_it_is_and_what_made_it():
    from SynthMRIModuleLib.result_nodes import is_synthetic, provenance_of, source_of

    source = head_node()
    result = result_beside(source)
    assert result.GetName() == "T1w SYNTH 2x"
    assert is_synthetic(result) and not is_synthetic(source)
    assert source_of(result) is source
    assert provenance_of(result) == {"seed": 3, "synthetic": True}
    assert "not for diagnosis" in result.GetAttribute("SynthMRI.IntendedUse")
    assert result_beside(source).GetName() != result.GetName(), "names stay different"


@pytest.mark.parametrize("ending", ["mrml", "mrb"])
def test_marks_and_geometry_survive_saving_and_loading_a_scene(slicer_scene, tmp_path, ending):
    from SynthMRIModuleLib.result_nodes import is_synthetic, provenance_of, source_of

    source = head_node(grid="oblique")
    provenance = {"text": 'quote " semicolon ; colon : percent % <tag> é', "numbers": [1, 2.5, None]}
    result = result_beside(source, provenance=provenance)
    before = node_matrix(result)
    scene, path = slicer_scene.mrmlScene, tmp_path / f"scene.{ending}"
    save_scene(slicer_scene, path)
    scene.Clear()
    assert load_scene(slicer_scene, path)
    loaded = slicer_scene.util.getNode("T1w SYNTH 2x")
    assert is_synthetic(loaded)
    assert provenance_of(loaded) == {**provenance, "synthetic": True}
    assert source_of(loaded) is slicer_scene.util.getNode("T1w")
    np.testing.assert_allclose(node_matrix(loaded), before, rtol=0, atol=1e-6)
    assert slicer_scene.util.arrayFromVolume(loaded).max() > 300


def save_scene(slicer, path):
    """Save all volumes beside the scene, or all in one file."""
    scene = slicer.mrmlScene
    if path.suffix == ".mrb":
        assert scene.WriteToMRB(str(path))
        return
    scene.SetRootDirectory(str(path.parent))
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(str(path.parent / f"{node.GetName()}.nrrd"))
        assert node.GetStorageNode().WriteData(node)
    assert scene.Commit(str(path))


def load_scene(slicer, path):
    if path.suffix == ".mrb":
        shutil.unpack_archive(path, path.parent, "zip")
        path = next(path.parent.rglob("*.mrml"))
    slicer.mrmlScene.SetURL(str(path))
    return slicer.mrmlScene.Connect()


@pytest.mark.usefixtures("slicer_scene")
def test_the_header_of_a_saved_result_says_that_it_is_synthetic(tmp_path):
    result = result_beside(head_node())
    result.GetStorageNode().SetFileName(str(tmp_path / "result.nrrd"))
    assert result.GetStorageNode().WriteData(result)
    header = (tmp_path / "result.nrrd").read_bytes().split(b"\n\n")[0].decode()
    assert "SynthMRI.Synthetic:=1" in header and "not for diagnosis" in header


@pytest.mark.usefixtures("slicer_scene")
def test_when_a_result_cannot_be_made_the_scene_is_as_it_was():
    source = head_node()
    before = scene_facts()
    with pytest.raises(TypeError):
        result_beside(source, provenance={"what": object()})
    assert scene_facts() == before


@pytest.mark.usefixtures("slicer_scene")
def test_a_removed_result_leaves_nothing_behind():
    from SynthMRIModuleLib.result_nodes import remove_result_node

    source = head_node()
    before = json.loads(scene_facts())[0]
    remove_result_node(result_beside(source))
    assert json.loads(scene_facts())[0] == before


@pytest.mark.usefixtures("slicer_scene")
def test_a_shear_is_kept():
    node = head_node()
    sheared = np.array([[1.0, 0.2, 0, 5], [0, 1.1, 0.1, 6], [0, 0, 2, 7], [0, 0, 0, 1]])
    place(node, Grid((18, 20, 22), sheared))
    expected = Grid((18, 20, 22), sheared).upsampled(2).ijk_to_ras
    np.testing.assert_allclose(node_matrix(result_beside(node)), expected, rtol=0, atol=1e-6)
