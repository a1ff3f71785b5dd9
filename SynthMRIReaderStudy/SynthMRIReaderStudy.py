"""SynthMRI Reader Study: blinded reading of cases inside Slicer, every answer kept as it is given."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)
from SynthMRIModuleLib.module_widget import ParameterNodeWidget


class SynthMRIReaderStudy(ScriptedLoadableModule):
    """The module as Slicer lists it."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("SynthMRI Reader Study")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Image Synthesis")]
        self.parent.dependencies = ["SynthMRI"]
        self.parent.contributors = ["SynthMRI contributors"]
        self.parent.helpText = _(
            "Shows the cases of a blinded reader study one after the other and asks what the study asks. "
            "Every answer is on the disk before the next case appears. "
            "The study is made with 'synthmri readers STUDY --create PLAN.json'. Research use only, not for diagnosis."
        )
        self.parent.acknowledgementText = _("Statistics and their sources are named in the documentation.")


@parameterNodeWrapper
class SynthMRIReaderStudyParameterNode:
    """
    All choices of the panel; saved with the scene. Cases and answers never are.

    studyFolder - Path of the folder of the study.
    reader - Code of the reader.
    """

    studyFolder: str = ""
    reader: str = ""


class SynthMRIReaderStudyWidget(ParameterNodeWidget):
    """The panel: widgets to parameter node and logic, no arithmetic."""

    def setup(self) -> None:
        """Called when the user opens the module the first time."""
        from SynthMRIReaderStudyLib.reading_panel import ReadingPanel
        from SynthMRIReaderStudyLib.study_panel import StudyPanel

        ParameterNodeWidget.setup(self)
        self.showPanel("UI/SynthMRIReaderStudy.ui")
        self.logic = SynthMRIReaderStudyLogic()
        self.readingPanel = ReadingPanel(self.ui, self.logic, on_ended=self.onReadingEnded)
        self.studyPanel = StudyPanel(
            self.ui,
            self.logic,
            on_start=self.readingPanel.begin,
            on_study=self.onStudySelected,
            on_reader=self.onReaderSelected,
        )
        self.initializeParameterNode()

    def closeParts(self) -> None:
        """The panel is about to go."""
        self.readingPanel.close()

    def exit(self) -> None:
        """Called each time the user opens a different module: the reading pauses, the case disappears."""
        self.readingPanel.pause()
        ParameterNodeWidget.exit(self)

    def onSceneStartClose(self, _caller=None, _event=None) -> None:
        """Called just before the scene is closed."""
        self.readingPanel.pause()
        ParameterNodeWidget.onSceneStartClose(self)

    def updatePanel(self, _caller=None, _event=None) -> None:
        """Show what can be done with the study and the reader in the parameter node."""
        node = self._parameterNode
        if node and not self.logic.reading:
            self.studyPanel.offer(node.studyFolder, node.reader)

    def onStudySelected(self, folder: str) -> None:
        """Somebody has chosen another folder."""
        if self._parameterNode:
            self._parameterNode.studyFolder = folder

    def onReaderSelected(self, reader: str) -> None:
        """Somebody has chosen a reader's code."""
        if self._parameterNode:
            self._parameterNode.reader = reader

    def onReadingEnded(self) -> None:
        """The reader has paused or is through."""
        self.studyPanel.refresh()


