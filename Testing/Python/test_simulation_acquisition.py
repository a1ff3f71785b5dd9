"""Acquisition and noise: geometry stays physical, k-space acts as on a scanner, noise has its distribution."""

import numpy as np
import pytest
from scipy import stats
from simulation_phantoms import ball, textured_ball
from SynthMRILib.simulation import acquisition, bias, coils, noise, presets
from SynthMRILib.simulation.acquisition import AcquisitionRecord
from SynthMRILib.simulation.coils import CoilRecord
from SynthMRILib.simulation.noise import NoiseRecord
from SynthMRILib.simulation.records import Record
from SynthMRILib.volume import Grid, Volume

SHAPE = (40, 44, 48)


@pytest.fixture(scope="module")
def an_object() -> Volume:
    return textured_ball(SHAPE, (1.0, 1.0, 1.0))


def center_of_mass(volume: Volume) -> np.ndarray:
    weight = volume.voxels / volume.voxels.sum()
    ijk = np.tensordot(np.indices(volume.shape)[::-1].reshape(3, -1), weight.ravel(), 1)
    return volume.grid.index_to_ras(ijk)


def test_a_perfect_scan_returns_the_object(an_object):
    result = acquisition.apply(AcquisitionRecord(coils=CoilRecord(phase=1.0)), an_object)
    assert result.grid.matches(an_object.grid)
    assert np.abs(result.voxels - an_object.voxels).max() < 1e-5 * an_object.voxels.max()


@pytest.mark.parametrize(
    "record",
    (
        AcquisitionRecord(resolution_mm=(2.0, 2.0, 2.0)),
        AcquisitionRecord(resolution_mm=(1.5, 2.5, 1.0), zero_filling=2.0),
        AcquisitionRecord(slice_axis=0, thickness_mm=4.0, gap_mm=0.5),
        AcquisitionRecord(slice_axis=2, thickness_mm=3.0, resolution_mm=(1.3, 1.3, 1.3), zero_filling=1.5),
        AcquisitionRecord(partial_fourier=0.75, window=0.5),
    ),
    ids=("low", "interpolated", "slices", "slices-interpolated", "partial"),
)
def test_anatomy_stays_where_it_is_in_space(an_object, record):
    result = acquisition.apply(record, an_object)
    assert np.abs(center_of_mass(result) - center_of_mass(an_object)).max() < 0.12
    assert result.voxels.mean() == pytest.approx(an_object.voxels.mean(), rel=0.12)


def test_slices_are_as_far_apart_as_thickness_and_gap_say(an_object):
    result = acquisition.apply(AcquisitionRecord(slice_axis=0, thickness_mm=4.0, gap_mm=1.0), an_object)
    assert result.shape == (8, 44, 48)
    assert result.spacing[2] == pytest.approx(5.0)
    assert result.spacing[:2] == pytest.approx((1.0, 1.0))


def test_the_slice_profile_has_its_full_width_at_half_maximum():
    matrix = acquisition.slice_matrix(201, 1, spacing=0.1, step=4.0, thickness=4.0, exponent=4.0)[0]
    above = np.flatnonzero(matrix >= matrix.max() / 2)
    assert (above[-1] - above[0]) * 0.1 == pytest.approx(4.0, abs=0.3)
    assert matrix.sum() == pytest.approx(1.0, abs=1e-5)


def test_truncation_rings_and_a_window_damps_it():
    step = np.zeros((1, 64, 4), dtype=np.float32)
    step[:, 20:44] = 1
    edge = Volume(step, Grid.from_spacing(step.shape, (1, 1, 1)))
    plain, damped = (
        acquisition.apply(AcquisitionRecord(resolution_mm=(1, 2, 1), window=share, zero_filling=2.0), edge).voxels.max()
        for share in (0.0, 0.8)
    )
    assert plain > 1.06
    assert damped < plain - 0.03


def test_resampling_k_space_keeps_a_band_limited_object():
    volume = textured_ball((24, 24, 24), (2.0, 2.0, 2.0), seed=2)
    fine = acquisition.resample_k_space(volume.voxels.astype(np.complex64), (48, 36, 24))
    back = acquisition.resample_k_space(fine, (24, 24, 24))
    assert np.abs(np.abs(back) - volume.voxels).max() < 1e-3 * volume.voxels.max()


