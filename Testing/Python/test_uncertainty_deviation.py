"""The formula of the deviation: what it finds, when it is kept, that slabs leave no seam, and that it is data alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundle_support import make_bundle
from conftest import head_like, placed_grid
from scipy import ndimage
from SynthMRILib import cli
from SynthMRILib.bundles import load_bundle
from SynthMRILib.errors import InputError
from SynthMRILib.progress import no_progress
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.base import NetworkInput
from SynthMRILib.tasks.uncertainty import UncertaintyParameters, calibrated
from SynthMRILib.uncertainty.calibration import Calibration, fit_multipliers
from SynthMRILib.uncertainty.calibration_cases import Case, halved, maker, noisy
from SynthMRILib.uncertainty.case_sampling import Sample
from SynthMRILib.uncertainty.deviation import DeviationModel, deviation_map, noisiness, voxel_terms
from SynthMRILib.uncertainty.deviation_fitting import FORMS, chosen_model, fit_model, leave_one_out, weights_of
from SynthMRILib.uncertainty.fitting import calibrate_bundle, calibration_from
from SynthMRILib.volume import Volume
from SynthMRILib.volume_io import write_volume

TRUE = DeviationModel({"predicted": 0.5, "gradient": 0.4, "noisiness": 0.3}, -0.7)
MODEL = DeviationModel(
    {"predicted": 0.6, "gradient": 0.2, "residual": 0.5, "detail": 0.3, "intensity": -0.4, "noisiness": 0.6}, 1.2
)


def a_sample(subject: str, *, model: DeviationModel, seed: int, group: str = "", trained_on: bool = False) -> Sample:
    """Errors whose deviation is known."""
    rng = np.random.default_rng(seed)
    names = ("predicted", "gradient", "residual", "detail", "intensity")
    terms = {name: rng.normal(-3, 1, 6000).astype(np.float32) for name in names}
    terms["intensity_squared"] = terms["intensity"] ** 2
    terms["noisiness"] = np.full(6000, rng.normal(), dtype=np.float32)
    error = model.deviation(terms) * rng.laplace(size=6000)
    return Sample(
        *(subject, "t1w", subject, group, trained_on, error, np.exp(terms["predicted"]), terms),
        unit=1.0,
        signal=np.ones(6000, bool),
        reference=1.0,
        lesion=None,
        measured={},
    )


@pytest.fixture
def maps_and_input() -> tuple[dict[str, np.ndarray], NetworkInput]:
    rng = np.random.default_rng(0)
    fine = ndimage.gaussian_filter(rng.normal(size=(104, 24, 28)), 1.5).astype(np.float32) * 2 + 0.5
    maps = {"mean": fine, "epistemic": 0.01 * np.ones_like(fine), "aleatoric": 0.05 * np.abs(fine) + 0.01}
    coarse = fine.reshape(52, 2, 12, 2, 14, 2).mean(axis=(1, 3, 5)) + 0.02 * rng.normal(size=(52, 12, 14))
    coarse = coarse.astype(np.float32)
    return maps, NetworkInput(coarse, Volume(coarse, placed_grid(coarse.shape, spacing=(2, 2, 2))), 300.0)


def test_the_weights_that_made_the_errors_are_found_again() -> None:
    found = fit_model([a_sample(f"subject {n}", model=TRUE, seed=n) for n in range(12)])
    for name, weight in found.weights.items():
        assert weight == pytest.approx(TRUE.weights.get(name, 0.0), abs=0.06), name


def test_an_edge_or_a_residual_never_lowers_the_deviation() -> None:
    inverse = DeviationModel({"predicted": 1.0, "gradient": -0.5, "residual": -0.5}, -3.0)
    found = fit_model([a_sample(f"subject {n}", model=inverse, seed=n) for n in range(4)])
    assert found.weights["gradient"] == 0 and found.weights["residual"] == 0


def test_a_model_is_kept_only_where_it_helps_subjects_left_out() -> None:
    helped = [a_sample(f"subject {n}", model=TRUE, seed=n) for n in range(5)]
    model, facts = chosen_model(helped)
    assert model is not None and facts["kept"]
    alone, better = (facts[name][""]["negative_log_likelihood"] for name in ("network_alone", "model"))
    assert better < alone - 0.02
    none, facts = chosen_model(helped[:2])
    assert none is None and "fewer than 3" in facts["why"]
    without_terms = [replace(s, terms={}) for s in helped]
    assert chosen_model(without_terms)[0] is None


def test_a_model_that_only_fits_its_own_subjects_is_not_kept() -> None:
    signs = [DeviationModel({"predicted": 1.0, "intensity": 0.8 * (-1) ** n}, (-1) ** n * 2.4) for n in range(4)]
    samples = [a_sample(f"subject {n}", model=sign, seed=n) for n, sign in enumerate(signs)]
    worth = {
        form: np.mean([row["negative_log_likelihood"] for row in leave_one_out(samples, form=form)])
        for form in (None, *FORMS)
    }
    model, facts = chosen_model(samples)
    best = min(worth, key=worth.get)
    assert facts["form"] == (best or "network_alone")
    assert facts["kept"] is (best is not None) and (model is not None) is (best is not None)


def test_detail_is_a_term_only_where_it_helps_subjects_left_out() -> None:
    """Where the errors know nothing of it the form without it is as good, and no term is made up for other grids."""
    true = DeviationModel({"predicted": 0.5, "detail": 0.5}, -0.7)
    samples = [a_sample(f"subject {n}", model=true, seed=n) for n in range(4)]
    model, facts = chosen_model(samples)
    assert facts["form"] == "model_with_detail" and model.weights["detail"] == pytest.approx(0.5, abs=0.06)
    without = [replace(s, terms={n: v for n, v in s.terms.items() if n not in ("detail", "residual")}) for s in samples]
    model, facts = chosen_model(without)
    assert set(facts) & set(FORMS) == {"model"} and "detail" not in (model.weights if model else {})


def test_groups_subjects_and_cases_count_alike() -> None:
    groups = [("real", "a"), ("real", "a"), ("simulated", "b"), ("simulated", "c"), ("simulated", "c")]
    samples = [replace(a_sample(s, model=TRUE, seed=0), group=g) for g, s in groups]
    assert weights_of(samples) == pytest.approx([0.25, 0.25, 0.25, 0.125, 0.125])


def test_weighted_multipliers_are_quantiles_of_the_weighted_ratios() -> None:
    rng = np.random.default_rng(0)
    error = rng.normal(size=4000)
    plain, alike = fit_multipliers(error, np.ones(4000)), fit_multipliers(error, np.ones(4000), np.ones(4000))
    assert alike == pytest.approx(plain, rel=0.01)
    twice = fit_multipliers(error, np.ones(4000), np.where(np.abs(error) > 1, 2.0, 1.0))
    assert twice[50] > plain[50] and twice[95] > plain[95]


def test_multipliers_come_from_subjects_that_the_network_did_not_see(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "network")
    measured = {"input": {"histogram": [0.5]}}
    unseen = [replace(a_sample(f"u{n}", model=TRUE, seed=n), measured=measured) for n in range(3)]
    seen = replace(a_sample("seen", model=replace(TRUE, intercept=3.0), seed=9, trained_on=True), measured=measured)
    calibration = calibration_from(bundle, [*unseen, seen], samples=2, blocks=0)
    assert [v["name"] for v in calibration.facts["volumes"]] == ["u0", "u1", "u2"]
    assert calibration.gate["input"]["volumes"] == 3
    assert np.mean([v["coverage_percent"]["68"] for v in calibration.facts["volumes"]]) == pytest.approx(68, abs=1)
    with pytest.raises(InputError, match="not trained on"):
        calibration_from(bundle, [seen], samples=2, blocks=0)


@pytest.mark.parametrize("ranges", [{}, {"gradient": (-4.0, -2.0), "residual": (-4.0, -3.8), "noisiness": (-0.2, 0.1)}])
def test_slabs_leave_no_seam_and_the_term_of_the_volume_is_that_of_all_of_it(maps_and_input, ranges: dict) -> None:
    maps, prepared = maps_and_input
    model = replace(MODEL, ranges=ranges)
    terms = voxel_terms(maps, prepared.voxels)
    terms["noisiness"] = noisiness(terms["energy"], terms["predicted"], terms["intensity"])
    assert not ranges or terms["noisiness"] < ranges["noisiness"][0], "so that the range matters"
    assert deviation_map(maps, prepared, model) == pytest.approx(model.deviation(terms), rel=1e-3)


def test_a_term_beyond_what_it_was_fitted_on_counts_as_the_end_of_its_range() -> None:
    samples = [a_sample(f"subject {n}", model=TRUE, seed=n) for n in range(4)]
    model = fit_model(samples)
    low, high = model.ranges["predicted"]
    seen = np.concatenate([s.terms["predicted"] for s in samples])
    assert np.mean(seen < low) == pytest.approx(1e-3, abs=3e-4) and np.mean(seen > high) == pytest.approx(
        1e-3, abs=3e-4
    )
    volumes = [float(s.terms["noisiness"][0]) for s in samples]
    assert model.ranges["noisiness"] == pytest.approx((min(volumes), max(volumes)), rel=1e-4)
    terms = {name: values[:3].copy() for name, values in samples[0].terms.items()}
    terms["predicted"][:] = (high, high + 1, high + 9)
    far = model.deviation({**terms, **{n: v[:1].repeat(3) for n, v in terms.items() if n != "predicted"}})
    assert far == pytest.approx(far[0], rel=1e-6)
    assert DeviationModel.from_dict(json.loads(json.dumps(model.as_dict()))) == model


def test_both_parts_share_the_total_as_the_network_divides_it(maps_and_input) -> None:
    maps, prepared = maps_and_input
    record = {"deviation": MODEL.as_dict()}
    calibration = Calibration("x", {50: 0.5, 68: 0.9, 90: 2.0, 95: 3.0}, record)
    outputs = calibrated(maps, calibration, prepared)
    assert outputs["total"] == pytest.approx(0.9 * deviation_map(maps, prepared, MODEL), rel=1e-4)
    assert outputs["total"] ** 2 == pytest.approx(outputs["epistemic"] ** 2 + outputs["aleatoric"] ** 2, rel=1e-4)
    assert outputs["epistemic"] / outputs["aleatoric"] == pytest.approx(maps["epistemic"] / maps["aleatoric"], rel=1e-4)


def test_a_model_is_numbers_in_json_and_unknown_terms_are_no_model() -> None:
    record = json.loads(json.dumps(MODEL.as_dict()))
    assert DeviationModel.from_dict(record) == MODEL
    assert DeviationModel.from_dict({"weights": {"import os": 1.0}, "intercept": 0.0}) is None
    assert DeviationModel.from_dict(None) is None


def test_a_bundle_with_three_subjects_gets_a_model_and_the_product_uses_it(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "network")
    shape = (40, 40, 40)

    def truth(seed: int) -> Volume:
        rng = np.random.default_rng(seed)
        texture = ndimage.gaussian_filter(rng.normal(size=shape), 1.0) * np.linspace(0, 1, 40)[:, None, None]
        return Volume(300 + 900 * texture, placed_grid(shape, spacing=(1, 1, 1)))

    cases = [Case(f"case {n}", "t1w", lambda n=n: halved(truth(n)), subject=f"s{n}") for n in range(3)]
    calibration = calibrate_bundle(bundle, cases, samples=2, output=tmp_path / "out", report=str, blocks=2)
    assert calibration.facts["deviation_compared"]["kept"] and calibration.deviation is not None
    uncertainty = get_task("uncertainty")
    inputs, parameters = cases[0].read()[0], UncertaintyParameters(samples=2, device="cpu", precision="float32")
    result = uncertainty.run(inputs, load_bundle(tmp_path / "out"), parameters, no_progress)
    assert result.provenance["calibration"]["deviation"] == calibration.deviation.as_dict()
    task = get_task("super-resolution")
    prepared = task.prepare(inputs, bundle, parameters.of_task(), no_progress)
    raw = uncertainty.run(inputs, bundle, parameters, no_progress).outputs
    maps = {"mean": raw["output"].voxels, "epistemic": raw["epistemic"].voxels, "aleatoric": raw["aleatoric"].voxels}
    maps = {name: voxels / np.float32(prepared.unit) for name, voxels in maps.items()}
    expected = calibration.scale * deviation_map(maps, prepared, calibration.deviation) * prepared.unit
    assert result.outputs["total"].voxels == pytest.approx(expected, rel=2e-2)
    one = calibrate_bundle(
        load_bundle(tmp_path / "out"), cases[:1], samples=2, output=tmp_path / "own", report=str, blocks=1
    )
    assert one.deviation == calibration.deviation, "too few subjects to choose: the form stays, multipliers are new"
    assert one.multipliers != calibration.multipliers


def test_denoising_makes_its_cases_of_good_volumes_and_other_tasks_need_pairs() -> None:
    truth = Volume(head_like((20, 22, 24)), placed_grid((20, 22, 24), spacing=(1, 1, 1)))
    inputs, reference, _ = noisy(truth, 1)
    assert reference is truth and noisy(truth, 1)[0]["input"].voxels == pytest.approx(inputs["input"].voxels)
    bright = truth.voxels > 0.5 * truth.voxels.max()
    spread = np.std((inputs["input"].voxels - truth.voxels)[bright]) / np.percentile(
        truth.voxels[truth.voxels > 0], 99.5
    )
    assert spread == pytest.approx(0.06, rel=0.15)
    with pytest.raises(InputError, match="--cases"):
        maker("synthetic-dir")


def test_the_command_calibrates_denoising_on_good_volumes(tmp_path: Path, capsys) -> None:
    truth = Volume(400 + head_like((40, 40, 40)), placed_grid((40, 40, 40), spacing=(1, 1, 1)))
    write_volume(truth, tmp_path / "good.nrrd")
    arguments = ["calibrate", "denoising", "--bundle", "denoising", "--reference", str(tmp_path / "good.nrrd")]
    arguments += ["--samples", "2", "--blocks", "1", "--output", str(tmp_path / "mine")]
    assert cli.main(arguments) == 0
    mine = Calibration.from_bundle(load_bundle(tmp_path / "mine").section)
    assert json.loads(capsys.readouterr().out)["sha256"] == mine.sha256
    assert len(mine.facts["volumes"]) == 1 and 0 < mine.multipliers[50] < mine.multipliers[95]
