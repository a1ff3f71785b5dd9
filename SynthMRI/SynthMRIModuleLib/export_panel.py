"""The part of a panel that exports the selected result as a derived DICOM series."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from .background_call import BackgroundCall
from .export_reference import SourceFacts, checked_reference
from .node_volume import voxels_on_node
from .quality import reason_for_caution
from .result_nodes import TASK_ATTRIBUTE, is_synthetic, provenance_of, source_of

if TYPE_CHECKING:
    from SynthMRILib.volume import Volume

#: Longest time [s] that the application is kept from closing while files are written.
LONGEST_WAIT = 120.0
#: How the name of the folder begins in which a series is written before it is moved to its place as a whole.
STAGING = ".synthmri-export-"


class ExportPanel(VTKObservationMixin):
    """Connects the widgets of the section "Export to DICOM". A thread writes the files.

    The file whose patient and study are copied is chosen for one acquired volume: it is forgotten when the scene is
    closed, and when a result of another volume is offered.

    Args:
        ui: widgets by name: referencePathLineEdit, referenceFactsLabel, exportButton, exportStatusLabel.
    """

    def __init__(self, ui: Any) -> None:
        VTKObservationMixin.__init__(self)
        self._ui = ui
        self._result: slicer.vtkMRMLScalarVolumeNode | None = None
        self._source_id = ""
        self._looked_at: tuple[str, str] = ("", "")
        self._writing, self._reading = BackgroundCall(), BackgroundCall()
        ui.exportButton.connect("clicked()", self._on_export)
        ui.referencePathLineEdit.connect("currentPathChanged(QString)", self._on_path)
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.EndCloseEvent, self._on_scene_closed)
        self.offer(None)
        self._say("")
        self._say_whose("")

    @property
    def busy(self) -> bool:
        """True while files are written."""
        return self._writing.running

    @property
    def reading(self) -> bool:
        """True while it is found out whose patient and study would be copied."""
        return self._reading.running

    def offer(self, result: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Offer to export this result; off without one."""
        self._result = result if is_synthetic(result) else None
        self._follow_source()
        reason = _("There is no result to export yet.") if self._result is None else ""
        self._ui.referencePathLineEdit.enabled = not reason
        if self.busy:
            reason = _("Files are being written.")
        self._ui.exportButton.enabled = not reason
        self._ui.exportButton.toolTip = reason or _(
            "Write the selected result as a derived DICOM series that says it is synthetic."
        )

    def close(self) -> None:
        """The panel is about to go, maybe with the application: wait for files that are being written."""
        self.removeObservers()
        self._reading.forget()
        self._writing.forget()
        if not self._writing.wait(LONGEST_WAIT):
            logging.warning("SynthMRI: an export takes too long to wait for it; it is complete or not there at all")

    def _follow_source(self) -> None:
        """Forget whose patient was to be copied when the result comes from another volume than the one before."""
        if self._result is None:
            return
        source = source_of(self._result)
        source_id = source.GetID() if source is not None else ""
        if source_id != self._source_id:
            self._source_id = source_id
            self._forget_reference()
        self._look_at_reference()

    def _on_scene_closed(self, _caller: Any = None, _event: Any = None) -> None:
        """Nodes of the next scene have the names and numbers of those of this one."""
        self._source_id = ""
        self._forget_reference()

    def _forget_reference(self) -> None:
        if self._ui.referencePathLineEdit.currentPath:
            self._ui.referencePathLineEdit.currentPath = ""
            self._say(_("The acquired series was cleared: it was chosen for another volume."))

    def _on_path(self, _path: str) -> None:
        self._look_at_reference()

    def _look_at_reference(self) -> None:
        """Have a thread find out whose patient and study would be copied, unless that is known or nothing would be."""
        path = self._ui.referencePathLineEdit.currentPath
        wanted = (path, self._result.GetID()) if path and self._result is not None else ("", "")
        if wanted == self._looked_at:
            return
        self._looked_at = wanted
        self._reading.forget()
        self._say_whose("")
        if not wanted[0]:
            return
        from SynthMRILib.errors import SynthMRIError

        try:
            source = SourceFacts.of(self._result)
        except SynthMRIError as error:
            self._say_whose(str(error))
            return
        self._say_whose(_("Reading the file..."))
        self._reading.start(lambda: checked_reference(Path(path), source), self._say_whose, self._not_read)

    def _not_read(self, error: Exception) -> None:
        """Nothing of it is logged: what went wrong may quote the header."""
        from SynthMRILib.errors import SynthMRIError

        known = isinstance(error, SynthMRIError)
        self._say_whose(str(error) if known else _("The file cannot be read. Choose another one of the series."))

    def _on_export(self) -> None:
        caution = reason_for_caution(self._result)
        if caution and not slicer.util.confirmOkCancelDisplay(
            _("{reason}\n\nExport the volume all the same?").format(reason=caution), windowTitle=_("Export to DICOM")
        ):
            self._say(_("Nothing was exported."))
            return
        parent = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Choose where the folder of the new series is made")
        )
        if parent:
            self._export(parent, self._ui.referencePathLineEdit.currentPath)

    def _export(self, parent: str, reference: str) -> None:
        from SynthMRILib.errors import SynthMRIError

        try:
            work = export_work(self._result, Path(parent), reference=reference)
        except SynthMRIError as error:
            self._failed(error)
            return
        self._say(_("Writing the files..."))
        self._writing.start(work, self._exported, self._failed)
        self.offer(self._result)

    def _exported(self, files: list[Path]) -> None:
        words = _("{count} files were written to the folder '{name}'.")
        self._say(words.format(count=len(files), name=files[0].parent.name))
        self.offer(self._result)

    def _failed(self, error: Exception) -> None:
        """A sentence that says why; anything else is a fault of ours, or of the disk, and logged.

        The log tells where, not in which words: those may quote the header of the acquired series.
        """
        from SynthMRILib.errors import SynthMRIError

        if isinstance(error, SynthMRIError):
            self._say(str(error))
        else:
            self._say(_("The files could not be written: {reason}").format(reason=error))
            where = "".join(traceback.format_tb(error.__traceback__))
            logging.error("SynthMRI: the export failed with %s\n%s", type(error).__name__, where)
        self.offer(self._result)

    def _say(self, message: str) -> None:
        self._ui.exportStatusLabel.text = message
        self._ui.exportStatusLabel.visible = bool(message)

    def _say_whose(self, words: str) -> None:
        self._ui.referenceFactsLabel.text = words
        self._ui.referenceFactsLabel.visible = bool(words)


