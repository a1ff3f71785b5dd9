"""Figures of quality against values known by hand and against scikit-image and piq."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation import metrics
from SynthMRILib.evaluation.haarpsi import haarpsi_volume
from SynthMRILib.evaluation.metrics import (
    METRICS,
    all_metrics,
    data_range,
    haarpsi,
    hfen,
    nrmse,
    psnr,
    quality_mask,
    ssim,
)

SHAPE = (30, 37, 34)
EVERYWHERE = np.ones(SHAPE, dtype=bool)


@pytest.fixture
def reference() -> np.ndarray:
    """Blobs of 0 to 1 that fill the volume."""
    noise = np.random.default_rng(1).random(SHAPE)
    return np.clip(ndimage.gaussian_filter(noise, 1.5) * 6 - 2.5, 0.0, 1.0)


@pytest.fixture
def estimate(reference) -> np.ndarray:
    return np.clip(reference + 0.08 * np.random.default_rng(2).normal(size=SHAPE), 0.0, 1.0)


def test_a_constant_error_of_a_tenth_of_the_range_gives_20_db_and_a_tenth(reference):
    known = {"mask": EVERYWHERE, "peak": 1.0}
    assert psnr(reference, reference + 0.1, **known) == pytest.approx(20.0)
    assert nrmse(reference, reference + 0.1, **known) == pytest.approx(0.1)
    assert hfen(reference, reference + 0.1, **known) == pytest.approx(0.0, abs=1e-12)


def test_the_normalizers_of_nrmse_divide_by_what_they_name():
    reference = np.full((4, 4, 4), 2.0)
    known = {"mask": np.ones((4, 4, 4), bool), "peak": 8.0}
    values = [nrmse(reference, reference + 1, **known, normalizer=n) for n in ("range", "norm", "mean")]
    assert values == pytest.approx([1 / 8, 1 / 2, 1 / 2])


def test_equal_volumes_reach_the_best_value_of_every_metric(reference):
    best = {"psnr": np.inf, "ssim": 1.0, "nrmse": 0.0, "hfen": 0.0, "haarpsi": 1.0}
    assert all_metrics(reference, reference, mask=EVERYWHERE) == pytest.approx(best)


def test_more_noise_makes_every_metric_worse(reference):
    noise = np.random.default_rng(3).normal(size=SHAPE)
    scores = [all_metrics(reference, reference + sigma * noise, mask=EVERYWHERE) for sigma in (0.02, 0.1, 0.3)]
    for name, metric in METRICS.items():
        values = [s[name] for s in scores]
        assert values == sorted(values, reverse=metric.higher_is_better), name


def test_psnr_and_ssim_agree_with_scikit_image(reference, estimate):
    inside = np.zeros(SHAPE, dtype=bool)
    inside[5:-5, 5:-5, 5:-5] = True  # scikit-image leaves out the voxels whose window crosses the border
    theirs = structural_similarity(
        reference, estimate, data_range=0.9, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(reference, estimate, mask=inside, peak=0.9) == pytest.approx(theirs, abs=1e-12)
    theirs = peak_signal_noise_ratio(reference, estimate, data_range=0.9)
    assert psnr(reference, estimate, mask=EVERYWHERE, peak=0.9) == pytest.approx(theirs, abs=1e-12)


def test_ssim_is_symmetric_and_of_two_constants_only_luminance(reference, estimate):
    known = {"mask": EVERYWHERE, "peak": 1.0}
    assert ssim(reference, estimate, **known) == pytest.approx(ssim(estimate, reference, **known))
    flat = ssim(np.full(SHAPE, 0.5), np.full(SHAPE, 0.25), **known)
    assert flat == pytest.approx((2 * 0.125 + 1e-4) / (0.25 + 0.0625 + 1e-4))


def test_hfen_is_the_scale_of_the_error_and_one_for_a_constant_estimate(reference):
    assert hfen(reference, 0.75 * reference, mask=EVERYWHERE) == pytest.approx(0.25)
    assert hfen(reference, np.full(SHAPE, 0.3), mask=EVERYWHERE) == pytest.approx(1.0)


def test_the_laplacian_of_gaussian_answers_to_a_wave_as_its_frequency_response_says():
    k = np.arange(64)
    wave = np.broadcast_to(np.cos(2 * np.pi * k / 16)[:, None, None], (64, 20, 20)).copy()
    omega = 2 * np.pi / 16
    expected = -(omega**2) * np.exp(-(omega**2) * metrics.HFEN_SIGMA**2 / 2) * wave
    found = metrics._laplacian_of_gaussian(wave)
    assert np.abs(found - expected)[10:-10].max() < 2e-3 * np.abs(expected).max()


def test_haarpsi_agrees_with_piq_where_its_definition_is_the_same():
    """Mean of `piq.haarpsi` (piq 0.8.0, its defaults) over the 66 slices of three planes, computed once and stored."""
    k, j, i = np.indices((20, 22, 24))
    reference = 0.5 + 0.25 * np.sin(0.9 * i + 0.2 * j) + 0.25 * np.cos(0.7 * k) * np.sin(0.5 * j)
    estimate = np.clip(reference + 0.1 * np.sin(2.1 * i + 1.3 * j - 1.7 * k), 0, 1)
    score = haarpsi(np.clip(reference, 0, 1), estimate, mask=np.ones(reference.shape, bool), peak=1.0)
    assert score == pytest.approx(0.9503006, abs=1e-6)


def test_haarpsi_of_two_flat_volumes_is_one_although_nothing_weighs():
    flat = np.full((20, 20, 20), 0.5)
    mask = np.zeros(flat.shape, bool)
    mask[8:12, 8:12, 8:12] = True  # away from the border, where the zeros outside make an edge
    assert haarpsi(flat, flat + 0.1, mask=mask, peak=1.0) == pytest.approx(1.0)


def test_working_in_the_box_around_the_mask_changes_nothing(reference, estimate):
    reference, estimate = (np.pad(v, 20, mode="wrap") for v in (reference, estimate))
    mask = np.zeros(reference.shape, dtype=bool)
    mask[31:40, 30:43, 35:48] = True
    options = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    known = {"mask": mask, "peak": 1.0}
    _, similarity = structural_similarity(reference, estimate, full=True, **options)
    assert ssim(reference, estimate, **known) == pytest.approx(similarity[mask].mean(), abs=1e-12)
    error, edges = (metrics._laplacian_of_gaussian(v)[mask] for v in (estimate - reference, reference))
    assert hfen(reference, estimate, **known) == pytest.approx(np.linalg.norm(error) / np.linalg.norm(edges))
    assert haarpsi(reference, estimate, **known) == pytest.approx(haarpsi_volume(reference, estimate, **known))


def test_what_lies_outside_the_mask_and_its_windows_does_not_count(reference, estimate):
    mask = np.zeros((80, 80, 80), dtype=bool)
    mask[35:45, 35:45, 35:45] = True
    first, second = (np.pad(v, [(25, 80 - 25 - n) for n in SHAPE]) for v in (reference, estimate))
    far = second.copy()
    far[0:10] = 7.0
    assert all_metrics(first, second, mask=mask, peak=1.0) == all_metrics(first, far, mask=mask, peak=1.0)


def test_the_data_range_is_the_995th_percentile_of_the_voxels_that_are_not_zero():
    volume = np.zeros((11, 10, 20))
    volume[1:] = np.arange(1, 2001).reshape(10, 10, 20)
    assert data_range(volume) == pytest.approx(np.percentile(np.arange(1, 2001), 99.5))


def test_the_quality_mask_fills_holes_and_grows_by_two_voxels():
    volume = np.zeros((30, 30, 30))
    volume[10:20, 10:20, 10:20] = 100.0
    volume[14:16, 14:16, 14:16] = 0.0
    volume[2, 2, 2] = 1.9  # below 2 % of 100
    mask = quality_mask(volume)
    assert mask[15, 15, 15] and mask[8, 15, 15] and mask[9, 9, 15]
    assert not mask[7, 15, 15] and not mask[8, 9, 15] and not mask[2, 2, 2]


BAD = {
    "shapes differ": (np.ones((4, 4, 4)), np.ones((4, 4, 5)), {}, "one shape"),
    "not 3D": (np.ones((4, 4)), np.ones((4, 4)), {}, "one shape"),
    "not finite": (np.ones((4, 4, 4)), np.full((4, 4, 4), np.nan), {}, "not finite"),
    "mask empty": (np.ones((4, 4, 4)), np.ones((4, 4, 4)), {"mask": np.zeros((4, 4, 4))}, "empty"),
    "no signal": (np.zeros((4, 4, 4)), np.ones((4, 4, 4)), {}, "no positive signal"),
}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_bad_input_is_refused_with_a_sentence(metric, case):
    reference, estimate, options, words = case
    with pytest.raises(InputError, match=words):
        metric.compute(reference, estimate, **options)


def test_hfen_of_a_reference_without_edges_is_refused():
    with pytest.raises(InputError, match="no edges"):
        hfen(np.zeros((20, 20, 20)), np.ones((20, 20, 20)), mask=np.ones((20, 20, 20), bool), peak=1.0)
