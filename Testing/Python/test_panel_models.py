"""Installing models in the panel: from a folder, an archive, the web with its SHA-256; deleting; DICOM export."""

from __future__ import annotations

import hashlib
import http.server
import threading
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
import pytest
from bundle_support import make_bundle
from conftest import placed_grid
from module_support import GRIDS, SUPER_RESOLUTION, head_node, node_matrix, place, read_series
from panel_support import SECONDS, result_of, select


@pytest.fixture
def desktop(slicer_desktop, slicer_scene, tmp_path, monkeypatch):
    """The desktop with the module loaded, for a user with an empty home folder."""
    assert slicer_scene.mrmlScene is not None
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SYNTHMRI_MODELS", raising=False)
    slicer_desktop.load_module(SUPER_RESOLUTION)
    return slicer_desktop


@pytest.fixture
def archive(tmp_path) -> Path:
    """A ZIP archive of a small real bundle."""
    folder = make_bundle(tmp_path / "made" / "test-network").folder
    path = tmp_path / "archive" / "test-network.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as content:
        for file in sorted(folder.rglob("*")):
            content.write(file, file.relative_to(folder.parent))
    return path


@pytest.fixture
def server(archive):
    """Address of a web server on this machine that offers the archive."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(archive.parent))) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/{archive.name}"
        running.shutdown()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def offered(panel) -> list[str]:
    return [panel.ui.bundleComboBox.itemText(n) for n in range(panel.ui.bundleComboBox.count)]


def download(desktop, panel, url: str, digest: str) -> str:
    """Press Download and return what the panel says at the end."""
    panel.ui.modelUrlLineEdit.text, panel.ui.modelHashLineEdit.text = url, digest
    desktop.process_events()
    panel.ui.downloadModelButton.click()
    assert panel.ui.downloadModelButton.text == "Cancel"
    assert desktop.wait_until(lambda: panel.ui.downloadModelButton.text == "Download", timeout=30)
    return panel.ui.modelsStatusLabel.text


def test_a_model_is_downloaded_compared_with_its_hash_offered_and_deleted(desktop, server, archive, tmp_path):
    import qt

    panel = desktop.open_module("SynthMRI")
    assert not panel.ui.downloadModelButton.enabled and "Test network" not in offered(panel)
    assert "'Test network' was added" in download(desktop, panel, server, sha256(archive).upper())
    assert "Test network" in offered(panel)
    assert not panel.ui.deleteModelButton.enabled, "'Automatic' is no model"
    select(panel.ui.bundleComboBox, "Test network")
    desktop.process_events()
    desktop.answer(qt.QMessageBox.Cancel, qt.QMessageBox.Ok)
    panel.ui.deleteModelButton.click()
    assert (tmp_path / "home" / ".synthmri" / "Models" / "test-network").is_dir()
    panel.ui.deleteModelButton.click()
    assert not list((tmp_path / "home" / ".synthmri" / "Models").iterdir())
    assert "Test network" not in offered(panel)


@pytest.mark.parametrize(
    "case, words",
    [
        ("another hash", "another SHA-256"),
        ("short hash", "must have 64 digits"),
        ("no scheme", "must begin with https"),
        ("not found", "could not be downloaded"),
        ("nobody there", "get the archive on another computer and add it from a folder"),
    ],
)
def test_a_download_that_goes_wrong_is_told_in_a_sentence_and_adds_nothing(
    desktop, server, archive, case, words, tmp_path
):
    url, digest = server, sha256(archive)
    if case == "another hash":
        digest = "0" * 64
    elif case == "short hash":
        digest = digest[:10]
    elif case == "no scheme":
        url = "models.example.org/test.zip"
    elif case == "not found":
        url = server.replace("test-network", "missing")
    else:
        url = "http://127.0.0.1:9/test-network.zip"
    panel = desktop.open_module("SynthMRI")
    assert words in download(desktop, panel, url, digest)
    assert not (tmp_path / "home" / ".synthmri").exists()


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_a_model_is_added_without_a_network(desktop, archive, kind):
    path = archive if kind == "archive" else archive.parents[1] / "made" / "test-network"
    panel = desktop.open_module("SynthMRI")
    panel.ui.modelPathLineEdit.currentPath = str(path)
    panel.ui.addModelButton.click()
    assert "'Test network' was added" in panel.ui.modelsStatusLabel.text and "Test network" in offered(panel)
    panel.ui.addModelButton.click()
    assert "is installed already" in panel.ui.modelsStatusLabel.text


@pytest.mark.parametrize(
    "name, words",
    [("../outside.txt", "leads out of its folder"), ("notes.txt", "There is no model"), (None, "neither a folder nor")],
)
def test_an_archive_that_holds_no_model_or_leads_elsewhere_is_refused(desktop, tmp_path, name, words):
    path = tmp_path / "strange.zip"
    if name is None:
        path.write_text("not an archive", encoding="utf-8")
    else:
        with zipfile.ZipFile(path, "w") as content:
            content.writestr(name, "text")
    panel = desktop.open_module("SynthMRI")
    panel.ui.modelPathLineEdit.currentPath = str(path)
    panel.ui.addModelButton.click()
    assert words in panel.ui.modelsStatusLabel.text
    assert not (tmp_path / "outside.txt").exists() and not (tmp_path / "home" / ".synthmri").exists()


def test_where_an_administrator_chooses_the_models_none_can_be_installed(desktop, tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path))
    panel = desktop.open_module("SynthMRI")
    panel.ui.modelPathLineEdit.currentPath = str(tmp_path)
    assert not panel.ui.addModelButton.enabled and "administrator" in panel.ui.modelsStatusLabel.text


@pytest.fixture
def panel_with_result(desktop):
    """The panel after a run on a node whose name would tell who it is."""
    panel = desktop.open_module("SynthMRI")
    panel.ui.exportCollapsibleButton.collapsed = False
    assert not panel.ui.exportButton.enabled
    source = head_node("Miller^Anna T1w")
    panel.logic.getParameterNode().outputVolume = result_of(source)
    desktop.process_events()
    return panel


def written(desktop, panel) -> None:
    assert desktop.wait_until(lambda: not panel.exportPanel.busy, timeout=SECONDS)


def test_a_result_is_exported_as_dicom_without_the_name_of_its_node(desktop, panel_with_result, tmp_path):
    ui = panel_with_result.ui
    desktop.answer(str(tmp_path), str(tmp_path))
    for _time in range(2):
        ui.exportButton.click()
        assert not ui.exportButton.enabled and ui.exportStatusLabel.text == "Writing the files..."
        written(desktop, panel_with_result)
    assert "36 files were written to the folder 'SYNTHETIC super-resolution 2'" in ui.exportStatusLabel.text
    (first, *_) = sorted((tmp_path / "SYNTHETIC super-resolution").iterdir())
    assert pydicom.dcmread(first).SeriesDescription == "SYNTHETIC super-resolution"
    assert b"Miller" not in first.read_bytes()


def test_an_exported_series_is_read_back_by_slicers_own_reader(desktop, panel_with_result, slicer_scene, tmp_path):
    """The storage node behind Slicer's DICOM module, on a series of a turned volume: same place, same voxels."""
    result = panel_with_result.logic.getParameterNode().outputVolume
    place(result, placed_grid((36, 40, 44), **GRIDS["oblique"]))
    desktop.answer(str(tmp_path))
    panel_with_result.ui.exportButton.click()
    written(desktop, panel_with_result)
    files = sorted((tmp_path / "SYNTHETIC super-resolution").iterdir())
    back = read_series(files)
    np.testing.assert_allclose(node_matrix(back), node_matrix(result), rtol=0, atol=1e-6)
    voxels = slicer_scene.util.arrayFromVolume(result)
    step = np.ptp(voxels) / 65535
    np.testing.assert_allclose(slicer_scene.util.arrayFromVolume(back), voxels, rtol=0, atol=step)