def export_work(node: slicer.vtkMRMLScalarVolumeNode, parent: Path, *, reference: str = "") -> Callable[[], list[Path]]:
    """What writes a result as a derived DICOM series into a new folder below `parent`, and gives its files.

    It knows no MRML. The node's own coordinates are written, without transforms it is under: they are those of the
    acquired series, so that both share one frame of reference. Its name is not written: it could name a patient.

    Args:
        reference: a DICOM file of the acquired series, whose patient and study are copied; "" for none. The work
            refuses one that does not belong to the acquired volume.

    Raises InputError for a reference where the acquired volume is not in the scene.
    """
    task = node.GetAttribute(TASK_ATTRIBUTE) or "volume"
    voxels, provenance = voxels_on_node(node), provenance_of(node)
    source = SourceFacts.of(node) if reference else None

    def work() -> list[Path]:
        if source is not None:
            checked_reference(Path(reference), source)
        return _write_whole(
            voxels.volume(), parent, description=task, provenance=provenance, reference=reference or None
        )

    return work


def _write_whole(volume: Volume, parent: Path, *, description: str, **more: Any) -> list[Path]:
    """Write a series to a new folder below `parent` that is complete as soon as it is there.

    It is written elsewhere first, in a folder that is removed whatever happens: at the latest by the next export to the
    same place, should the application end meanwhile. Its files may name a patient.
    """
    from SynthMRILib.dicom_export import write_dicom_series
    from SynthMRILib.jobs.folders import JobFolder, remove_abandoned

    name = f"SYNTHETIC {description}"
    remove_abandoned(parent, prefix=STAGING)
    try:
        staging = JobFolder(parent, prefix=STAGING)
    except OSError as error:
        raise _not_written(name, error) from error
    try:
        files = write_dicom_series(volume, staging.path / name, description=description, **more)
        folder = (staging.path / name).rename(_new_folder(parent, name))
        return [folder / file.name for file in files]
    except OSError as error:
        raise _not_written(name, error) from error
    finally:
        staging.remove()


def _not_written(name: str, error: OSError) -> Exception:
    from SynthMRILib.errors import ResourceError

    return ResourceError(
        _("'{name}' could not be written: {reason}.").format(name=name, reason=error.strerror or error)
    )


def _new_folder(parent: Path, name: str) -> Path:
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name} {number}"
    return folder
