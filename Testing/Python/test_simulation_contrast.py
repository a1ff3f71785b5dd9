"""Closed-form signals agree with Bloch equations iterated pulse by pulse; published timings null what they should."""

import numpy as np
import pytest
from SynthMRILib.simulation import contrast, protocols, relaxation

WHITE, GRAY, FLUID = 850.0, 1480.0, 4300.0
T1 = np.array([WHITE, GRAY, FLUID])


class Spins:
    """Longitudinal magnetization of one or more T1, advanced event by event: the reference for closed forms."""

    def __init__(self, t1: np.ndarray) -> None:
        self.t1 = np.asarray(t1, dtype=float)
        self.mz = np.zeros_like(self.t1)

    def wait(self, time: float) -> None:
        assert time >= -1e-9
        self.mz = 1 + (self.mz - 1) * np.exp(-time / self.t1)

    def invert(self, efficiency: float) -> None:
        self.mz = -efficiency * self.mz

    def pulse(self, flip: float) -> np.ndarray:
        signal = self.mz * np.sin(np.deg2rad(flip))
        self.mz = self.mz * np.cos(np.deg2rad(flip))
        return signal


def iterate(cycle, t1, number=60):
    spins = Spins(t1)
    for _ in range(number):
        signal = cycle(spins)
    return signal


