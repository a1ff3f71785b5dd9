"""Subjects: every lesion keeps its mask, shapes do not fold, and a record makes the same subject anywhere."""

import json
from multiprocessing import get_context

import numpy as np
import pytest
from simulation_phantoms import ball, small_head
from SynthMRILib.errors import InputError
from SynthMRILib.simulation import (
    anatomy,
    deformation,
    foreign,
    lesions,
    protocols,
    relaxation,
    render,
    subject,
    templates,
)
from SynthMRILib.simulation.lesion_shapes import Outline, outlines_of
from SynthMRILib.simulation.records import Record, sample_generator
from SynthMRILib.simulation.tissue import TISSUE_INDEX


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return small_head()


def a_subject(labels, seed, **options):
    return subject.apply(subject.draw(np.random.default_rng(seed), **options), labels)


def sample_checksum(index: int) -> tuple[dict, float]:
    rng = sample_generator(11, index)
    record = subject.draw(rng, lesions_probability=1.0)
    image = subject.apply(record, small_head((32, 36, 34))).volume(protocols.draw(rng, "t1w"))
    return record.as_dict(), float(image.astype(np.float64).sum())


def test_any_number_of_workers_gives_the_same_samples():
    alone = [sample_checksum(index) for index in range(4)]
    with get_context("spawn").Pool(2) as pool:
        together = pool.map(sample_checksum, [3, 1, 0, 2], chunksize=1)
    assert [together[place] for place in (2, 1, 3, 0)] == alone
    assert len({value for _, value in alone}) == 4


def test_a_subject_is_made_again_from_its_record_as_json(labels):
    rng = np.random.default_rng(3)
    record = subject.draw(rng, lesions_probability=1.0, foreign_structure="tumor")
    protocol = protocols.draw(rng, "flair")
    again = Record.from_dict(json.loads(json.dumps(record.as_dict())))
    first, second = subject.apply(record, labels), subject.apply(again, labels)
    assert np.array_equal(first.volume(protocol), second.volume(protocol))
    assert np.array_equal(first.lesions.mask, second.lesions.mask)
    assert first.lesions.table == second.lesions.table


def test_a_record_of_another_kind_or_version_is_refused():
    values = protocols.draw(np.random.default_rng(0), "pd").as_dict()
    with pytest.raises(InputError, match="not a subject record"):
        subject.SubjectRecord.from_dict(values)
    with pytest.raises(InputError, match="another version"):
        Record.from_dict({**values, "kind": "hologram"})
    with pytest.raises(InputError, match="another version"):
        Record.from_dict({**values, "spin_lock": 3})


def test_a_deformation_folds_nowhere_and_keeps_every_label(labels):
    record = deformation.DeformationRecord(amplitude_mm=30.0, length_mm=15.0, field_seed=2)
    positions = deformation.source_positions(record, labels.shape, (1.0, 1.0, 1.0))
    jacobian = np.stack([np.stack(np.gradient(axis)) for axis in positions])
    assert np.linalg.det(np.moveaxis(jacobian, (0, 1), (-2, -1))).min() > 0
    ordinary = deformation.apply(deformation.draw(np.random.default_rng(1)), labels)
    assert set(np.unique(ordinary)) == set(np.unique(labels))
    assert (ordinary != labels).mean() > 0.02
    same = deformation.apply(deformation.DeformationRecord(), labels)
    assert np.array_equal(same, labels)


def test_partial_volume_keeps_each_tissues_amount(labels):
    record = anatomy.draw(np.random.default_rng(4))
    head = anatomy.apply(record, labels)
    white = head.fraction("white-matter")
    assert ((white >= 0) & (white <= 1)).all()
    assert white.sum() == pytest.approx(np.isin(labels, (2, 41)).sum(), rel=0.1)
    assert ((white > 0.02) & (white < 0.98)).any()


def test_parameter_maps_hold_the_values_of_their_tissues(labels):
    record = anatomy.draw(np.random.default_rng(5))
    maps = anatomy.parameter_maps(record, anatomy.apply(record, labels))
    deep_white = np.isin(labels, (2, 41)) & ~ball(labels.shape, tuple(n / 2 for n in labels.shape), 10)
    fluid = labels == 4
    assert 500 < np.median(maps.t1[deep_white]) < 1300
    assert 40 < np.median(maps.t2[deep_white]) < 130
    assert np.median(maps.t1[fluid]) > 2500
    assert (maps.t2_star <= maps.t2 + 1e-3).all()
    assert maps.proton_density[0, 0, 0] == 0
    assert maps.t1[0, 0, 0] == 0


