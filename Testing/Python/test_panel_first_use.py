"""The first Apply: packages are asked for, installed by a pip that only records, declined, offline, or under way.

With SLICER_SOURCE naming a checkout of Slicer, this runs on Slicer's own packaging.py.
"""

from __future__ import annotations

import json
from importlib import metadata

import pytest
from bundle_support import make_bundle
from module_support import SUPER_RESOLUTION, head_node, scene_facts
from panel_support import SECONDS, checked, press_apply, run_to_the_end, select

#: Packages that Slicer brings, or that the PyTorch extension installs: pip must never hear of them.
NEVER_NAMED = ("numpy", "scipy", "simpleitk", "torch")


@pytest.fixture
def panel(slicer_desktop, slicer_scene, tmp_path, monkeypatch):
    """The panel of a user who has a model but lacks one of the packages it needs."""
    assert slicer_scene.mrmlScene is not None
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    make_bundle(tmp_path / "models" / "test-network")
    real_version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: lacking(name, real_version))
    slicer_desktop.load_module(SUPER_RESOLUTION)
    head_node(shape=(16, 18, 20))
    return slicer_desktop.open_module("SynthMRI")


def lacking(name: str, real_version) -> str:
    if name == "safetensors":
        raise metadata.PackageNotFoundError(name)
    return real_version(name)


def pip_that(tmp_path, monkeypatch, script: str) -> None:
    """A PythonSlicer whose pip records its command in pip.txt and then does what `script` says."""
    launcher = tmp_path / "bin" / "PythonSlicer"
    launcher.parent.mkdir(exist_ok=True)
    launcher.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/pip.txt"\n{script}\n', encoding="utf-8")
    launcher.chmod(0o755)
    monkeypatch.setenv("PATH", str(launcher.parent), prepend=":")


def test_nothing_is_asked_before_the_first_apply(panel, slicer_desktop):
    slicer_desktop.leave_module("SynthMRI")
    slicer_desktop.open_module("SynthMRI")
    assert checked(slicer_desktop, panel).ui.applyButton.enabled
    assert not slicer_desktop.shown_dialogs and not slicer_desktop.home.pip_calls()


def test_a_user_who_declines_keeps_a_working_panel_and_is_asked_again(panel, slicer_desktop):
    import qt

    before = scene_facts()
    slicer_desktop.answer(qt.QMessageBox.Cancel, qt.QMessageBox.Cancel)
    for times in (1, 2):
        press_apply(slicer_desktop, panel)
        assert "Press Apply again to install them" in panel.ui.statusLabel.text
        assert panel.ui.applyButton.text == "Apply" and panel.ui.applyButton.enabled and not panel.logic.running
        assert len(slicer_desktop.shown_dialogs) == times
    assert not slicer_desktop.home.pip_calls() and scene_facts() == before
    select(panel.ui.methodComboBox, "B-spline interpolation")
    run_to_the_end(slicer_desktop, panel)
    assert panel.ui.statusLabel.text.startswith("Done"), "the way back that was named works"


def test_pip_is_asked_for_what_is_missing_and_for_nothing_slicer_brings(panel, slicer_desktop):
    import qt

    slicer_desktop.answer(qt.QMessageBox.Ok)
    press_apply(slicer_desktop, panel)
    (call,) = slicer_desktop.home.pip_calls()
    assert call[0] == "install" and any("safetensors" in argument for argument in call)
    named = json.dumps(call).lower()
    assert not [name for name in NEVER_NAMED if name in named]
    asked = slicer_desktop.shown_dialogs[0]
    assert "safetensors" in asked.text + asked.detail


def test_packages_are_installed_from_the_windows_own_thread(panel, slicer_desktop, slicer_scene, monkeypatch):
    import threading

    import qt

    threads = []
    real = slicer_scene.packaging.pip_ensure

    def record(*arguments, **options):
        threads.append(threading.current_thread())
        return real(*arguments, **options)

    monkeypatch.setattr(slicer_scene.packaging, "pip_ensure", record)
    slicer_desktop.answer(qt.QMessageBox.Ok)
    press_apply(slicer_desktop, panel)
    assert threads == [threading.main_thread()]


@pytest.mark.parametrize("agrees", [True, False])
def test_slicer_before_5_11_asks_a_plain_question_first(panel, slicer_desktop, slicer_scene, monkeypatch, agrees):
    """Slicer 5.10 has no `slicer.packaging`."""
    import qt
    from SynthMRIModuleLib import dependencies

    monkeypatch.setattr(dependencies, "_has_slicer_packaging", lambda: False)
    asked: list[str] = []
    monkeypatch.setattr(slicer_scene.util, "pip_install", asked.append)
    slicer_desktop.answer(qt.QMessageBox.Ok if agrees else qt.QMessageBox.Cancel)
    press_apply(slicer_desktop, panel)
    (dialog,) = slicer_desktop.shown_dialogs
    assert "safetensors" in dialog.text and not [name for name in NEVER_NAMED if name in dialog.text.lower()]
    assert [line for lines in asked for line in lines] == (dialog.text.split("\n\n")[1].split("\n") if agrees else [])
    assert "Press Apply again to install them" in panel.ui.statusLabel.text, "it is still missing"


def test_without_a_connection_the_user_is_told_how_to_go_on(panel, slicer_desktop, tmp_path, monkeypatch):
    import qt

    pip_that(tmp_path, monkeypatch, 'echo "Could not find a version (no network)" >&2\nexit 1')
    slicer_desktop.answer(qt.QMessageBox.Ok)
    press_apply(slicer_desktop, panel)
    assert "Check the connection and press Apply again" in panel.ui.statusLabel.text
    assert panel.ui.applyButton.text == "Apply" and panel.ui.applyButton.enabled and not panel.logic.running
    assert "install" in (tmp_path / "pip.txt").read_text(encoding="utf-8")


def test_while_packages_are_being_installed_no_second_installation_begins(
    panel, slicer_desktop, slicer_scene, tmp_path, monkeypatch
):
    pip_that(tmp_path, monkeypatch, "sleep 3")
    ended = []
    slicer_scene.packaging.pip_install(
        "some-package", blocking=False, show_progress=False, completedCallback=ended.append
    )
    press_apply(slicer_desktop, panel)
    assert "are being installed already" in panel.ui.statusLabel.text and not slicer_desktop.shown_dialogs
    assert slicer_desktop.wait_until(lambda: bool(ended), timeout=SECONDS)
    assert len((tmp_path / "pip.txt").read_text(encoding="utf-8").splitlines()) == 1


def test_what_is_installed_is_used_without_a_connection(panel, slicer_desktop, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("SYNTHMRI_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PATH", f"{slicer_desktop.home.programs}", prepend=":")
    run_to_the_end(slicer_desktop, panel)
    assert panel.ui.statusLabel.text.startswith("Done"), panel.ui.statusLabel.text
    assert not slicer_desktop.shown_dialogs and not slicer_desktop.home.pip_calls()