class SynthMRIReaderStudyLogic(ScriptedLoadableModuleLogic):
    """Reading, locking and reporting of a study, with or without a panel.

    In a script: `logic.startReading(logic.openStudy(folder), "R1")`, then `logic.answer({...})` until it returns None.
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._display: Any = None
        self._session: Any = None
        self.presentation: Any = None

    def getParameterNode(self) -> SynthMRIReaderStudyParameterNode:
        return SynthMRIReaderStudyParameterNode(super().getParameterNode())

    @property
    def reading(self) -> bool:
        """True while a case is on the screen."""
        return self.presentation is not None

    @property
    def progress(self) -> tuple[int, int]:
        """How many presentations the reader has answered, and how many there are; zeros while nobody reads."""
        return (self._session.done, self._session.total) if self._session else (0, 0)

    @property
    def receipt(self) -> str:
        """Hash of all answers so far."""
        return self._session.receipt if self._session else ""

    @property
    def overlayScale(self) -> dict[str, Any] | None:
        """Fixed scale of the maps ("range", "unit") of the study that is read; None when it has none."""
        return self._session.study.protocol.get("overlay") if self._session else None

    @property
    def hasOverlay(self) -> bool:
        """Whether the case on the screen comes with a map."""
        return self._display is not None and self._display.has_overlay

    def openStudy(self, folder: Path | str) -> Any:
        """A study folder, checked. Raises InputError when there is none."""
        from SynthMRILib.readers.study import Study

        return Study(folder)

    def isNewReader(self, study: Any, reader: str) -> bool:
        """Whether this reader has answered nothing yet, so that the profile is asked for."""
        return reader in study.readers and not study.is_locked and not study.answers_path(reader).exists()

    def startReading(self, study: Any, reader: str, profile: dict[str, Any] | None = None) -> Any:
        """Show the first case that the reader has not answered; None when there is none left.

        :param profile: "role" and "years" of experience, kept when the reader begins.

        Raises InputError when the study is locked, is open elsewhere, or the wash-out is not over.
        """
        from SynthMRILib.readers.responses import ReaderSession
        from SynthMRIReaderStudyLib.case_display import CaseDisplay

        self.pauseReading()
        self._session = ReaderSession(study, reader, profile=profile)
        self._display = CaseDisplay()
        return self._showNext()

    def answer(self, answers: dict[str, Any], comment: str = "") -> Any:
        """Record the answers by question and show the next case; None when all are done.

        Raises InputError. When the answers were refused, `reading` stays True and nothing was recorded; when the next
        case cannot be shown, they are recorded and the reading has ended.
        """
        self._session.answer(answers, comment=comment)
        return self._showNext()

    def setOverlayVisible(self, visible: bool) -> None:
        """Lay the map of the case over it, or take it away; the time is recorded with the answer."""
        if self.reading:
            self._display.set_overlay(visible)
            self._session.set_overlay(visible and self.hasOverlay)

    def proposedRegion(self, ras: Sequence[float], names: Sequence[str]) -> str | None:
        """Region of a place in RAS [mm] from the label volume of the case, or None."""
        return self._display.proposed_region(ras, names) if self.reading else None

    def pauseReading(self) -> None:
        """Take the case away and close the reader's file; harmless when nobody reads."""
        self.presentation = None
        if self._display is not None:
            self._display.hide()
        if self._session is not None:
            self._session.close()
        self._display = self._session = None

    def lockStudy(self, study: Any, incomplete: bool = False) -> dict[str, Any]:
        """End the reading for good. Raises InputError when answers are missing and `incomplete` is False."""
        return study.lock(incomplete=incomplete)

    def writeReport(self, study: Any, keyPath: Path | str | None = None) -> Path:
        """Unblind a locked study and write its report beside it, in place of an older one; returns the page."""
        from SynthMRILib.readers.report import write_report

        folder = study.folder.resolve()
        output = folder.with_name(f"{folder.name}-report")
        write_report(study, output, key_path=Path(keyPath) if keyPath else None, overwrite=True)
        return output / "report.html"

    def close(self) -> None:
        """The module is about to go."""
        self.pauseReading()

    def _showNext(self) -> Any:
        """The reading time starts when the case is there, not while it is loaded."""
        try:
            upcoming = self._session.upcoming()
            if upcoming is not None:
                self._display.show(self._session.study, upcoming)
            else:
                self._display.hide()
            self.presentation = self._session.show()
        except Exception:
            self.pauseReading()
            raise
        return self.presentation


class SynthMRIReaderStudyTest(ScriptedLoadableModuleTest):
    """Self-test that needs neither a network, a graphics card nor a download."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        self.setUp()
        self.test_reading()

    def test_reading(self) -> None:
        """One reader answers a study of two cases, and the scene is as it was."""
        import json
        import tempfile

        from SynthMRILib.readers.creation import create_study
        from SynthMRILib.volume import Grid, Volume
        from SynthMRILib.volume_io import write_volume

        self.delayDisplay("Starting the test")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            plan = {
                "id": "self-test",
                "title": "Self-test",
                "seed": 1,
                "readers": ["R1"],
                "arms": {"a": "acquired", "b": "synthetic"},
                "questions": {"real": {"paradigm": "real-or-synthetic", "prompt": "Is this volume real?"}},
                "cases": [
                    {"subject": f"s{n}", "arm": arm, "volumes": {"main": f"{arm}.nii.gz"}} for n, arm in enumerate("ab")
                ],
            }
            for level, (arm, kind) in enumerate(plan["arms"].items(), start=1):
                voxels = np.random.default_rng(level).uniform(0, 100, (12, 12, 12))
                volume = Volume(voxels, Grid.from_spacing((12, 12, 12), (1, 1, 1)))
                write_volume(volume, folder / f"{arm}.nii.gz", synthetic=kind == "synthetic")
            (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
            study = create_study(folder / "plan.json", folder / "study")
            logic = SynthMRIReaderStudyLogic()
            before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
            presentation = logic.startReading(study, "R1")
            while presentation is not None:
                presentation = logic.answer({"real": {"choice": "real", "confidence": 50}})
            logic.close()
            self.assertEqual(study.missing("R1"), 0)
            self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"), before)
        self.delayDisplay("Test passed")