@pytest.mark.parametrize("location", lesions.LOCATIONS)
def test_a_lesion_lies_where_it_was_asked_for_and_is_bright_on_flair(labels, location):
    record = lesions.draw(np.random.default_rng(6), number=3, locations=(location,))
    body = anatomy.draw(np.random.default_rng(7))
    healthy = anatomy.apply(body, labels)
    head, found = lesions.apply(record, healthy, labels)
    assert {row["location"] for row in found.table} <= {location, "leukocortical"}
    assert sorted(row["number"] for row in found.table) == list(np.unique(found.mask)[1:])
    for row in found.table:
        assert row["volume_mm3"] == (found.mask == row["number"]).sum()
    assert np.isin(labels[found.mask > 0], (0, 24, 507, 511, 515)).mean() < 0.1
    protocol = protocols.ProtocolRecord("flair", "flair", tr=9000, te=100, ti=2400, train=600)
    before, after = (subject.render(h, body.relaxation, protocol) for h in (healthy, head))
    inside = found.mask > 0
    assert np.median(after[inside] / before[inside]) > (1.02 if location == "intracortical" else 1.2)


def test_the_number_of_lesions_is_what_was_asked_for():
    record = lesions.draw(np.random.default_rng(1), number=7)
    assert len(record.lesions) == 7


def test_real_outlines_keep_their_shape_and_travel_in_the_record():
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[5:15, 8:11, 9:12] = True
    outline = outlines_of(mask)[0]
    assert np.array_equal(np.pad(mask[5:15, 8:11, 9:12], 1), outline.unpack())
    again = Outline.from_dict(json.loads(json.dumps(outline.as_dict())))
    assert np.array_equal(again.unpack(), outline.unpack())


def test_a_subject_without_lesions_has_an_empty_mask(labels):
    person = a_subject(labels, 9, lesions_probability=0.0)
    assert not person.lesions.mask.any()
    assert person.lesions.table == []


@pytest.mark.parametrize("structure", foreign.KINDS)
def test_a_foreign_structure_has_a_mask_and_changes_the_image_there(labels, structure):
    options = {"deformed": False, "lesions_probability": 0.0}
    record = subject.draw(np.random.default_rng(2), foreign_structure=structure, **options)
    plain = subject.SubjectRecord(record.anatomy)
    protocol = protocols.draw(np.random.default_rng(3), "t2w")
    with_it, without = subject.apply(record, labels), subject.apply(plain, labels)
    change = np.abs(with_it.volume(protocol) - without.volume(protocol))
    assert (with_it.foreign > 0).any()
    assert change[with_it.foreign > 0].mean() > 5 * change[with_it.foreign == 0].mean()


def test_a_mass_pushes_brain_aside_and_leaves_bone_in_place(labels):
    record = foreign.ForeignRecord("tumor", 0.5, 12.0, push=0.5)
    center = foreign.center_of(record, labels, (1.0, 1.0, 1.0))
    pushed = foreign.push_labels(record, labels, center)
    assert (pushed != labels).any()
    assert np.array_equal(pushed >= 500, labels >= 500)


def test_a_brain_of_the_icbm_templates_has_tissue_and_geometry():
    labels, grid = templates.template_labels(resolution_mm=3)
    assert labels.shape == grid.shape
    assert grid.spacing == pytest.approx((3.0, 3.0, 3.0))
    volumes = {label: (labels == label).sum() * 27 / 1e6 for label in (2, 41, 3, 42, 24, 4, 43)}
    assert 0.4 < sum(volumes[label] for label in (2, 41)) < 1.0
    assert 0.5 < sum(volumes[label] for label in (3, 42)) < 1.2
    left = grid.index_to_ras(np.argwhere(labels == 2).mean(axis=0)[::-1])
    assert left[0] < 0


@pytest.mark.parametrize("contrast", ("t1w", "t2w", "flair"))
@pytest.mark.parametrize("b1", (0.75, 1.2))
def test_a_transmit_field_changes_the_volume_as_the_sequence_says(labels, contrast, b1):
    person = a_subject(labels, 4, deformed=False, lesions_probability=0.0)
    protocol = protocols.draw(np.random.default_rng(1), contrast, field_strength=3.0)
    field = np.full(labels.shape, b1, dtype=np.float32)
    tissues = relaxation.table(person.record.anatomy.relaxation, field_strength=3.0)
    exact = render.weighted_sum(person.head, lambda u: protocols.protocol_signal(protocol, tissues, u, b1=b1))
    nominal = person.volume(protocol)
    assert np.abs(person.volume(protocol, b1=field, signed=True) - exact).max() < 0.02 * nominal.max()
    assert np.abs(np.abs(exact) - nominal).max() > 0.005 * nominal.max()


def test_tissue_indices_are_unique_and_air_is_zero():
    assert len(set(TISSUE_INDEX.values())) == len(TISSUE_INDEX)
    assert TISSUE_INDEX["air"] == 0
