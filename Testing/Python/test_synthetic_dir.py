"""Synthetic DIR without a network: preparation, fit, arithmetic, task and command, on a simulated brain."""

from __future__ import annotations

import json
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dir_phantom import Phantom, simulated_phantom
from scipy import ndimage, stats
from SynthMRILib.cli import main
from SynthMRILib.dir_synthesis import arithmetic, atoms, dictionary, preprocessing, registration, sequences
from SynthMRILib.dir_synthesis.tissue_fit import CSF, GRAY, RIM, WHITE, certain_fluid, fit_tissues
from SynthMRILib.errors import InputError
from SynthMRILib.itk_io import image_from_volume, volume_from_image
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.base import TaskResult
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import read_volume, write_volume

DOCUMENTATION = Path(__file__).resolve().parents[2] / "Documentation"
TASK = get_task("synthetic-dir")
Parameters = TASK.parameters_class


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return simulated_phantom()


@pytest.fixture(scope="module")
def two_inputs(phantom: Phantom) -> TaskResult:
    inputs = {name: phantom.volumes[name] for name in ("flair", "t1")}
    return TASK.run(inputs, None, Parameters(registered=True), no_progress)


@pytest.fixture(scope="module")
def three_inputs(phantom: Phantom) -> TaskResult:
    return TASK.run(phantom.volumes, None, Parameters(registered=True), no_progress)


def codes(inputs: dict[str, Volume], **values) -> set[str]:
    return {f.code for f in TASK.check(inputs, None, Parameters(**values)) if f.severity == "error"}


def of_tissue(phantom: Phantom, *labels: int) -> np.ndarray:
    return np.isin(phantom.labels, labels) & (phantom.lesions == 0)


def test_the_tissue_fit_finds_white_gray_and_fluid(phantom):
    contrasts = {name: v.voxels for name, v in phantom.volumes.items()}
    fit = fit_tissues(contrasts, phantom.brain, spacing=(1, 1, 1))
    for tissue, labels in ((CSF, (24, 4, 43)), (GRAY, (3, 42)), (WHITE, (2, 41))):
        found = fit.labels[of_tissue(phantom, *labels)]
        assert np.mean(found[found != RIM] == tissue) > 0.9
    assert 0.02 < fit.shares[RIM] < 0.4


def test_volumes_given_under_the_wrong_name_are_refused(phantom):
    swapped = {"flair": phantom.volumes["flair"].voxels, "t1": phantom.volumes["t2"].voxels}
    with pytest.raises(InputError, match="check which volume is which"):
        fit_tissues(swapped, phantom.brain, spacing=(1, 1, 1))


def test_a_flair_with_bright_white_matter_is_fitted_beside_t1(phantom):
    usual = {"flair": phantom.volumes["flair"].voxels, "t1": phantom.volumes["t1"].voxels}
    expected = fit_tissues(usual, phantom.brain, spacing=(1, 1, 1))
    white = expected.labels == WHITE
    factor = 1.6 * expected.means["flair"][GRAY] / expected.means["flair"][WHITE]
    usual["flair"] = usual["flair"] * np.where(white, factor, 1)
    fit = fit_tissues(usual, phantom.brain, spacing=(1, 1, 1))
    assert fit.means["flair"][WHITE] > fit.means["flair"][GRAY] > fit.means["flair"][CSF]
    assert (fit.labels[white] == WHITE).mean() > 0.9


def test_the_nominal_dir_nulls_white_matter_and_fluid():
    fluid, gray, white = np.abs(sequences.dir_signal(sequences.NOMINAL))
    assert white < 1e-3 * gray and fluid < 1e-3 * gray


@pytest.mark.parametrize("contrast", ["flair", "t1", "t2"])
def test_calibration_maps_nominal_tissue_to_what_was_measured(contrast):
    measured = {"flair": (30.0, 100.0, 80.0), "t1": (40.0, 280.0, 370.0), "t2": (800.0, 330.0, 255.0)}[contrast]
    found = sequences.calibrate(contrast, np.array(measured))
    signal = np.abs(found.signal(sequences.NOMINAL))
    assert found.to_input(signal) == pytest.approx(measured, rel=1e-5)
    assert found.misfit < 0.5
    json.dumps(found.as_dict())


