"""Which sequence an input most likely is, and how its units follow from tissue parameters.

Files seldom tell sequence times, and a scanner's units are arbitrary. So a family of protocols of each contrast is
tried on nominal tissue; the one whose ratios of white matter, gray matter and fluid are nearest to those measured is
taken, with one scale; what remains is removed by a piecewise linear map through zero and the three tissues. The times
so found are effective ones: they explain the contrast, they are not what the scanner was told.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..simulation import contrast as equations
from ..simulation.protocols import NOMINAL_FLUID_T1, NOMINAL_WHITE_T1
from ..simulation.tissue import TISSUE_INDEX, TISSUES
from .tissue_fit import TISSUES as FITTED


@dataclass(frozen=True, eq=False)
class Compartments:
    """Relative proton density, T1 [ms] and T2 [ms], arrays of one shape."""

    density: np.ndarray
    t1: np.ndarray
    t2: np.ndarray


Signal = Callable[[Compartments], np.ndarray]
_NOMINAL = [TISSUES[TISSUE_INDEX[name]] for name in ("csf", "cortex", "white-matter")]
#: Nominal fluid, gray and white matter, in the order of `tissue_fit.TISSUES`.
NOMINAL = Compartments(*(np.array([getattr(t, name) for t in _NOMINAL]) for name in ("proton_density", "t1", "t2")))

DIR_TR, DIR_TRAIN, DIR_TE = 7500.0, 700.0, 100.0
DIR_TI1, DIR_TI2 = equations.null_times(DIR_TR - DIR_TRAIN, NOMINAL_WHITE_T1, NOMINAL_FLUID_T1)


def dir_signal(voxel: Compartments) -> np.ndarray:
    """Signed double inversion recovery at 3 T: TR 7500 ms, TE 100 ms, inversion times that null WM and CSF."""
    times = {"tr": DIR_TR, "te": DIR_TE, "ti1": DIR_TI1, "ti2": DIR_TI2, "train": DIR_TRAIN}
    return equations.double_inversion(voxel.density, voxel.t1, voxel.t2, **times)


def _spin_echo(**times: float) -> Signal:
    return lambda v: equations.spin_echo(v.density, v.t1, v.t2, **times)


def _inversion_recovery(**times: float) -> Signal:
    return lambda v: equations.flair(v.density, v.t1, v.t2, **times)


def _mprage(**times: float) -> Signal:
    fixed = {"flip": 9.0, "spacing": 7.0, "pulses": 160}
    return lambda v: equations.mprage(v.density, v.t1, 0.6 * v.t2, **times, **fixed)


def _candidates(contrast: str) -> Iterator[tuple[dict[str, Any], Signal]]:
    """Protocols of a contrast, as (times in words, signal)."""
    if contrast == "t2":
        for tr, te in itertools.product((2600, 4000, 6000), range(70, 171, 10)):
            yield {"sequence": "spin-echo", "tr": tr, "te": te}, _spin_echo(tr=tr, te=te, train=150)
    elif contrast == "flair":
        nulls = {tr: equations.null_time(tr - 700, NOMINAL_FLUID_T1) for tr in (4800, 6500, 9000)}
        for tr, share, te in itertools.product(nulls, (0.8, 0.86, 0.92, 0.96, 1.0, 1.04), range(80, 181, 20)):
            times = {"tr": tr, "ti": round(share * nulls[tr]), "te": te}
            yield {"sequence": "flair", **times}, _inversion_recovery(**times, train=700)
    else:
        for tr, ti in itertools.product((1900, 2300), range(700, 1151, 50)):
            yield {"sequence": "mprage", "tr": tr, "ti": ti}, _mprage(tr=tr, ti=ti)
        for tr, ti in itertools.product((1500, 2000, 2600), range(500, 1001, 50)):
            times = {"tr": tr, "ti": ti, "te": 15}
            yield {"sequence": "inversion-recovery", **times}, _inversion_recovery(**times, train=100)
        for tr in (400, 500, 650, 800):
            yield {"sequence": "spin-echo", "tr": tr, "te": 12}, _spin_echo(tr=tr, te=12)


@dataclass(frozen=True, eq=False)
class Calibration:
    """From tissue parameters to the units of one input.

    Args:
        times: the protocol chosen, effective times in ms.
        signal: its signed signal.
        measured: intensity of fluid, gray and white matter in the input, (3,).
        misfit: root mean square of the log ratios that the protocol alone leaves, before the piecewise linear map.
    """

    times: dict[str, Any]
    signal: Signal
    measured: np.ndarray
    misfit: float

    def to_input(self, magnitude: np.ndarray) -> np.ndarray:
        """Intensity in the input's units of a signal of `signal`."""
        modeled = np.abs(self.signal(NOMINAL))
        order = np.argsort(modeled)
        x = np.concatenate([[0.0], modeled[order]])
        y = np.concatenate([[0.0], np.maximum.accumulate(self.measured[order])])
        beyond = magnitude > x[-1]
        return np.where(beyond, magnitude * (y[-1] / x[-1]), np.interp(magnitude, x, y))

    def as_dict(self) -> dict[str, Any]:
        measured = dict(zip(FITTED, np.round(self.measured, 4).tolist()))
        return {"effective_times_ms": self.times, "misfit": round(float(self.misfit), 4), "measured": measured}


def calibrate(contrast: str, measured: np.ndarray) -> Calibration:
    """The protocol of `contrast` ("flair", "t1", "t2") that explains the intensities of the three tissues best.

    Args:
        measured: intensity of fluid, gray and white matter, (3,), positive.
    """
    target = np.log(np.maximum(measured, 0.02 * measured.max()))
    best = None
    for times, signal in _candidates(contrast):
        modeled = np.abs(signal(NOMINAL))
        difference = np.log(np.maximum(modeled, 0.02 * modeled.max())) - target
        # Fluid counts half: flow, partial volume and the noise floor move it more than relaxation does.
        weights = np.array([0.5, 1.0, 1.0])
        difference -= np.average(difference, weights=weights)
        misfit = float(np.sqrt(np.average(difference**2, weights=weights)))
        misfit += 10.0 * (np.argsort(modeled) != np.argsort(measured)).any()
        if best is None or misfit < best.misfit:
            best = Calibration(times, signal, np.asarray(measured, dtype=float), misfit)
    return best
