"""slicer.dicomDatabase: the tags of real DICOM files in a folder, kept in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
from PySide6.QtCore import QObject, Slot

from ..widgets.completion import completed


@completed("ctkDICOMDatabase")
class DICOMDatabase(QObject):
    """What modules ask of Slicer's database about files that were imported."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._files: dict[str, tuple[Path, Any]] = {}

    def import_folder(self, folder: Path) -> None:
        """Read the headers of all files below a folder (in Slicer the DICOM browser does so)."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            header = pydicom.dcmread(path, stop_before_pixels=True)
            self._files[str(header.SOPInstanceUID)] = path, header

    @Slot(str, str, result=str)
    def instanceValue(self, instance: str, tag: str) -> str:
        """A tag such as "0008,103e" as text; empty when the file or the tag is not there."""
        _path, header = self._files.get(instance, (None, {}))
        element = header.get(tuple(int(part, 16) for part in tag.split(",")))
        return "" if element is None else str(element.value)

    @Slot(str, result=str)
    def fileForInstance(self, instance: str) -> str:
        return str(self._files[instance][0]) if instance in self._files else ""
