"""Figures of sets agree with scikit-learn, scikit-image, MONAI, scipy and with cases whose answer is known."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy import linalg, stats
from SynthMRILib.errors import InputError
from SynthMRILib.evaluation.sets.distances import (
    cubic_kernel,
    discrepancy,
    frechet_distance,
    frechet_estimate,
    gaussian_discrepancy,
    gaussian_kernel,
    kernel_distance,
    median_bandwidth,
    precision_and_recall,
    with_interval,
)
from SynthMRILib.evaluation.sets.diversity import mean_volume_bytes, ms_ssim, pairwise_ms_ssim, scales_for
from SynthMRILib.evaluation.sets.features import hand_made
from SynthMRILib.evaluation.sets.frame import Frame, in_frame, slices_of
from SynthMRILib.evaluation.sets.memorization import check_memorization, correlation_distances
from SynthMRILib.evaluation.sets.utility import (
    REPEATS,
    TEST_SHARE,
    _gain,
    balanced_accuracy,
    fit_and_predict,
    fit_logistic,
    utility,
)
from SynthMRILib.volume import Volume


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(1)


def textured(random: np.random.Generator, size: int) -> np.ndarray:
    from scipy import ndimage

    return np.clip(0.5 + 2 * ndimage.gaussian_filter(random.standard_normal((size,) * 3), 2), 0, 1)


def test_the_frechet_distance_is_that_of_the_matrix_square_root(random):
    a, b = random.standard_normal((80, 6)), random.standard_normal((90, 6)) @ random.standard_normal((6, 6)) + 1
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * linalg.sqrtm(first @ second).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("shift, scale, expected", [(0, 1, 0), (3, 1, 9 * 4), (0, 2, None)])
def test_frechet_distances_of_known_cases(random, shift, scale, expected):
    a = random.standard_normal((500, 4))
    center = a.mean(axis=0)
    b = center + scale * (a - center) + shift
    own = np.trace(np.cov(a, rowvar=False))
    assert frechet_distance(a, b) == pytest.approx(own if expected is None else expected, abs=1e-8)


def test_the_gaussian_discrepancy_is_its_definition_and_the_kernels_are_those_of_scikit_learn(random):
    from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

    a, b = random.standard_normal((12, 5)), random.standard_normal((9, 5)) + 0.5
    width = median_bandwidth(a, b)
    np.testing.assert_allclose(gaussian_kernel(a, b, bandwidth=width), rbf_kernel(a, b, gamma=1 / (2 * width**2)))
    np.testing.assert_allclose(cubic_kernel(a, b), polynomial_kernel(a, b, degree=3, gamma=1 / 5, coef0=1))
    kernels = [rbf_kernel(x, y, gamma=1 / (2 * width**2)) for x, y in ((a, a), (b, b), (a, b))]
    within = [sum(k[i, j] for i in range(len(k)) for j in range(len(k)) if i != j) for k in kernels[:2]]
    expected = within[0] / (12 * 11) + within[1] / (9 * 8) - 2 * kernels[2].mean()
    assert gaussian_discrepancy(a, b).value == pytest.approx(expected, abs=1e-12)


def test_the_kernel_distance_is_zero_on_average_for_one_distribution_and_grows_with_a_shift(random):
    values = [kernel_distance(*random.standard_normal((2, 15, 1, 8)), seed=n).value for n in range(40)]
    assert abs(np.mean(values)) < 3 * np.std(values) / sqrt(len(values))
    a, b = random.standard_normal((2, 15, 3, 8))
    shifts = [kernel_distance(a, b + shift).value for shift in (0, 0.5, 1)]
    assert shifts[0] < shifts[1] < shifts[2]


def test_a_draw_never_pairs_a_volume_with_itself():
    """A kernel of ones has no discrepancy, whatever is drawn; with self-pairs counted a sharp kernel would show one."""
    sharp = np.eye(10)
    estimate = with_interval(0.0, (10, 10), lambda u, v: _drawn(sharp, u, v), seed=0)
    assert discrepancy(sharp, sharp, np.zeros((10, 10))) == 0 and estimate.low == estimate.high == 0


def _drawn(kernel, u, v):
    from SynthMRILib.evaluation.sets.distances import _discrepancy

    return _discrepancy(kernel, kernel, np.zeros_like(kernel), u, v)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    hits = 0
    for n in range(20):
        random = np.random.default_rng(n)
        a, b = random.standard_normal((25, 1, 3)), random.standard_normal((25, 1, 3)) + 1.0
        estimate = frechet_estimate(a, b, seed=n)
        hits += estimate.low <= 3.0 + 0.3 and estimate.high >= 3.0
    assert hits >= 16


def test_intervals_resample_volumes_so_more_slices_of_the_same_volumes_do_not_narrow_them(random):
    a, b = random.standard_normal((2, 12, 1, 4))
    one, many = (kernel_distance(np.repeat(a, n, axis=1), np.repeat(b, n, axis=1)) for n in (1, 6))
    assert many.value == pytest.approx(one.value) and many.high - many.low == pytest.approx(one.high - one.low)


@pytest.mark.parametrize("kind, expected", [("same", (1, 1)), ("apart", (0, 0)), ("half", (1, 0.5))])
def test_precision_and_recall_of_known_cases(random, kind, expected):
    real = random.standard_normal((20, 2, 3))
    real[10:] += 100
    synthetic = {"same": real, "apart": real + 1000, "half": np.concatenate([real[:10], real[:10]])}[kind]
    found = precision_and_recall(real, synthetic)
    assert tuple(e.value for e in found) == expected


def test_precision_and_recall_agree_with_scikit_learn(random):
    from sklearn.neighbors import NearestNeighbors

    real, synthetic = random.standard_normal((40, 1, 4)), 0.8 * random.standard_normal((30, 1, 4)) + 0.4
    expected = []
    for manifold, judged in ((real[:, 0], synthetic[:, 0]), (synthetic[:, 0], real[:, 0])):
        reach = NearestNeighbors(n_neighbors=4).fit(manifold).kneighbors(manifold)[0][:, 3]
        distances, order = NearestNeighbors(n_neighbors=len(manifold)).fit(manifold).kneighbors(judged)
        expected.append((distances <= reach[order]).any(axis=1).mean())
    assert tuple(e.value for e in precision_and_recall(real, synthetic)) == pytest.approx(expected)


def test_ms_ssim_agrees_with_monai(random):
    import torch
    from monai.metrics import MultiScaleSSIMMetric

    a = textured(random, 24)
    b = np.clip(a + 0.05 * random.standard_normal(a.shape), 0, 1)
    pair = [torch.from_numpy(v)[None, None] for v in (a, b)]
    weights = tuple(np.array((0.0448, 0.2856)) / sum((0.0448, 0.2856)))
    expected = float(MultiScaleSSIMMetric(spatial_dims=3, weights=weights)(*pair))
    assert ms_ssim(a, b) == pytest.approx(expected, abs=2e-4)


def test_one_scale_is_the_ssim_of_scikit_image(random):
    from skimage.metrics import structural_similarity

    a = textured(random, 24)
    b = np.clip(a + 0.1 * random.standard_normal(a.shape), 0, 1)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    assert ms_ssim(a, b, scales=1) == pytest.approx(structural_similarity(a, b, **options), abs=1e-7)


def test_ms_ssim_has_as_many_scales_as_fit():
    assert [scales_for(n) for n in (11, 22, 96, 176, 300)] == [1, 2, 4, 5, 5]
    with pytest.raises(InputError, match="at least 11 voxels"):
        scales_for(10)


def test_a_set_of_copies_has_no_variety(random):
    one = textured(random, 24)
    others = np.stack([textured(random, 24) for _ in range(5)])
    assert pairwise_ms_ssim(np.stack([one] * 5), pairs=6).value == pytest.approx(1)
    assert pairwise_ms_ssim(others, pairs=6).value < 0.6
    assert mean_volume_bytes(others) < mean_volume_bytes(np.stack([one] * 5))


def test_a_copy_among_synthetic_volumes_is_found_and_others_are_not(random):
    real = np.stack([textured(random, 16) for _ in range(8)])
    synthetic = np.stack([textured(random, 16) for _ in range(6)])
    assert check_memorization(real, synthetic).copies == ()
    synthetic[4] = 1.1 * real[2] + 0.01 * random.standard_normal(real[2].shape)
    found = check_memorization(real, synthetic)
    assert found.copies == (4,) and found.nearest_real[4] == 2
    expected = 1 - np.corrcoef(real[0].ravel(), synthetic[0].ravel())[0, 1]
    assert correlation_distances(real, synthetic)[0, 0] == pytest.approx(expected)


def test_two_sets_of_one_distribution_are_as_near_to_each_other_as_each_to_itself(random):
    shares = [check_memorization(*random.standard_normal((2, 20, 3, 3, 3))).closer_than_real for _ in range(20)]
    assert 0.3 < np.mean(shares) < 0.6


def test_the_classifier_is_the_one_of_scikit_learn(random):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score

    features = random.standard_normal((60, 5))
    labels = np.argmax(features[:, :3] + random.standard_normal((60, 3)), axis=1)
    weights, intercept = fit_logistic(features, labels, classes=3, penalty=2.0)
    reference = LogisticRegression(C=1 / 2.0, tol=1e-8, max_iter=2000).fit(features, labels)
    probabilities = np.exp(features @ weights + intercept)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, reference.predict_proba(features), atol=2e-3)
    predicted = fit_and_predict(features, labels, features, classes=3)
    assert balanced_accuracy(labels, predicted) == pytest.approx(balanced_accuracy_score(labels, predicted))


def test_the_gain_is_that_of_the_corrected_resampled_t_test(random):
    alone, scores = random.uniform(0.5, 0.7, REPEATS), random.uniform(0.55, 0.8, REPEATS)
    gain = _gain(scores, alone)
    differences = scores - alone
    error = sqrt(differences.var(ddof=1) * (1 / REPEATS + TEST_SHARE / (1 - TEST_SHARE)))
    assert gain.gain.value == pytest.approx(differences.mean())
    assert gain.p == pytest.approx(2 * stats.t.sf(abs(differences.mean()) / error, REPEATS - 1))
    plain = stats.ttest_rel(scores, alone)
    assert gain.p > plain.pvalue, "halves that overlap are no independent repeats"
    assert gain.gain.low < gain.gain.value < gain.gain.high


def test_synthetic_volumes_of_the_right_labels_help_and_of_the_wrong_ones_harm(random):
    def volumes(count: int) -> tuple[np.ndarray, list[str]]:
        labels = [("a", "b")[n % 2] for n in range(count)]
        return random.standard_normal((count, 30)) + [[0.45 * (label == "b")] * 30 for label in labels], labels

    real, synthetic = volumes(16), volumes(120)
    wrong = [{"a": "b", "b": "a"}[label] for label in synthetic[1]]
    helps = utility(*real, *synthetic, real[0])
    harms = utility(*real, synthetic[0], wrong, real[0])
    assert helps["with synthetic"].score > helps["real"].score + 0.03 and helps["synthetic alone"].score > 0.7
    assert harms["with synthetic"].score < 0.5
    assert helps["real"].gain.value == 0


@pytest.mark.parametrize(
    "real, synthetic, words",
    [(["a"] * 20, ["a"] * 5, "two labels"), (["a"] * 20 + ["b"] * 3, ["a", "b"], "Only 3 real volumes")],
)
def test_the_utility_test_says_why_it_cannot_be_made(random, real, synthetic, words):
    features = random.standard_normal((len(real), 4))
    with pytest.raises(InputError, match=words):
        utility(features, real, features[: len(synthetic)], synthetic, features)


def test_volumes_of_any_orientation_get_the_same_frame(a_volume):
    from scipy.spatial.transform import Rotation

    frame = Frame(32, 2.0, 4)
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    # The same head in the same place: axes i and j of the grid run along other directions.
    voxels = np.ascontiguousarray(np.rot90(a_volume.voxels, axes=(1, 2)))
    matrix = a_volume.grid.ijk_to_ras.copy()
    n = a_volume.shape[2]
    swapped = np.stack([matrix[:, 1], -matrix[:, 0], matrix[:, 2], matrix[:, 3] + matrix[:, 0] * (n - 1)], axis=1)
    other = Volume(voxels, type(a_volume.grid)(voxels.shape, swapped))
    np.testing.assert_allclose(in_frame(other, frame), in_frame(a_volume, frame), atol=1e-4)


def test_slices_are_cut_along_the_planes_they_are_named_after():
    frame = Frame(24, 2.0, 3)
    voxels = np.stack([np.indices((24, 24, 24))[axis] for axis in range(3)]).astype(np.float32)
    for number, plane in enumerate(("axial", "coronal", "sagittal")):
        cuts = slices_of(voxels, plane, frame)
        assert cuts.shape == (3, 3, 24, 24)
        assert all(len(np.unique(cut)) == 1 for cut in cuts[number])


def test_hand_made_features_see_blur_and_noise(random):
    from scipy import ndimage

    slices = np.stack([textured(random, 32)[n] for n in range(4)])
    plain = hand_made(slices)
    for other in (ndimage.gaussian_filter(slices, (0, 2, 2)), slices + 0.2 * random.standard_normal(slices.shape)):
        assert np.abs(hand_made(other) - plain).mean() > 3 * np.abs(hand_made(slices * 1.0001) - plain).mean()
    assert np.isfinite(hand_made(np.zeros((1, 32, 32)))).all()
