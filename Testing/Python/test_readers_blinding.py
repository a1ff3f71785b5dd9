"""The leak audit finds planted leaks of every kind and is quiet where there is none."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from reader_support import QUESTIONS, SHAPE, a_head, make_study
from SynthMRILib.readers.blinding import AuditedCase, audit, audit_study, case_features
from SynthMRILib.volume import Grid, Volume

GRID = Grid.from_spacing(SHAPE, (1, 1, 1.5))


def heads(number, alter=None, *, noise=10.0):
    """Cases of two arms, different subjects; `alter(volume)` changes the second arm."""
    random = np.random.default_rng(11)
    cases = []
    for n in range(2 * number):
        arm = "real" if n % 2 else "synthetic"
        volume = Volume(np.rint(a_head(random, noise=noise)), GRID, {"PixelType": "int16"})
        if alter and arm == "synthetic":
            volume = alter(volume)
        cases.append(AuditedCase(arm, f"s{n}", case_features(volume)))
    return cases


def smoothed(volume):
    voxels = volume.voxels.copy()
    voxels[..., 1:] = (voxels[..., 1:] + volume.voxels[..., :-1]) / 2
    return volume.with_voxels(np.rint(voxels))


@pytest.mark.parametrize(
    "alter, what",
    [
        (lambda v: Volume(v.voxels, Grid.from_spacing(SHAPE, (1, 1, 1.4)), v.header), "geometry: spacing k"),
        (lambda v: Volume(v.voxels, v.grid, {"PixelType": "float32"}), "bit depth: stored type"),
        (lambda v: v.with_voxels(v.voxels + 0.25), "bit depth: whole numbers"),
        (lambda v: Volume(v.voxels, v.grid, {**v.header, "Synthetic": True}), "header: Synthetic"),
    ],
)
def test_what_differs_in_every_case_is_named(alter, what):
    (comparison,), findings = audit(heads(6, alter))
    assert what in comparison.telling
    assert what.split(":")[0] in findings[0].message and findings[0].code == "blinding-constant"


@pytest.mark.parametrize(
    "alter",
    [
        smoothed,
        lambda v: v.with_voxels(np.where(v.voxels < 60, 0, v.voxels)),
        lambda v: v.with_voxels(np.rint(v.voxels * 1.6)),
        lambda v: v.with_voxels(np.minimum(v.voxels, 430)),
    ],
    ids=["smoother noise", "air set to zero", "another scale", "clipped"],
)
def test_the_trivial_classifier_finds_a_leak_in_values_or_noise(alter):
    (comparison,), findings = audit(heads(10, alter))
    assert comparison.area > 0.9 and comparison.p < 0.05
    assert findings[-1].severity == "warning" and "tells 'real' and 'synthetic' apart" in findings[-1].message


def test_the_audit_is_quiet_without_a_leak():
    (comparison,), findings = audit(heads(20))
    assert comparison.area <= 0.6 and not comparison.telling and not findings


def test_without_a_leak_the_area_lies_around_one_half():
    random = np.random.default_rng(3)
    areas = []
    for _ in range(20):
        cases = [
            AuditedCase("ab"[n % 2], f"s{n // 2}", {"noise": {str(f): random.normal() for f in range(12)}})
            for n in range(24)
        ]
        areas.append(audit(cases)[0][0].area)
    assert 0.4 < np.mean(areas) < 0.6 and sum(area > 0.6 for area in areas) <= 7


def test_too_few_cases_are_said_to_be_too_few():
    (comparison,), findings = audit(heads(2))
    assert isnan(comparison.area) and [finding.code for finding in findings] == ["blinding-untested"]


def test_a_study_whose_leak_is_removed_by_common_levels_passes_and_one_whose_noise_differs_does_not(tmp_path):
    rating = {"rating": QUESTIONS["rating"]}

    def scaled(volume, arm):
        return volume.with_voxels(volume.voxels * (3.7 if arm == "dir" else 1))

    def silenced(volume, arm):
        return volume.with_voxels(np.where(volume.voxels < 60, 0, volume.voxels)) if arm == "dir" else volume

    clean = make_study(tmp_path / "a", subjects=8, questions=rating, alter=scaled)
    leaky = make_study(tmp_path / "b", subjects=8, questions=rating, alter=silenced)
    assert not audit_study(clean, clean.read_key())[1]
    assert audit_study(leaky, leaky.read_key())[0][0].area > 0.9
