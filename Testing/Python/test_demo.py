"""The demo: its template, its simulated scan, its scene in Slicer's own classes, and the command as a user runs it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from bundle_support import make_bundle
from scipy import ndimage
from SynthMRILib import INTENDED_USE
from SynthMRILib.demo.pictures import slice_through
from SynthMRILib.demo.scan import NOISE, load_template, simulate_scan, trimmed
from SynthMRILib.demo.scene import BLUE_WHITE_RED, SceneVolume, write_scene
from SynthMRILib.intensity import reference_intensity
from SynthMRILib.volume import Grid, Volume

ENGINE = Path(__file__).resolve().parents[2] / "SynthMRI"
OBLIQUE = np.array([[0.0, -0.1, 1.0, 5], [1.0, 0.0, 0.0, -7], [0.0, 1.0, 0.1, 11], [0, 0, 0, 1]])


def phantom(shape: tuple[int, int, int] = (44, 48, 40), matrix: np.ndarray | None = None) -> Volume:
    """A smooth textured ball in air."""
    k, j, i = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in shape), indexing="ij")
    texture = ndimage.gaussian_filter(np.random.default_rng(4).normal(size=shape), 1.5)
    ball = (k**2 + j**2 + i**2 < 1) * (1 + 2 * texture)
    return Volume(100 * np.maximum(ball, 0), Grid(shape, np.eye(4) if matrix is None else matrix))


@pytest.fixture
def phantom_file(tmp_path: Path) -> Path:
    image = sitk.GetImageFromArray(phantom().voxels)
    image.SetOrigin((-20.0, 12.0, 5.0))
    sitk.WriteImage(image, tmp_path / "phantom.nii.gz")
    return tmp_path / "phantom.nii.gz"


def synthmri(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(ENGINE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "SynthMRILib.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_the_template_comes_from_the_installed_package_without_a_connection(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError("this test allows no connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    template = load_template()
    np.testing.assert_allclose(template.spacing, 1.0)
    left_of_middle, anterior_of_middle = template.grid.ras_to_index(np.array([[-30.0, 0, 20], [0, 60, 0]])).round()
    assert template.voxels[tuple(left_of_middle.astype(int)[::-1])] > 0.3
    assert template.voxels[tuple(anterior_of_middle.astype(int)[::-1])] > 0.1


@pytest.mark.parametrize("matrix", [np.diag([1.0, 1, 1, 1]), np.diag([-1.0, 1, 2, 1]), OBLIQUE])
def test_trimming_drops_air_and_keeps_every_voxel_where_it_was(matrix: np.ndarray):
    wide = Volume(np.pad(phantom().voxels, ((20, 3), (9, 14), (0, 31))), Grid((67, 71, 71), matrix))
    narrow = trimmed(wide, margin=2, multiple=2)
    assert all(n % 2 == 0 for n in narrow.shape) and np.prod(narrow.shape) < 0.5 * np.prod(wide.shape)
    assert narrow.voxels.sum() == pytest.approx(wide.voxels.sum(), rel=1e-6)
    brightest = [np.array(np.unravel_index(v.voxels.argmax(), v.shape))[::-1] for v in (wide, narrow)]
    np.testing.assert_allclose(narrow.grid.index_to_ras(brightest[1]), wide.grid.index_to_ras(brightest[0]), atol=1e-9)


def test_the_simulated_scan_is_coarse_repeatable_and_as_noisy_as_it_says():
    reference = phantom((60, 60, 60))
    scan, again = (simulate_scan(reference, seed=3) for _ in range(2))
    assert scan.grid.matches(reference.grid.downsampled(2))
    np.testing.assert_array_equal(scan.voxels, again.voxels)
    clean = simulate_scan(reference, seed=3, noise=0.0)
    inside = clean.voxels > 60
    sigma = NOISE * reference_intensity(reference.voxels)
    assert (scan.voxels - clean.voxels)[inside].std() == pytest.approx(sigma, rel=0.05)
    assert scan.voxels.min() >= 0


@pytest.mark.parametrize("matrix", [np.eye(4), np.diag([-1.0, -1, 2, 1]), OBLIQUE])
@pytest.mark.parametrize(
    "orientation, offset, row, column",
    [
        ("Axial", (8, 4, 0), -4, -8),  # patient's right is left of the middle, anterior is up
        ("Coronal", (8, 0, 4), -4, -8),
        ("Sagittal", (0, 8, 4), -4, -8),  # anterior is left of the middle, superior is up
    ],
)
def test_a_picture_shows_a_bright_point_on_the_side_a_radiologist_expects(matrix, orientation, offset, row, column):
    grid = Grid((41, 41, 41), matrix)
    center = grid.index_to_ras(np.array([20.0, 20, 20]))
    distance = np.linalg.norm(
        grid.index_to_ras(np.moveaxis(np.indices(grid.shape)[::-1], 0, -1)) - (center + offset), axis=-1
    )
    image = slice_through(Volume(np.exp(-(distance**2)), grid), orientation, tuple(center), (31, 31), pixel=1.0)
    assert image.shape == (31, 31)
    assert tuple(np.unravel_index(image.argmax(), image.shape)) == (15 + row, 15 + column)


def load_scene(path: Path):
    import slicer

    scene = slicer.vtkMRMLScene()
    colors = slicer.vtkMRMLColorLogic()
    colors.SetMRMLScene(scene)
    scene.SetURL(str(path))
    assert scene.Connect(), scene.GetErrorMessage()
    return scene, colors


def test_slicer_opens_the_scene_with_before_after_and_difference_in_columns(tmp_path: Path):
    from vtk.util.numpy_support import vtk_to_numpy

    volume = phantom((12, 14, 16))
    image = sitk.GetImageFromArray(volume.voxels)
    image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
    for name in ("before", "after", "difference", "reference"):
        sitk.WriteImage(image, tmp_path / f"{name}.nii.gz")
        image += 1
    volumes = [
        SceneVolume("Before", "before.nii.gz", 120, 60, attributes={"SynthMRI.IntendedUse": "a; 50 % b: <c>"}),
        SceneVolume("After é", "after.nii.gz", 120, 60),
        SceneVolume("Difference", "difference.nii.gz", 10, 0, BLUE_WHITE_RED),
        SceneVolume("Reference", "reference.nii.gz", 120, 60),
    ]
    write_scene(tmp_path / "scene.mrml", volumes, shown=(0, 1, 2), center=(1, 2, 3), field_of_view=200)

    scene, _colors = load_scene(tmp_path / "scene.mrml")
    nodes = [scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode") for n in range(4)]
    assert [node.GetName() for node in nodes] == ["Before", "After é", "Difference", "Reference"]
    assert nodes[0].GetAttribute("SynthMRI.IntendedUse") == "a; 50 % b: <c>"
    for number, (node, wanted) in enumerate(zip(nodes, volumes)):
        display = node.GetDisplayNode()
        assert (display.GetWindow(), display.GetLevel()) == (wanted.window, wanted.level)
        assert not display.GetAutoWindowLevel() and display.GetColorNodeID() == wanted.color
        voxels = vtk_to_numpy(node.GetImageData().GetPointData().GetScalars()).reshape(volume.shape)
        np.testing.assert_allclose(voxels, volume.voxels + number, rtol=1e-5)

    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    assert layout.GetViewArrangement() == layout.SlicerLayoutThreeOverThreeView
    shown = {
        (column, row): scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{view}").GetBackgroundVolumeID()
        for row, mark in enumerate(("", "+"))
        for column, view in enumerate((f"Red{mark}", f"Green{mark}", f"Yellow{mark}"))
    }
    assert shown == {(column, row): nodes[column].GetID() for column in range(3) for row in range(2)}


def test_the_views_of_a_row_are_linked_and_look_at_the_same_place(tmp_path: Path):
    volumes = [SceneVolume(name, f"{name}.nii.gz", 1, 0) for name in "abc"]
    for name in "abc":
        sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 4, 4), np.float32)), tmp_path / f"{name}.nii.gz")
    write_scene(tmp_path / "scene.mrml", volumes, shown=(0, 1, 2), center=(1, 2, 3), field_of_view=200)
    scene, _colors = load_scene(tmp_path / "scene.mrml")
    for row, (mark, orientation) in enumerate((("", "Axial"), ("+", "Coronal"))):
        for name in (f"Red{mark}", f"Green{mark}", f"Yellow{mark}"):
            node = scene.GetNodeByID(f"vtkMRMLSliceNode{name}")
            pose = node.GetSliceToRAS()
            assert node.GetOrientation() == orientation and node.GetViewGroup() == row
            assert [pose.GetElement(r, 3) for r in range(3)] == [1, 2, 3]
            assert node.GetFieldOfView()[1] == 200
            assert scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{name}").GetLinkedControl()


def test_the_command_leaves_volumes_scene_page_and_a_record(phantom_file: Path, tmp_path: Path):
    done = synthmri("demo", "--template", phantom_file, "--output", "result", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    record, output = json.loads(done.stdout), tmp_path / "result"
    assert json.loads((output / "demo.json").read_text(encoding="utf-8")) == record
    assert str(tmp_path) not in done.stdout
    assert all(0 < values["ssim"] <= 1 and values["psnr"] > 10 for values in record["figures"].values())
    assert {"Trilinear interpolation", "B-spline interpolation", record["method"]} == set(record["figures"])

    page = (output / "index.html").read_text(encoding="utf-8")
    pictures = re.findall(r'<img src="([^"]+)" alt="[^"]+"', page)
    assert len(pictures) == 4
    assert all((output / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert INTENDED_USE in page and "Louis Collins" not in page
    assert all(f"{values['psnr']:.2f}" in page for values in record["figures"].values())

    scene, _colors = load_scene(output / "SynthMRI-demo.mrml")
    nodes = [scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode") for n in range(4)]
    spacing = [round(node.GetSpacing()[0], 4) for node in nodes]
    assert spacing == [2.0, 1.0, 1.0, 1.0]
    assert all(node.GetAttribute("SynthMRI.IntendedUse") for node in nodes[:3])


def test_a_named_bundle_makes_the_enhanced_volume(phantom_file: Path, tmp_path: Path):
    bundle = make_bundle(tmp_path / "a-bundle", title="A <test> network")
    arguments = ["--template", phantom_file, "--output", "result", "--bundle", bundle.folder, "--device", "cpu"]
    done = synthmri("demo", *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) <= 6 and "A <test> network" in done.stdout
    record = json.loads((tmp_path / "result" / "demo.json").read_text(encoding="utf-8"))
    assert record["provenance"]["bundle"]["sha256"] == bundle.weights_sha256
    assert set(record["figures"]) == {"Trilinear interpolation", "B-spline interpolation", "A <test> network"}
    page = (tmp_path / "result" / "index.html").read_text(encoding="utf-8")
    assert "A &lt;test&gt; network" in page and "stands in for a network" not in page


def test_the_command_does_not_write_into_a_folder_that_holds_something(phantom_file: Path, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep", encoding="utf-8")
    done = synthmri("demo", "--template", phantom_file, "--output", "mine", folder=tmp_path)
    assert done.returncode == 2 and "--overwrite" in done.stderr and "Traceback" not in done.stderr
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]
