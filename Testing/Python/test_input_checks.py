"""What makes a volume unfit, found from arrays alone: one row for each kind of bad input."""

from __future__ import annotations

import time

import numpy as np
import pytest
from conftest import head_like, placed_grid
from SynthMRILib.findings import Finding
from SynthMRILib.input_checks import MAX_AXIS, MIN_AXIS, check_layout, check_volume, looks_like_labels
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume

SHAPE = (20, 22, 24)


def volume(voxels=None, *, spacing=(1, 1, 1), matrix=None, **header) -> Volume:
    voxels = head_like(SHAPE) if voxels is None else voxels
    grid = Grid.from_spacing(voxels.shape, spacing) if matrix is None else Grid(voxels.shape, matrix)
    return Volume(voxels, grid, header)


def with_value(value: float) -> np.ndarray:
    voxels = head_like(SHAPE)
    voxels[3, 4, 5] = value
    return voxels


def sheared(cosine: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 1] = [cosine, np.sqrt(1 - cosine**2), 0]
    return matrix


def blocks(shape=SHAPE, count=60) -> np.ndarray:
    """Labels in blocks of 4 x 4 x 4 voxels, more of them than an organ list has."""
    coarse = np.random.default_rng(2).integers(0, count, [-(-n // 4) for n in shape])
    return np.kron(coarse, np.ones((4, 4, 4)))[: shape[0], : shape[1], : shape[2]]


def scanner_integers() -> np.ndarray:
    return np.rint(head_like(SHAPE) + np.random.default_rng(1).normal(0, 12, SHAPE)).clip(0)


not_a_number = np.full((4, 4), np.nan)

BAD = {
    "empty": (volume(np.zeros((0, 20, 20))), ["volume-empty"], "no voxels"),
    "single slice": (volume(head_like(SHAPE)[9:10]), ["volume-two-dimensional"], "24 x 22 x 1"),
    "axis too short": (volume(head_like((MIN_AXIS - 1, 22, 24))), ["volume-axis-short"], "24 x 22 x 15"),
    "axis too long": (volume(head_like((16, 16, 5000))), ["volume-axis-long"], "5000 x 16 x 16"),
    "all zero": (volume(np.zeros(SHAPE)), ["volume-zero"], "zero"),
    "constant": (volume(np.full(SHAPE, 7)), ["volume-constant"], "(7)"),
    "NaN": (volume(with_value(np.nan)), ["volume-not-finite"], "infinite): 1;"),
    "infinite": (volume(with_value(np.inf)), ["volume-not-finite"], "infinite): 1;"),
    "minus infinite": (volume(with_value(-np.inf)), ["volume-not-finite"], "infinite): 1;"),
    "zero spacing": (volume(spacing=(1, 0, 1)), ["volume-spacing"], "1 x 0 x 1 mm"),
    "spacing is no number": (volume(matrix=np.diag([1, np.nan, 1, 1])), ["volume-geometry"], "not a number"),
    "no number at all": (volume(matrix=not_a_number), ["volume-geometry"], "not a number"),
    "shear": (volume(matrix=sheared(0.1)), ["volume-shear"], "5.7 degrees"),
    "few integers": (volume(blocks(count=5), PixelType="uint8"), ["volume-label"], "labels"),
    "label map": (volume(blocks(), PixelType="int32"), ["volume-label"], "labels"),
    "declared labels": (volume(Intent="label", PixelType="float32"), ["volume-label"], "labels"),
}
DOUBTFUL = {
    "few integers of unknown type": (volume(blocks(count=5)), ["volume-label-like"], "labels"),
    "negative": (volume(with_value(-5)), ["volume-negative"], "0.0095 % of the voxels are negative (lowest -5)"),
    "CT": (volume(with_value(-1000)), ["volume-ct"], "-1000"),
    "CT by its tag": (volume(Modality="CT"), ["volume-modality"], "says it is CT"),
    "micrometres": (volume(spacing=(0.001, 0.001, 0.001)), ["volume-spacing-unusual"], "unit"),
    "synthetic": (volume(Synthetic=True), ["volume-synthetic"], "synthetic"),
    "no orientation": (volume(OrientationUnknown=True), ["volume-orientation-unknown"], "left and right"),
    "two orientations": (volume(OrientationConflict=3.14), ["volume-orientation-conflict"], "3.1 mm"),
}
GOOD = {
    "plain": volume(),
    "MR": volume(Modality="MR", PixelType="float32"),
    "left-handed": volume(matrix=np.diag([-1, 1, 1, 1])),
    "integers of a scanner": volume(scanner_integers(), PixelType="uint16"),
    "rounded directions": volume(matrix=sheared(5e-4)),
    "longest axis": volume(head_like((16, 16, MAX_AXIS))),
    "thick slices": volume(spacing=(0.45, 0.45, 6)),
}


def assert_found(findings: list[Finding], severity: str, codes: list[str], words: str) -> None:
    assert [(f.severity, f.code) for f in findings] == [(severity, code) for code in codes]
    for finding in findings:
        assert words in finding.message
        assert finding.message.endswith(".")
        assert finding.message.count(". ") == 0, "one sentence"


@pytest.mark.parametrize(("bad", "codes", "words"), BAD.values(), ids=BAD.keys())
def test_a_volume_that_cannot_be_enhanced_is_refused_in_one_sentence(bad, codes, words):
    assert_found(check_volume(bad), "error", codes, words)


@pytest.mark.parametrize(("doubtful", "codes", "words"), DOUBTFUL.values(), ids=DOUBTFUL.keys())
def test_a_doubtful_volume_gets_a_warning(doubtful, codes, words):
    assert_found(check_volume(doubtful), "warning", codes, words)


@pytest.mark.parametrize("good", GOOD.values(), ids=GOOD.keys())
def test_a_sound_volume_has_no_findings(good):
    assert check_volume(good) == []


@pytest.mark.parametrize(
    ("size", "components", "code"),
    [
        ((20, 20, 20), 3, "volume-components"),
        ((20, 20, 20, 5), 1, "volume-frames"),
        ((20, 20, 1, 5), 1, "volume-frames"),
        ((20, 20), 1, "volume-two-dimensional"),
        ((5000, 20, 20), 1, "volume-axis-long"),
        ((20, 20, 20, 1), 1, None),
        ((20, 20, 3), 1, None),
    ],
)
def test_data_that_are_no_scalar_volume_are_told_apart(size, components, code):
    assert [f.code for f in check_layout(size, components)] == ([code] if code else [])


def test_several_faults_are_all_told():
    both = volume(np.full((8, 20, 20), -1.0), spacing=(20, 1, 1), Modality="CT")
    codes = [f.code for f in check_volume(both)]
    assert codes == ["volume-axis-short", "volume-spacing-unusual", "volume-constant", "volume-modality"]


def test_labels_with_a_wide_range_of_numbers_are_recognized():
    assert looks_like_labels((blocks() * 20_000).astype(np.float32))
    assert not looks_like_labels(scanner_integers())


def test_checking_changes_nothing(a_volume):
    before = a_volume.voxels.copy()
    check_volume(a_volume)
    np.testing.assert_array_equal(a_volume.voxels, before)


def test_checking_a_large_volume_takes_less_than_a_second():
    rng = np.random.default_rng(0)
    voxels = np.tile(rng.integers(0, 4000, (64, 256, 256)), (4, 1, 1)).astype(np.float32)
    large = Volume(voxels, placed_grid(voxels.shape, spacing=(1, 1, 1)), {"PixelType": "int16"})
    start = time.process_time()
    assert check_volume(large) == []
    assert time.process_time() - start < 1


def test_real_scans_pass_and_real_label_maps_do_not(shared_data):
    scans = [*shared_data.glob("ms_longitudinal/patient*/study*.nii.gz")][:3]
    labels = [*shared_data.glob("label_maps/head_0[12].nii.gz"), *shared_data.glob("lesion_masks_mni/patient01.nii.gz")]
    assert len(scans) == 3
    assert len(labels) == 3
    for path in scans:
        assert check_volume(read_volume(path)) == [], path.name
    for path in labels:
        assert "volume-label" in [f.code for f in check_volume(read_volume(path))], path.name