@pytest.mark.parametrize("channels", (1, 4))
def test_noise_in_air_and_tissue_has_the_expected_mean_and_variance(channels):
    rng, sigma = np.random.default_rng(0), 2.0
    air = noise.magnitude_noise(np.zeros(200_000, dtype=np.float32), sigma, channels=channels, rng=rng)
    chi = stats.chi(2 * channels, scale=sigma)
    assert air.mean() == pytest.approx(chi.mean(), rel=5e-3)
    assert air.std() == pytest.approx(chi.std(), rel=1e-2)
    tissue = noise.magnitude_noise(np.full(200_000, 6.0, dtype=np.float32), sigma, channels=channels, rng=rng)
    expected = stats.ncx2(2 * channels, (6.0 / sigma) ** 2)
    assert (tissue**2).mean() == pytest.approx(sigma**2 * expected.mean(), rel=5e-3)
    assert (tissue**2).std() == pytest.approx(sigma**2 * expected.std(), rel=2e-2)


def test_rician_noise_of_a_bright_image_has_the_mean_that_rice_gives():
    image = np.full(200_000, 10.0, dtype=np.float32)
    noisy = noise.magnitude_noise(image, 1.5, rng=np.random.default_rng(1))
    rice = stats.rice(10.0 / 1.5, scale=1.5)
    assert noisy.mean() == pytest.approx(rice.mean(), rel=2e-3)
    assert noisy.var() == pytest.approx(rice.var(), rel=2e-2)


@pytest.mark.parametrize(("channels", "adaptive"), ((1, False), (6, True), (6, False)))
def test_acquired_noise_in_air_follows_the_combination_of_channels(an_object, channels, adaptive):
    sigma, unit = 0.05, np.percentile(an_object.voxels[an_object.voxels > 0], 99.5)
    record = AcquisitionRecord(
        coils=CoilRecord(channels), adaptive=adaptive, normalized=False, noise=NoiseRecord(sigma=sigma, noise_seed=3)
    )
    air = acquisition.apply(record, an_object).voxels[an_object.voxels < 1e-4]
    chi = stats.chi(2 if adaptive else 2 * channels, scale=sigma * unit)
    assert air.mean() == pytest.approx(chi.mean(), rel=0.02)
    assert air.std() == pytest.approx(chi.std(), rel=0.04)


def test_normalization_makes_noise_vary_instead_of_signal(an_object):
    record = CoilRecord(channels=8, width=0.35)
    clean = acquisition.apply(AcquisitionRecord(coils=record), an_object).voxels
    assert np.abs(clean - an_object.voxels).max() < 1e-3 * an_object.voxels.max()
    shaded = acquisition.apply(AcquisitionRecord(coils=record, normalized=False), an_object).voxels
    ratio = shaded[an_object.voxels > 0.2] / an_object.voxels[an_object.voxels > 0.2]
    assert ratio.std() > 0.02
    sensitivity = coils.combined_sensitivity(record, SHAPE)
    assert np.allclose(ratio, sensitivity[an_object.voxels > 0.2], rtol=1e-2)


def test_bias_and_transmit_fields_are_smooth_and_as_strong_as_asked():
    image = np.ones(SHAPE, dtype=np.float32)
    shaded = bias.apply_bias(bias.BiasRecord(0.2, 20.0, 1), image)
    assert np.log(shaded).std() == pytest.approx(0.2, rel=1e-3)
    assert np.abs(np.diff(np.log(shaded), axis=1)).max() < 0.1
    fields = [
        bias.transmit_field(bias.draw_transmit(np.random.default_rng(2), field_strength=tesla), SHAPE)
        for tesla in (1.5, 7.0)
    ]
    assert fields[0].std() < fields[1].std()
    middle, border = fields[1][20, 22, 24], fields[1][0, 0, 0]
    assert middle > border


@pytest.mark.parametrize("kind", presets.ACQUISITIONS)
def test_a_preset_is_replayed_bit_for_bit_from_its_record(kind, an_object):
    record = presets.draw_acquisition(np.random.default_rng(8), kind)
    first = acquisition.apply(record, an_object)
    second = acquisition.apply(Record.from_dict(record.as_dict()), an_object)
    assert np.array_equal(first.voxels, second.voxels)
    assert first.grid.matches(second.grid)
    assert np.isfinite(first.voxels).all()


def test_noise_leaves_air_positive_and_a_void_silent():
    image = np.where(ball((20, 20, 20), (10, 10, 10), 7), 1.0, 0.0).astype(np.float32)
    noisy = noise.apply(NoiseRecord(sigma=0.03, variation=0.3, noise_seed=4), image)
    assert (noisy >= 0).all()
    assert noisy[image == 0].mean() == pytest.approx(0.03 * np.sqrt(np.pi / 2), rel=0.2)
