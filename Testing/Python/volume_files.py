"""Small volume files, sound and broken, as other programs and accidents write them."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from conftest import placed_grid
from SynthMRILib import volume_io
from SynthMRILib.errors import InputError
from SynthMRILib.volume import Grid

SHAPE = (18, 20, 22)

FORMATS = tuple(volume_io.READERS)

SHEAR = np.array([[1, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])

GRIDS = {
    "axis-aligned": placed_grid(SHAPE, spacing=(1, 1.2, 2), origin=(-12, -13, -20)),
    "oblique": placed_grid(SHAPE, spacing=(0.7, 0.9, 3.3), rotation=(11, -28, 163), origin=(83.21, -141.7, 57.33)),
    "left-handed": placed_grid(SHAPE, spacing=(1, 1, 1), left_handed=True, origin=(90.3, -126, -72)),
    "oblique left-handed": placed_grid(
        SHAPE, spacing=(0.41, 0.52, 0.63), rotation=(170, 40, -101), origin=(83.21, -141.7, 57.33), left_handed=True
    ),
    "sub-millimetre": placed_grid(SHAPE, spacing=(0.1234567, 0.2345678, 0.3456789), rotation=(0.01, 0.02, 89.97)),
    "half turn": placed_grid(SHAPE, spacing=(1, 1, 1), rotation=(180, 0.001, 0), origin=(1 / 3, 2 / 3, 1e-7)),
    "far away": placed_grid(SHAPE, spacing=(1, 1, 1), rotation=(5, 6, 7), origin=(3210.123456789, -2000.2, 1999.9)),
    "sheared within tolerance": Grid(SHAPE, np.array([[1, 5e-4, 0, 3], [0, 1, 0, 4], [0, 0, 1, 5], [0, 0, 0, 1]])),
}


def error_of(action, *arguments, **options) -> str:
    """The sentence of the error, which must be one and must not tell where on the disk the file lies."""
    with pytest.raises(InputError) as caught:
        action(*arguments, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert ". " not in message, "one sentence"
    assert "pytest" not in message, "a path"
    return message


def save_nifti(path, voxels, affine=None, *, sform=None, qform=None, **fields) -> Path:
    """A file by nibabel; `sform` and `qform` are (matrix, code)."""
    image = nibabel.Nifti1Image(voxels, affine)
    for key, value in fields.items():
        image.header[key] = value
    for setter, form in ((image.set_sform, sform), (image.set_qform, qform)):
        if form is not None:
            setter(*form, update_affine=False)
    nibabel.save(image, path)
    return path


def write_nrrd(path, *, space="left-posterior-superior", directions="(1,0,0) (0,1,0) (0,0,1)", lines=()) -> Path:
    place = [f"space: {space}", f"space directions: {directions}", "space origin: (1,2,3)"] if space else []
    head = ["NRRD0004", "type: short", "dimension: 3", "sizes: 22 20 18", *place, *lines, "encoding: raw"]
    path.write_bytes("\n".join([*head, "endian: little", "", ""]).encode() + bytes(2 * 22 * 20 * 18))
    return path


def write_mha(path, *, spacing="1 1 1", matrix="1 0 0 0 1 0 0 0 1") -> Path:
    head = f"ObjectType = Image\nNDims = 3\nBinaryData = True\nTransformMatrix = {matrix}\nOffset = 0 0 0\n"
    head += f"ElementSpacing = {spacing}\nDimSize = 22 20 18\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    path.write_bytes(head.encode() + bytes(2 * 22 * 20 * 18))
    return path


def make_file(path, content) -> Path:
    path.write_bytes(content)
    return path


def change_nifti(path, offset, data) -> Path:
    """A sound file of which some header bytes are replaced."""
    save_nifti(path, np.zeros(SHAPE[::-1], "i2"), np.eye(4), sform=(np.eye(4), 0), qform=(np.eye(4), 1))
    content = bytearray(path.read_bytes())
    content[offset : offset + len(data)] = data
    path.write_bytes(content)
    return path


def short(*values):
    return np.array(values, "<i2").tobytes()


def real(*values):
    return np.array(values, "<f4").tobytes()
