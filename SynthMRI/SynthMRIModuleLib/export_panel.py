"""The part of a panel that exports the selected result as a derived DICOM series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .node_volume import volume_from_node
from .quality import reason_for_caution
from .result_nodes import TASK_ATTRIBUTE, is_synthetic, provenance_of


class ExportPanel:
    """Connects the widgets of the section "Export to DICOM".

    Args:
        ui: widgets by name: referencePathLineEdit, exportButton, exportStatusLabel.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._result: slicer.vtkMRMLScalarVolumeNode | None = None
        ui.exportButton.connect("clicked()", self._on_export)
        self.offer(None)
        self._say("")

    def offer(self, result: slicer.vtkMRMLScalarVolumeNode | None) -> None:
        """Offer to export this result; off without one."""
        self._result = result if is_synthetic(result) else None
        self._ui.exportButton.enabled = self._result is not None
        self._ui.exportButton.toolTip = (
            _("Write the selected result as a derived DICOM series that says it is synthetic.")
            if self._result is not None
            else _("There is no result to export yet.")
        )

    def _on_export(self) -> None:
        from SynthMRILib.errors import SynthMRIError

        caution = reason_for_caution(self._result)
        if caution and not slicer.util.confirmOkCancelDisplay(
            _("{reason}\n\nExport the volume all the same?").format(reason=caution), windowTitle=_("Export to DICOM")
        ):
            self._say(_("Nothing was exported."))
            return
        parent = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Choose where the folder of the new series is made")
        )
        if not parent:
            return
        with slicer.util.tryWithErrorDisplay(_("Failed to export."), waitCursor=True):
            try:
                files = export_result(self._result, Path(parent), reference=self._ui.referencePathLineEdit.currentPath)
            except SynthMRIError as error:
                self._say(str(error))
                return
            self._say(
                _("{count} files were written to the folder '{name}'.").format(
                    count=len(files), name=files[0].parent.name
                )
            )

    def _say(self, message: str) -> None:
        self._ui.exportStatusLabel.text = message
        self._ui.exportStatusLabel.visible = bool(message)


def export_result(node: slicer.vtkMRMLScalarVolumeNode, parent: Path, *, reference: str = "") -> list[Path]:
    """Write a result as a derived DICOM series into a new folder below `parent`; returns its files.

    The node's own coordinates are written, without transforms it is under: they are those of the acquired series, so
    that both share one frame of reference. Its name is not written: it could name a patient.
    """
    from SynthMRILib.dicom_export import write_dicom_series

    task = node.GetAttribute(TASK_ATTRIBUTE) or "volume"
    return write_dicom_series(
        volume_from_node(node),
        _new_folder(parent, f"SYNTHETIC {task}"),
        description=task,
        provenance=provenance_of(node),
        reference=reference or None,
    )


def _new_folder(parent: Path, name: str) -> Path:
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name} {number}"
    return folder