def test_mprage_matches_iterated_pulses():
    tr, ti, flip, spacing, pulses, inversion = 2300.0, 950.0, 9.0, 7.0, 150, 0.94

    def cycle(spins):
        spins.invert(inversion)
        spins.wait(ti - pulses // 2 * spacing)
        for index in range(pulses):
            signal = spins.pulse(flip)
            if index == pulses // 2:
                center = signal
            spins.wait(spacing)
        spins.wait(tr - ti - (pulses - pulses // 2) * spacing)
        return center

    closed = contrast.mprage(
        1.0, T1, np.inf, tr=tr, ti=ti, flip=flip, spacing=spacing, pulses=pulses, te=0.0, inversion=inversion
    )
    assert np.allclose(closed, iterate(cycle, T1), atol=1e-6)


def test_spoiled_gradient_echo_matches_iterated_pulses():
    def cycle(spins):
        signal = spins.pulse(18.0)
        spins.wait(12.0)
        return signal

    closed = contrast.spoiled_gradient_echo(1.0, T1, np.inf, tr=12.0, te=0.0, flip=18.0)
    assert np.allclose(closed, iterate(cycle, T1, 5000), atol=1e-5)


@pytest.mark.parametrize("inversion", (1.0, 0.9))
def test_flair_and_double_inversion_match_iterated_cycles(inversion):
    tr, train, ti1, ti2 = 7500.0, 700.0, 3000.0, 550.0

    def flair(spins):
        spins.wait(tr - train - ti1)
        spins.invert(inversion)
        spins.wait(ti1)
        signal, spins.mz = spins.mz, np.zeros_like(T1)
        return signal

    def double(spins):
        spins.wait(tr - train - ti1)
        spins.invert(inversion)
        spins.wait(ti1 - ti2)
        spins.invert(inversion)
        spins.wait(ti2)
        signal, spins.mz = spins.mz, np.zeros_like(T1)
        return signal

    times = {"tr": tr, "te": 0.0, "train": train, "inversion": inversion}
    assert np.allclose(contrast.flair(1.0, T1, 1.0, ti=ti1, **times), iterate(flair, T1))
    assert np.allclose(contrast.double_inversion(1.0, T1, 1.0, ti1=ti1, ti2=ti2, **times), iterate(double, T1))


def test_spin_echo_recovers_after_its_train_and_decays_with_t2():
    signal = contrast.spin_echo(0.8, T1, np.array([75.0, 95.0, 1500.0]), tr=3000.0, te=90.0, train=200.0)
    assert np.allclose(signal, 0.8 * (1 - np.exp(-2800 / T1)) * np.exp(-90 / np.array([75.0, 95.0, 1500.0])))


@pytest.mark.parametrize(
    ("tr", "ti1", "ti2"), ((5500, 2550, 510), (6500, 2870, 535), (7500, 3130, 550), (11000, 3720, 570))
)
def test_double_inversion_times_of_clinical_protocols_follow_from_the_nulls(tr, ti1, ti2):
    first, second = contrast.null_times(tr - 700.0, WHITE, FLUID)
    assert first == pytest.approx(ti1, abs=12)
    assert second == pytest.approx(ti2, abs=5)
    null = contrast.double_inversion(
        1.0, np.array([WHITE, FLUID]), 1.0, tr=tr, te=0.0, ti1=first, ti2=second, train=700.0
    )
    assert np.abs(null).max() < 1e-6


@pytest.mark.parametrize(
    ("tr", "ti1", "ti2", "white", "fluid"), ((7500, 3000, 550, 0.03, 0.07), (5500, 2550, 450, 0.10, 0.03))
)
def test_published_double_inversion_protocols_suppress_white_matter_and_fluid(tr, ti1, ti2, white, fluid):
    mz = contrast.double_inversion(1.0, T1, 1.0, tr=tr, te=0.0, ti1=ti1, ti2=ti2, train=700.0)
    assert abs(mz[0]) < white
    assert abs(mz[2]) < fluid
    assert abs(mz[1]) > max(0.1, 1.5 * abs(mz[0]))


def test_flair_inversion_time_nulls_fluid():
    ti = contrast.null_time(9000.0 - 600.0, FLUID)
    assert abs(contrast.flair(1.0, FLUID, 1.0, tr=9000.0, te=0.0, ti=ti, train=600.0)) < 1e-6


def test_block_inversion_loses_efficiency_with_b1_and_adiabatic_inversion_does_not():
    assert contrast.inversion_efficiency(1.0, 0.8, adiabatic=False) == pytest.approx(-np.cos(0.8 * np.pi))
    assert contrast.inversion_efficiency(0.95, 0.8, adiabatic=True) == 0.95
    assert contrast.inversion_efficiency(1.0, 0.4, adiabatic=True) < 0.5


def brightness(kind: str, name: str, field_strength: float, seed: int) -> float:
    tissues = relaxation.table(relaxation.RelaxationRecord({}), field_strength=field_strength)
    protocol = protocols.draw(np.random.default_rng(seed), kind, field_strength=field_strength)
    signal = protocols.protocol_signal(protocol, tissues, np.zeros(1))
    return abs(float(signal[relaxation.TISSUE_INDEX[name], 0]))


@pytest.mark.parametrize("field_strength", (1.5, 3.0, 7.0))
@pytest.mark.parametrize(
    ("kind", "order"),
    (
        ("t1w", ("white-matter", "cortex", "csf")),
        ("t2w", ("csf", "lesion", "cortex", "white-matter")),
        ("flair", ("lesion", "cortex", "csf")),
        ("dir", ("lesion", "cortex", "white-matter")),
    ),
)
def test_drawn_protocols_give_the_contrast_a_radiologist_expects(kind, order, field_strength):
    seeds = range(12)
    levels = [np.median([brightness(kind, name, field_strength, seed) for seed in seeds]) for name in order]
    assert levels == sorted(levels, reverse=True)


def test_contrast_agent_shortens_t1_of_blood_and_leaves_brain_alone():
    before = relaxation.table(relaxation.RelaxationRecord({}), field_strength=3.0)
    after = relaxation.table(relaxation.RelaxationRecord({}), field_strength=3.0, gadolinium=1.0)
    vein, white = relaxation.TISSUE_INDEX["vein"], relaxation.TISSUE_INDEX["white-matter"]
    assert after.t1[vein] < 0.3 * before.t1[vein]
    assert after.t1[white] == before.t1[white]
