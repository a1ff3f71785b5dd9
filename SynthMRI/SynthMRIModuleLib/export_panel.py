"""The part of a panel that exports the selected result as a derived DICOM series."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .background_call import BackgroundCall
from .node_volume import voxels_on_node
from .quality import reason_for_caution
from .result_nodes import TASK_ATTRIBUTE, is_synthetic, provenance_of


class ExportPanel:
    """Connects the widgets of the section "Export to DICOM". A thread writes the files.

    Args:
        ui: widgets by name: referencePathLineEdit, exportButton, exportStatusLabel.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._result: slicer.vtkMRMLScalarVolumeNode | None = None
        self._writing = BackgroundCall()
        ui.exportButton.connect("clicked()", self._on_export)
        self.offer(None)
        self._say("")

    @property
    def busy(self) -> bool:
        """True while files are written."""
        return self._writing.running

    def offer(self, result: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Offer to export this result; off without one."""
        self._result = result if is_synthetic(result) else None
        reason = _("There is no result to export yet.") if self._result is None else ""
        if self.busy:
            reason = _("Files are being written.")
        self._ui.exportButton.enabled = not reason
        self._ui.exportButton.toolTip = reason or _(
            "Write the selected result as a derived DICOM series that says it is synthetic."
        )

    def close(self) -> None:
        """The panel is about to go; files that are being written will be there all the same."""
        self._writing.forget()

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
            self._say(_("Writing the files..."))
            work = export_work(self._result, Path(parent), reference=self._ui.referencePathLineEdit.currentPath)
            self._writing.start(work, self._exported, self._failed)
            self.offer(self._result)

    def _exported(self, files: list[Path]) -> None:
        words = _("{count} files were written to the folder '{name}'.")
        self._say(words.format(count=len(files), name=files[0].parent.name))
        self.offer(self._result)

    def _failed(self, error: Exception) -> None:
        """A sentence that says why; anything else is a fault of ours, or of the disk, and logged."""
        from SynthMRILib.errors import SynthMRIError

        if isinstance(error, SynthMRIError):
            self._say(str(error))
        else:
            self._say(_("The files could not be written: {reason}").format(reason=error))
            logging.error("SynthMRI: the export failed", exc_info=error)
        self.offer(self._result)

    def _say(self, message: str) -> None:
        self._ui.exportStatusLabel.text = message
        self._ui.exportStatusLabel.visible = bool(message)


def export_work(node: slicer.vtkMRMLScalarVolumeNode, parent: Path, *, reference: str = "") -> Callable[[], list[Path]]:
    """What writes a result as a derived DICOM series into a new folder below `parent`, and gives its files.

    It knows no MRML. The node's own coordinates are written, without transforms it is under: they are those of the
    acquired series, so that both share one frame of reference. Its name is not written: it could name a patient.
    """
    from SynthMRILib.dicom_export import write_dicom_series

    task = node.GetAttribute(TASK_ATTRIBUTE) or "volume"
    voxels, provenance = voxels_on_node(node), provenance_of(node)
    return lambda: write_dicom_series(
        voxels.volume(),
        _new_folder(parent, f"SYNTHETIC {task}"),
        description=task,
        provenance=provenance,
        reference=reference or None,
    )


def _new_folder(parent: Path, name: str) -> Path:
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name} {number}"
    return folder
