"""Signals of clinical sequences from tissue parameters, in closed form (Bloch equations).

T1, T2, T2* and all sequence times are in ms, flip angles in degrees, proton density is relative. `inversion` is the
efficiency of an inversion pulse (1 perfect, 0 none), minus the cosine of its angle. Signed signals keep their sign
(phase-sensitive reconstruction), callers take the magnitude. Sources: MPRAGE steady state as in Deichmann 2000;
spoiled gradient echo Ernst 1966; double inversion recovery Redpath 1994; the rest from the Bloch equations by hand.
All parameters broadcast.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize

Array = np.ndarray


def decay(time: float, constant: Array) -> Array:
    """exp(-time / constant)."""
    return np.exp(-np.float32(time) / constant)


def spin_echo(pd: Array, t1: Array, t2: Array, *, tr: float, te: float, train: float = 0.0) -> Array:
    """(Turbo) spin echo with effective echo time `te` and an echo train of `train` ms after which Mz is zero."""
    return pd * (1 - decay(tr - train, t1)) * decay(te, t2)


def flair(
    pd: Array, t1: Array, t2: Array, *, tr: float, te: float, ti: float, train: float = 0.0, inversion: float = 1.0
) -> Array:
    """Signed signal of inversion recovery with a turbo-spin-echo readout."""
    mz = 1 - (1 + inversion) * decay(ti, t1) + inversion * decay(tr - train, t1)
    return pd * mz * decay(te, t2)


def double_inversion(
    pd: Array,
    t1: Array,
    t2: Array,
    *,
    tr: float,
    te: float,
    ti1: float,
    ti2: float,
    train: float = 0.0,
    inversion: float = 1.0,
) -> Array:
    """Signed signal of double inversion recovery.

    Args:
        ti1: first inversion to excitation [ms].
        ti2: second inversion to excitation [ms], shorter than ti1.
    """
    f = inversion
    recovered = 1 - decay(tr - train - ti1, t1)
    after_first = 1 - decay(ti1 - ti2, t1) * (1 + f * recovered)
    return pd * (1 - decay(ti2, t1) * (1 + f * after_first)) * decay(te, t2)


def spoiled_gradient_echo(pd: Array, t1: Array, t2_star: Array, *, tr: float, te: float, flip: float) -> Array:
    """Spoiled gradient echo (SPGR, FLASH) in the steady state."""
    angle = np.deg2rad(flip)
    e1 = decay(tr, t1)
    return pd * np.sin(angle) * (1 - e1) / (1 - np.cos(angle) * e1) * decay(te, t2_star)


def mprage(
    pd: Array,
    t1: Array,
    t2_star: Array,
    *,
    tr: float,
    ti: float,
    flip: float,
    spacing: float,
    pulses: int,
    te: float = 3.0,
    inversion: float = 1.0,
) -> Array:
    """Signed signal at the center of the readout of an inversion-prepared train of spoiled gradient echoes.

    Args:
        tr: from inversion to inversion [ms]; ti: from inversion to the central pulse [ms].
        spacing: echo spacing [ms]; pulses: number of readout pulses in a train.
    """
    # Mz after each step is a * Mz + b, so the steady state of the cycle is b / (1 - a), without iterating.
    angle = np.deg2rad(flip)
    before = pulses // 2
    wait = tr - ti - (pulses - before) * spacing
    e_delay, e_wait, e_pulse = decay(ti - before * spacing, t1), decay(wait, t1), decay(spacing, t1)
    q = np.cos(angle) * e_pulse
    gain, offset = -inversion * e_delay, 1 - e_delay
    a_first, b_first = _train(q, e_pulse, before)
    gain, offset = a_first * gain, a_first * offset + b_first
    a_rest, b_rest = _train(q, e_pulse, pulses - before)
    cycle_gain, cycle_offset = a_rest * gain * e_wait, (a_rest * offset + b_rest) * e_wait + 1 - e_wait
    start = cycle_offset / (1 - cycle_gain)
    return pd * (gain * start + offset) * np.sin(angle) * decay(te, t2_star)


def _train(q: Array, e_pulse: Array, pulses: int) -> tuple[Array, Array]:
    """Gain and offset of Mz over a number of pulse-and-recover steps."""
    power = q**pulses
    return power, (1 - e_pulse) * (1 - power) / (1 - q)


def inversion_efficiency(nominal: float, b1: float, *, adiabatic: bool) -> float:
    """Efficiency of an inversion pulse when the transmit field is `b1` times nominal.

    An adiabatic pulse inverts fully above its threshold (taken as 0.7 of nominal) and less below; a block pulse gives
    minus the cosine of its angle.
    """
    if adiabatic:
        return nominal * (1.0 if b1 >= 0.7 else max(1 - 2.0 * (0.7 - b1), 0.0))
    return -nominal * float(np.cos(np.pi * b1))


def refocusing_efficiency(b1: float) -> float:
    """Signal of a turbo spin echo relative to that at nominal transmit field.

    Excitation gives sin(b1 90 deg); a train with refocusing angle b1 180 deg settles near its sine of half the angle
    (pseudo steady state, Alsop 1997).
    """
    return float(np.sin(np.pi / 2 * b1) * np.abs(np.sin(np.pi / 2 * b1)))


def null_time(tr: float, t1: float) -> float:
    """Inversion time [ms] that nulls `t1` when the repetition time less the echo train is `tr` [ms]."""
    return float(t1 * np.log(2 / (1 + np.exp(-tr / t1))))


def null_times(tr: float, t1_short: float, t1_long: float) -> tuple[float, float]:
    """Both inversion times [ms] of double inversion recovery that null two T1 values.

    Args:
        tr: repetition time less the echo train [ms].
        t1_short, t1_long: e.g. those of white matter and of fluid [ms].
    """

    def first_time(second: float, t1: float) -> float:
        # 1 - 2 E(TI2) + 2 E(TI1) - E(TR) = 0, solved for TI1; none (infinite) when the sum is not positive.
        rest = (2 * np.exp(-second / t1) - 1 + np.exp(-tr / t1)) / 2
        return -t1 * np.log(rest) if rest > 0 else np.inf

    def mismatch(second: float) -> float:
        first = first_time(second, t1_long)
        return float(1 - 2 * np.exp(-second / t1_short) + 2 * np.exp(-first / t1_short) - np.exp(-tr / t1_short))

    second = float(optimize.brentq(mismatch, 0.05 * t1_short, 1.2 * t1_short))
    return float(first_time(second, t1_long)), second