def test_atoms_are_the_same_every_time_and_a_rim_of_fluid_stays_dark():
    drawn, again = atoms.draw_atoms(number=200), atoms.draw_atoms(number=200)
    assert (drawn.first.t1 == again.first.t1).all() and drawn.group.max() == len(atoms.GROUPS) - 1
    half = atoms.Atoms(
        *(sequences.Compartments(*(v[[n]] for v in vars(sequences.NOMINAL).values())) for n in (1, 0)),
        share=np.array([0.5]),
        group=np.array([atoms.BOUNDARY]),
        flow=np.zeros(1),
    )
    gray = np.abs(sequences.dir_signal(sequences.NOMINAL))[1]
    assert half.mixed(sequences.dir_signal)[0] == pytest.approx(0.5 * gray, rel=0.01)


def test_remnants_outside_of_the_pia_count_as_dark_and_only_fluid_flows():
    drawn = atoms.draw_atoms(number=200)
    remnants = drawn.group == atoms.REMNANT
    assert drawn.mixed(sequences.dir_signal)[remnants].max() > 0
    assert (drawn.target(sequences.dir_signal)[remnants] == 0).all()
    assert 0 < drawn.flow.max() <= atoms.LARGEST_FLOW
    assert (drawn.flow[drawn.group != atoms.GROUPS.index("csf")] == 0).all()


def test_remnants_are_looked_for_at_the_border_alone():
    brain = np.pad(np.ones((21, 21, 21), dtype=bool), 2)
    shares = dictionary.prior_shares(brain, (1.0, 1.0, 1.0))
    field = np.zeros(brain.shape)
    field[brain] = shares[atoms.REMNANT]
    assert field[2, 12, 12] == pytest.approx(atoms.PRIOR_SHARES[atoms.REMNANT])
    assert field[12, 12, 12] < 0.05 * field[2, 12, 12]


def test_fluid_that_flows_is_dark_in_the_dir_although_flair_shows_it_bright(phantom):
    contrasts = {name: v.voxels.copy() for name, v in phantom.volumes.items()}
    fit = fit_tissues(contrasts, phantom.brain, spacing=(1, 1, 1))
    flowing = ndimage.binary_erosion(fit.certain_fluid) & (phantom.lesions == 0)
    contrasts["flair"][flowing] = fit.means["flair"][WHITE]
    made = dictionary.synthesize(contrasts, phantom.brain, fit, spacing=(1, 1, 1)).dir_signal
    assert flowing.any()
    assert np.median(made[flowing]) < 0.25 * np.median(made[of_tissue(phantom, 3, 42)])


def test_a_void_that_flair_shows_as_dark_as_fluid_is_not_taken_for_it(phantom):
    contrasts = {name: v.voxels.copy() for name, v in phantom.volumes.items()}
    fit = fit_tissues(contrasts, phantom.brain, spacing=(1, 1, 1))
    void = tuple(int(c) for c in np.argwhere(fit.certain_fluid)[0])
    contrasts["t2"][void] = 0
    certain = certain_fluid(contrasts, fit.labels, fit.means)
    assert fit.labels[void] == CSF and not certain[void]
    assert np.count_nonzero(certain) > 0.5 * np.count_nonzero(fit.labels == CSF)


def test_the_dictionary_dir_is_a_dir_and_beats_flair_in_likeness_to_the_true_one(phantom, three_inputs):
    voxels = three_inputs.outputs["output"].voxels
    cortex = np.median(voxels[of_tissue(phantom, 3, 42)])
    assert np.median(voxels[of_tissue(phantom, 2, 41)]) < 0.25 * cortex
    assert np.median(voxels[of_tissue(phantom, 24, 4, 43)]) < 0.25 * cortex
    assert np.median(voxels[phantom.lesions > 0]) > 0.6 * cortex
    away = phantom.brain & (phantom.lesions == 0)
    likeness = np.corrcoef(voxels[away], phantom.dir_truth[away])[0, 1]
    assert likeness > 0.85
    assert likeness > np.corrcoef(phantom.volumes["flair"].voxels[away], phantom.dir_truth[away])[0, 1]


