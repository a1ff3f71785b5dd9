"""A reader at the panel: opens the study, presses buttons and keys, and answers by the rule of a `SimulatedReader`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from module_support import READER_STUDY
from reader_support import LESIONS, PAIR_QUESTIONS, QUESTIONS, SHAPE, SimulatedReader, a_head
from SynthMRILib.readers.creation import create_study
from SynthMRILib.readers.study import Study
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume

NEW_LESIONS = {"paradigm": "new-lesions", "prompt": "Mark the new lesions."}
ALL_QUESTIONS = {**QUESTIONS, "new": NEW_LESIONS, **PAIR_QUESTIONS}
ARMS = {"flair": "acquired", "dir": "synthetic"}
OVERLAY = {"range": [10.0, 100.0], "unit": "SD [a.u.]"}
GRID = Grid.from_spacing(SHAPE, (1, 1, 1.5))


def make_reading_study(
    folder: Path, *, subjects: int = 3, questions: dict[str, Any] | None = None, **facts: Any
) -> Study:
    """A study in `folder`/study with regions for all cases, two visits, and a map in the arm "dir"."""
    source = folder / "source"
    source.mkdir(parents=True)
    random = np.random.default_rng(5)
    cases = []
    for number in range(subjects):
        for arm in ARMS:
            name = f"patient{number:02d}_{arm}"
            roles = {"main": a_head(random), "baseline": a_head(random), "followup": a_head(random)}
            roles["regions"] = 1 + (np.indices(SHAPE)[2] // 5).clip(max=3)
            if arm == "dir":
                roles["overlay"] = np.linspace(0, 120, np.prod(SHAPE)).reshape(SHAPE)
            for role, voxels in roles.items():
                write_volume(Volume(voxels, GRID), source / f"{name}_{role}.nii.gz", synthetic=ARMS[arm] == "synthetic")
            volumes = {role: f"{name}_{role}.nii.gz" for role in roles}
            truth = {"present": number % 2 == 0, "lesions": LESIONS[: 1 + number % 3]}
            cases.append({"subject": f"patient{number:02d}", "arm": arm, "volumes": volumes, "truth": truth})
    plan = {
        "id": "panel",
        "title": "Reading at the panel",
        "seed": 4,
        "readers": ["R1", "R2", "R3"],
        "arms": ARMS,
        "questions": questions or ALL_QUESTIONS,
        "overlay": OVERLAY,
        "cases": cases,
        **facts,
    }
    (source / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return create_study(source / "plan.json", folder / "study")


def open_reading(desktop: Any) -> Any:
    """The panel of the module, loaded when it is not yet."""
    import slicer

    if not hasattr(slicer.modules, READER_STUDY.stem.lower()):
        desktop.load_module(READER_STUDY)
    return desktop.open_module("SynthMRIReaderStudy")


def press(key: str) -> None:
    """Press a key in Slicer's main window, with the keyboard focus in no field."""
    import slicer
    from PySide6.QtGui import QKeySequence
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication

    window = slicer.util.mainWindow().qt_object()
    window.activateWindow()
    window.setFocus()
    QApplication.processEvents()
    combination = QKeySequence(key)[0]
    QTest.keyClick(window, combination.key(), combination.keyboardModifiers())
    QApplication.processEvents()


def move_cursor(ras: Any) -> None:
    """Let the mouse stand at a place of a slice view, or in none."""
    import slicer

    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if ras is None:
        crosshair.SetCursorPositionInvalid()
    else:
        crosshair.SetCursorPositionRAS(ras)


class PanelReader:
    """Reads at the panel what a `SimulatedReader` would answer.

    Args:
        desktop: the stand-in for Slicer.
        panel: the opened panel.
        study: the study; its key is looked into, which only a simulation may do.
        seed: of the answers.
    """

    def __init__(self, desktop: Any, panel: Any, study: Study, *, seed: int = 0) -> None:
        self.desktop, self.panel, self.ui = desktop, panel, panel.ui
        self.study = study
        self.rule = SimulatedReader(study.read_key(), seed=seed)

    def start(self, reader: str) -> None:
        """Choose the study and the code, and press Start."""
        self.ui.studyPathLineEdit.setCurrentPath(str(self.study.folder))
        self.desktop.process_events()
        self.ui.readerComboBox.setCurrentIndex(self.ui.readerComboBox.findText(reader))
        self.desktop.process_events()
        if self.ui.roleLineEdit.visible:
            self.ui.roleLineEdit.setText("neuroradiologist")
            self.ui.yearsSpinBox.setValue(7)
        assert self.ui.startButton.enabled, self.ui.startHintLabel.text
        self.ui.startButton.click()
        self.desktop.process_events()

    def fill(self) -> dict[str, Any]:
        """Answer all questions about the case on the screen, without sending them; returns what was answered."""
        answers = self.rule(self.panel.logic.presentation)
        for name, answer in answers.items():
            widget = self.panel.readingPanel.form.widgets[name]
            if "choice" in answer:
                widget.choice.buttons[answer["choice"]].click()
                if widget.confidence is not None:
                    widget.confidence.setValue(answer["confidence"])
            elif "marks" in answer:
                self._mark(widget, answer["marks"])
            else:
                for item, points in answer.items():
                    widget.items[item].buttons[points].click()
        self.desktop.process_events()
        return answers

    def read_one(self) -> dict[str, Any]:
        """Answer the case on the screen and go to the next."""
        answers = self.fill()
        assert self.ui.nextButton.enabled, self.ui.answerHintLabel.text
        self.ui.nextButton.click()
        self.desktop.process_events()
        return answers

    def read_all(self) -> list[dict[str, Any]]:
        """Answer everything; returns what was answered, case by case."""
        answers = []
        while self.panel.logic.reading:
            answers.append(self.read_one())
        return answers

    def _mark(self, widget: Any, marks: list[dict[str, Any]]) -> None:
        """Set marks with hot keys; the question's button decides which question the keys act on."""
        widget.place_button.click()
        for mark in marks:
            move_cursor(mark["ras"])
            press(str(widget.regions.index(mark["region"]) + 1))
        widget.place_button.click()
        if not marks:
            widget.none_button.click()


@pytest.fixture
def panel(slicer_desktop, slicer_scene):
    assert slicer_scene.mrmlScene is not None
    return open_reading(slicer_desktop)


@pytest.fixture
def begin(slicer_desktop, panel, tmp_path):
    """Makes a study and lets R1 start reading it; returns the reader at the panel."""

    def start(**facts) -> PanelReader:
        reader = PanelReader(slicer_desktop, panel, make_reading_study(tmp_path, **facts))
        reader.start("R1")
        return reader

    return start


def answered(study: Study, reader: str) -> list[dict]:
    """Records of the answers that a reader has given."""
    return [record for record in study.records(reader) if record["kind"] == "answer"]