def test_a_red_flag_has_to_be_acknowledged_before_an_export(desktop, panel_with_result, tmp_path):
    import json

    import qt

    result = panel_with_result.logic.getParameterNode().outputVolume
    quality = {"flag": "red", "reasons": ["Too uncertain."], "rule": "red: above the limit"}
    result.SetAttribute("SynthMRI.Provenance", json.dumps({"quality": quality}))
    desktop.answer(qt.QMessageBox.Cancel, qt.QMessageBox.Ok, str(tmp_path))
    panel_with_result.ui.exportButton.click()
    assert panel_with_result.ui.exportStatusLabel.text == "Nothing was exported."
    assert "Too uncertain." in desktop.shown_dialogs[0].text and "red: above the limit" in desktop.shown_dialogs[0].text
    assert not list(tmp_path.glob("SYNTHETIC*"))
    panel_with_result.ui.exportButton.click()
    written(desktop, panel_with_result)
    assert (tmp_path / "SYNTHETIC super-resolution").is_dir()


def test_a_reference_that_is_no_dicom_file_is_told_and_nothing_is_written(desktop, panel_with_result, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("no header", encoding="utf-8")
    panel_with_result.ui.referencePathLineEdit.currentPath = str(notes)
    desktop.answer(str(tmp_path))
    panel_with_result.ui.exportButton.click()
    written(desktop, panel_with_result)
    assert "is not a DICOM file" in panel_with_result.ui.exportStatusLabel.text
    assert not list(tmp_path.glob("SYNTHETIC*"))