def test_two_contrasts_give_a_dir_too_but_it_says_what_it_leans_on(phantom, two_inputs):
    voxels = two_inputs.outputs["output"].voxels
    cortex = np.median(voxels[of_tissue(phantom, 3, 42)])
    assert np.median(voxels[of_tissue(phantom, 2, 41)]) < 0.25 * cortex
    inputs = {name: phantom.volumes[name] for name in ("flair", "t1")}
    assert "inputs-underdetermined" in {f.code for f in TASK.check(inputs, None, Parameters())}


def test_a_dictionary_without_t1_warns_that_fluid_stays_bright(phantom):
    inputs = {name: phantom.volumes[name] for name in ("flair", "t2")}
    assert "inputs-without-t1" in {f.code for f in TASK.check(inputs, None, Parameters())}


def test_the_page_quotes_the_record():
    record = DOCUMENTATION / "figures" / "synthetic_dir_synthetic-dir_patient07.json"
    rows = json.loads(record.read_text("utf-8"))["rows"]
    recorded = {(r["method"], " + ".join(r["inputs"]), f"{r['smoothing_mm']:g}"): f"{r['auprc']:.2f}" for r in rows}
    lines = (DOCUMENTATION / "synthetic_dir.md").read_text("utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("| volume | inputs | blur"))
    rows_of_table = takewhile(lambda line: line.startswith("| "), lines[start + 2 :])
    table = [[cell.strip() for cell in line.split("|")[1:5]] for line in rows_of_table]
    assert len(table) > 10 and all(recorded[tuple(row[:3])] == row[3] for row in table)


def test_the_result_lies_on_the_flair_grid_in_arbitrary_units_and_tells_what_made_it(phantom, two_inputs):
    output, record = two_inputs.outputs["output"], two_inputs.provenance
    assert output.grid.matches(phantom.grid) and np.isfinite(output.voxels).all() and output.voxels.min() >= 0
    assert not output.voxels[~phantom.brain].any()
    assert record["units"] == "a.u." and record["experimental"] is True and record["synthetic"] is True
    assert set(record["dictionary"]["calibration"]) == {"flair", "t1"}
    json.dumps(record, allow_nan=False)


def test_inputs_are_never_changed(phantom, three_inputs):
    assert three_inputs.outputs["output"].voxels is not phantom.volumes["flair"].voxels
    again = simulated_phantom()
    assert all((again.volumes[n].voxels == v.voxels).all() for n, v in phantom.volumes.items())


def test_where_one_contrast_has_no_data_the_others_are_used(phantom):
    short = Volume(phantom.volumes["t1"].voxels[14:], Grid((34, 56, 52), _moved_matrix(phantom.grid, 14)))
    inputs = {"flair": phantom.volumes["flair"], "t1": short}
    result = TASK.run(inputs, None, Parameters(registered=True), no_progress)
    assert set(result.provenance["dictionary"]["voxels_by_contrasts"]) == {"flair", "flair+t1"}
    assert result.provenance["preparation"]["registration"]["t1"]["covers_brain"] < 1
    assert result.outputs["output"].voxels[:14][phantom.brain[:14]].any()


def _moved_matrix(grid: Grid, slices: int) -> np.ndarray:
    matrix = grid.ijk_to_ras.copy()
    matrix[:3, 3] = grid.index_to_ras(np.array([0, 0, slices]))
    return matrix


@pytest.mark.parametrize(
    "names, values, code",
    [
        ((), {}, "inputs-none"),
        (("t1", "t2"), {}, "inputs-flair"),
        (("flair",), {}, "inputs-few"),
        (("flair",), {"method": "arithmetic"}, "inputs-few"),
        (("flair", "t1"), {"method": "arithmetic", "formula": "flair-times-t2"}, "formula-inputs"),
        (("flair", "t1"), {"method": "magic"}, "method"),
        (("flair", "t1"), {"formula": "t1-over-t2"}, "formula"),
        (("flair", "t1"), {"factor": -1.0}, "factor"),
        (("flair", "t1"), {"smoothing": 9.0}, "smoothing"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason(phantom, names, values, code):
    inputs = {name: phantom.volumes[name] for name in names}
    assert codes(inputs, **values) == {code}
    with pytest.raises(InputError, match=r"\."):
        TASK.run(inputs, None, Parameters(**values), no_progress)


def test_every_run_says_that_it_is_experimental(phantom):
    warned = [f for f in TASK.check(phantom.volumes, None, Parameters()) if f.code == "experimental"]
    assert warned and warned[0].severity == "warning" and "never compared with an acquired DIR" in warned[0].message


def test_a_mask_is_better_than_the_rough_rule_for_whole_heads(phantom):
    head = {name: volume.with_voxels(volume.voxels + 5) for name, volume in phantom.volumes.items()}
    mask = Volume(phantom.brain.astype(np.float32), phantom.grid)
    warned = [{f.code for f in TASK.check(inputs, None, Parameters())} for inputs in (head, {**head, "mask": mask})]
    assert ["brain-rough" in found for found in warned] == [True, False]
    with pytest.raises(InputError, match="No brain was found"):
        preprocessing.brain_mask(head["flair"], None)
    brain, rule = preprocessing.brain_mask(head["flair"], mask)
    assert (brain == phantom.brain).all() and rule == "given mask"


def test_the_brain_of_a_whole_head_is_found_roughly():
    shape, spacing = (48, 112, 104), np.array([4.0, 2.0, 2.0])
    middle = (np.array(shape) - 1) / 2
    radius = np.sqrt(sum(((np.indices(shape)[a] - middle[a]) * spacing[a]) ** 2 for a in range(3)))
    voxels = np.where(radius < 66, 100.0, np.where(radius < 72, 20.0, np.where(radius < 88, 160.0, 0.0)))
    head = Volume(voxels, Grid(shape, np.diag([*spacing[::-1], 1.0])))
    assert not preprocessing.is_stripped(head)
    brain, rule = preprocessing.brain_mask(head, None)
    truth = radius < 66
    assert 2 * np.count_nonzero(brain & truth) / (brain.sum() + truth.sum()) > 0.95 and "rough" in rule


def test_a_mask_that_misses_the_brain_is_refused(phantom):
    empty = Volume(np.zeros(phantom.grid.shape), phantom.grid)
    with pytest.raises(InputError, match="less than 1 ml"):
        preprocessing.brain_mask(phantom.volumes["flair"], empty)


@pytest.mark.parametrize("formula, names", arithmetic.FORMULAS.items())
def test_arithmetic_is_what_its_name_says(phantom, formula, names):
    inputs = {name: phantom.volumes[name] for name in names}
    result = TASK.run(inputs, None, Parameters(method="arithmetic", registered=True), no_progress)
    voxels = result.outputs["output"].voxels
    assert result.provenance["formula"] == formula
    means = result.provenance["tissues"]["means"]
    flair, other = (inputs[name].voxels / means[name]["white-matter"] for name in names)
    expected = flair * other if formula == "flair-times-t2" else np.maximum(flair - 0.3 * other, 0)
    assert voxels[phantom.brain] == pytest.approx(expected[phantom.brain], abs=1e-3)
    assert np.median(voxels[phantom.lesions > 0]) > 1.2 * np.median(voxels[of_tissue(phantom, 2, 41)])


def test_smoothing_keeps_what_is_outside_of_the_brain_out(phantom):
    flat = np.where(phantom.brain, 7.0, 0.0).astype(np.float32)
    blurred = arithmetic.smoothed(flat, phantom.brain, sigma_mm=1.0, spacing=(1, 1, 1))
    assert blurred == pytest.approx(flat, abs=1e-4)


def textured_pair() -> tuple[Volume, Volume, np.ndarray]:
    """Two contrasts of one lumpy object without symmetry, and its mask."""
    shape = (36, 40, 38)
    rng = np.random.default_rng(5)
    lumps = sum(
        np.exp(-sum((a - c) ** 2 for a, c in zip(np.indices(shape), rng.uniform(8, 30, 3))) / (2 * w**2))
        for w in rng.uniform(2.5, 5, 14)
    )
    inside = sum(((a - n / 2) / (0.42 * n)) ** 2 for a, n in zip(np.indices(shape), shape)) < 1
    grid = Grid(shape, np.diag([3.0, 3.0, 3.0, 1.0]))
    first = np.where(inside, 1 + lumps, 0)
    second = np.where(inside, 3 - np.minimum(lumps, 2), 0)
    return Volume(first, grid), Volume(second, grid), inside


def test_a_moved_contrast_is_brought_back():
    flair, other, inside = textured_pair()
    true = sitk.Euler3DTransform((57.0, 60.0, 54.0), 0.06, -0.04, 0.05, (4.0, -3.0, 2.0))
    image = image_from_volume(other)
    center = [float(c) for c in image.TransformContinuousIndexToPhysicalPoint([18.5, 19.5, 17.5])]
    true.SetCenter(center)
    moved = volume_from_image(sitk.Resample(image, image, true, sitk.sitkLinear, 0.0), {})
    found = registration.register(flair, moved, inside, name="T1")
    both = sitk.CompositeTransform([true, found.transform])
    corners = [image.TransformIndexToPhysicalPoint(c) for c in ((8, 8, 8), (30, 8, 20), (10, 30, 28), (28, 30, 10))]
    rest = [np.linalg.norm(np.subtract(both.TransformPoint(c), c)) for c in corners]
    assert max(rest) < 1.5, "half a voxel"
    assert found.movement_mm > 3 and found.information[1] > found.information[0]


def test_volumes_that_cannot_be_registered_are_refused():
    flair, other, inside = textured_pair()
    far = np.diag([3.0, 3.0, 3.0, 1.0])
    far[0, 3] = 500
    with pytest.raises(InputError, match="does not overlap"):
        registration.register(flair, Volume(other.voxels, Grid(other.shape, far)), inside, name="T1")
    noise = np.random.default_rng(0).uniform(1, 2, other.shape)
    with pytest.raises(InputError, match=r"no better than when shifted|not plausible|could not be registered"):
        registration.register(flair, other.with_voxels(noise), inside, name="T1")


def test_a_bias_is_taken_out():
    flair, _, inside = textured_pair()
    ramp = 1 + 0.5 * (np.indices(flair.shape)[2] / flair.shape[2] - 0.5)
    corrected = preprocessing.without_bias((flair.voxels * ramp).astype(np.float32), inside, flair.grid)
    before = stats.pearsonr((flair.voxels * ramp)[inside], flair.voxels[inside])[0]
    assert stats.pearsonr(corrected[inside], flair.voxels[inside])[0] > before


def test_the_command_writes_a_volume_that_says_it_is_synthetic(phantom, tmp_path, capsys):
    for name, volume in phantom.volumes.items():
        write_volume(volume, tmp_path / f"{name}.nii.gz")
    words = ["synthetic-dir", str(tmp_path / "dir.nii.gz"), "--flair", str(tmp_path / "flair.nii.gz")]
    words += ["--t2", str(tmp_path / "t2.nii.gz"), "--method", "arithmetic", "--registered"]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "not for diagnosis" in shown.out and "experimental" in shown.err
    assert read_volume(tmp_path / "dir.nii.gz").header["Synthetic"]
    assert main(words) == 2 and "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--mask", "mask.nii.gz"]])
def test_the_command_needs_a_volume(tmp_path, capsys, options):
    assert main(["synthetic-dir", str(tmp_path / "dir.nii.gz"), *options]) == 2
    assert "Give FLAIR" in capsys.readouterr().err
