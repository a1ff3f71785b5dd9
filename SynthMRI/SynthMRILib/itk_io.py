"""NRRD (.nrrd, .nhdr) and MetaImage (.mha, .mhd) volumes through SimpleITK.

Both formats write geometry as decimal text of 17 digits, so that a 64-bit matrix survives (measured: 3e-13 mm).
SimpleITK speaks LPS (Left, Posterior, Superior positive); SynthMRI and Slicer speak RAS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .findings import raise_on_error
from .input_checks import check_layout
from .synthetic_marks import NOTICE_FIELD, PROVENANCE_FIELD, in_fields
from .volume import Grid, Volume

READERS = {".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"}
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
LONGEST_HEADER = 1 << 20
_SPACING_LINE = re.compile(rb"^(?:spacings|ElementSpacing|ElementSize)\s*[:=]\s*(.+?)\s*$", re.MULTILINE)
_HEADER_END = re.compile(rb"\r?\n\r?\n|^ElementDataFile.*$", re.MULTILINE)


def read_itk(path: Path) -> Volume:
    """The volume in an NRRD or MetaImage file. Raises InputError with a sentence when it cannot be used."""
    _check_declared_spacing(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(READERS[path.suffix.lower()])
    reader.SetFileName(str(path))
    with quiet_simpleitk():
        try:
            reader.ReadImageInformation()
            raise_on_error(check_layout(reader.GetSize(), reader.GetNumberOfComponents()))
            image = reader.Execute()
        except RuntimeError as error:
            raise InputError(
                f"'{path.name}' is damaged or incomplete, or of another format; export it again."
            ) from error
    return volume_from_image(image, _facts(image, path))


def write_itk(volume: Volume, path: Path, *, notice: str, provenance: dict[str, Any] | None) -> None:
    """Write float32 voxels, compressed without loss. Raises RuntimeError when SimpleITK could not."""
    image = image_from_volume(volume)
    if notice:
        image.SetMetaData(NOTICE_FIELD, notice)
    if provenance is not None:
        image.SetMetaData(PROVENANCE_FIELD, json.dumps(provenance))
    writer = sitk.ImageFileWriter()
    writer.SetImageIO(READERS[path.suffix.lower()])
    writer.SetFileName(str(path))
    writer.SetUseCompression(True)
    with quiet_simpleitk():
        writer.Execute(image)


def volume_from_image(image: sitk.Image, header: dict[str, Any]) -> Volume:
    """A volume from a scalar 3D SimpleITK image; trailing axes of one voxel are dropped."""
    voxels = sitk.GetArrayViewFromImage(image)
    voxels = voxels.reshape(voxels.shape[-3:])
    count = image.GetDimension()
    directions = np.array(image.GetDirection()).reshape(count, count)[:3, :3]
    matrix = np.eye(4)
    matrix[:3, :3] = LPS_TO_RAS @ directions * np.array(image.GetSpacing()[:3])
    matrix[:3, 3] = LPS_TO_RAS @ np.array(image.GetOrigin()[:3])
    with np.errstate(over="ignore"):
        return Volume(voxels.astype(np.float32), Grid(voxels.shape, matrix), header)


def image_from_volume(volume: Volume) -> sitk.Image:
    """A SimpleITK image with the voxels and the place of a volume."""
    image = sitk.GetImageFromArray(volume.voxels)
    image.SetSpacing(volume.grid.spacing)
    image.SetDirection((LPS_TO_RAS @ volume.grid.directions).ravel())
    image.SetOrigin(LPS_TO_RAS @ np.array(volume.grid.origin))
    return image


@contextmanager
def quiet_simpleitk() -> Iterator[None]:
    """Keep SimpleITK's warnings, which hold whole paths, off the terminal."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _check_declared_spacing(path: Path) -> None:
    """Refuse a spacing that is not positive: SimpleITK would silently use another one."""
    with path.open("rb") as file:
        start = file.read(LONGEST_HEADER)
    end = _HEADER_END.search(start)
    for match in _SPACING_LINE.finditer(start[: end.end()] if end else b""):
        declared = match.group(1).decode("ascii", "replace").split()
        if not all(_is_positive(value) for value in declared[:3]):
            shown = " x ".join(declared[:3])
            raise InputError(f"'{path.name}' has a spacing of {shown} mm, which must be positive; correct its header.")


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < np.inf
    except ValueError:
        return False


def _facts(image: sitk.Image, path: Path) -> dict[str, Any]:
    """What the file says that is worth keeping and names nobody."""
    is_nrrd = READERS[path.suffix.lower()] == "NrrdImageIO"
    facts = {"Format": "NRRD" if is_nrrd else "MetaImage", "PixelType": sitk.GetArrayViewFromImage(image).dtype.name}
    keys = image.GetMetaDataKeys()
    modality = image.GetMetaData("Modality") if "Modality" in keys else ""
    if modality.startswith("MET_MOD_") and modality not in ("MET_MOD_UNKNOWN", "MET_MOD_OTHER"):
        facts["Modality"] = modality.removeprefix("MET_MOD_")
    if in_fields({key: image.GetMetaData(key) for key in keys}):
        facts["Synthetic"] = True
    if is_nrrd and "NRRD_space" not in keys:
        facts["OrientationUnknown"] = True
    return facts
