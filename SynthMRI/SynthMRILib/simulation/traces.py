"""How a head moves during a scan: a pose at any time, as a sum of what people do.

Components as seen in recorded traces: slow drift as neck muscles relax, smooth fractal wander, sudden shifts that
persist, swallows that jerk and decay within seconds, nods that come back, and breathing. Pitch (about R) and
translation along S dominate, as the head lies on its back. Units are mm and degrees, order (R, A, S, pitch, roll, yaw);
amplitudes follow published recipes of prospective-motion recordings, reimplemented here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from .records import Record, draw_seed

AXIS_WEIGHTS = np.array([0.5, 0.35, 1.0, 1.0, 0.35, 0.5])
"""Relative amplitude of (R, A, S, pitch, roll, yaw) in natural motion."""
Pose = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class EventRecord(Record):
    """Something sudden.

    Args:
        event: "step" (persists), "swallow" (decays) or "nod" (goes and comes back).
        start: fraction of the scan at which it begins (0 to 1).
        seconds: time constant of a swallow, duration of a nod; unused for a step.
        pose: amplitude along (R, A, S, pitch, roll, yaw) [mm, deg].
    """

    kind: ClassVar[str] = "motion-event"
    event: str
    start: float
    pose: Pose
    seconds: float = 2.0


@dataclass(frozen=True)
class TraceRecord(Record):
    """Motion of one head during one scan.

    Args:
        drift: deviation of the random walk after one minute [mm and deg].
        smooth: deviation of the smooth wander [mm and deg]; smooth_seconds: its longest period.
        breathing: amplitude [mm]; breathing_hz: its rate; breathing_phase: [rad].
        events: steps, swallows and nods.
        scale: factor on everything; 0 is a head that lies still.
        walk_seed: seed of drift and wander.
        turning: False for a head that only shifts: its rotations are left out.
    """

    kind: ClassVar[str] = "trace"
    drift: float = 0.0
    smooth: float = 0.0
    smooth_seconds: float = 120.0
    breathing: float = 0.0
    breathing_hz: float = 0.25
    breathing_phase: float = 0.0
    events: tuple[EventRecord, ...] = ()
    scale: float = 1.0
    walk_seed: int = 0
    turning: bool = True

    def scaled(self, factor: float) -> TraceRecord:
        """The same motion, larger or smaller."""
        return replace(self, scale=self.scale * factor)


def draw(rng: np.random.Generator, *, severity: float = 1.0) -> TraceRecord:
    """A trace; about one in eight is a head that lies almost still.

    Args:
        severity: factor on all amplitudes (1 ordinary, 3 a restless patient).
    """
    calm = rng.random() < 0.12
    events = [] if calm else [_draw_step(rng) for _ in range(rng.poisson(1.2))]
    events += [_draw_swallow(rng) for _ in range(rng.poisson(0.7))]
    if not calm and rng.random() < 0.15:
        pose = _amplitude(rng, 1.5, 3.0)
        events += [_draw_nod(rng, pose, start) for start in np.sort(rng.uniform(0.05, 0.95, rng.integers(2, 10)))]
    return TraceRecord(
        drift=float(rng.uniform(0.02, 0.3)),
        smooth=float(rng.uniform(0.02, 0.1) if calm else rng.gamma(2.0, 0.2)),
        smooth_seconds=float(rng.uniform(60, 240)),
        breathing=float(rng.uniform(0.02, 0.35) / max(severity, 1.0)),
        breathing_hz=float(rng.uniform(0.2, 0.33)),
        breathing_phase=float(rng.uniform(0, 2 * np.pi)),
        events=tuple(events),
        scale=float(severity),
        walk_seed=draw_seed(rng),
    )


def _amplitude(rng: np.random.Generator, millimeters: float, degrees: float) -> Pose:
    pose = rng.standard_normal(6) * AXIS_WEIGHTS * np.repeat((millimeters, degrees), 3)
    return tuple(pose.tolist())


def _draw_step(rng: np.random.Generator) -> EventRecord:
    size = float(np.exp(rng.uniform(np.log(0.3), np.log(3.0))))
    return EventRecord("step", float(rng.uniform(0.03, 0.97)), _amplitude(rng, size, size))


def _draw_swallow(rng: np.random.Generator) -> EventRecord:
    size = float(rng.uniform(0.3, 1.5))
    pose = (0.0, float(0.3 * size), size, float(rng.uniform(0.5, 1.5) * size), 0.0, 0.0)
    return EventRecord("swallow", float(rng.random()), pose, float(rng.uniform(1, 3)))


def _draw_nod(rng: np.random.Generator, pose: Pose, start: float) -> EventRecord:
    factor = rng.uniform(0.7, 1.3)
    return EventRecord("nod", float(start), tuple(float(factor * value) for value in pose), float(rng.uniform(2, 8)))


def poses(record: TraceRecord, times: np.ndarray, *, duration: float) -> np.ndarray:
    """Poses (times, 6) [mm, deg] at increasing `times` [s] of a scan that lasts `duration` [s]."""
    times = np.asarray(times, dtype=float)
    rng = np.random.default_rng(record.walk_seed)
    total = _walk(record, times, duration, rng) + _wander(record, times, rng)
    swing = np.sin(2 * np.pi * record.breathing_hz * times + record.breathing_phase)
    total += record.breathing * swing[:, None] * np.array([0.0, 0.5, 1.0, 0.3, 0.0, 0.0])
    for event in record.events:
        since = times - event.start * duration
        total += _course(event, since)[:, None] * np.array(event.pose)
    if not record.turning:
        total[:, 3:] = 0
    return record.scale * total


def _course(event: EventRecord, since: np.ndarray) -> np.ndarray:
    """Fraction of an event's amplitude at some time [s] since its start."""
    if event.event == "step":
        return (since >= 0).astype(float)
    if event.event == "swallow":
        return np.where(since >= 0, np.exp(-np.maximum(since, 0) / event.seconds), 0)
    if event.event == "nod":
        inside = (since >= 0) & (since <= event.seconds)
        return np.where(inside, np.sin(np.pi * np.clip(since / event.seconds, 0, 1)) ** 2, 0)
    raise ValueError(f"unknown motion event {event.event!r}")


def _walk(record: TraceRecord, times: np.ndarray, duration: float, rng: np.random.Generator) -> np.ndarray:
    """Random walk, drawn once a second so that it does not depend on when it is looked at."""
    seconds = max(int(np.ceil(duration)) + 2, 2)
    steps = rng.standard_normal((seconds, 6)) * AXIS_WEIGHTS * record.drift / np.sqrt(60)
    return _at(times, np.cumsum(steps, axis=0) - steps[0])


def _wander(record: TraceRecord, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sum of sines whose amplitude falls with frequency: a smooth fractal curve of deviation `smooth`."""
    octaves = np.arange(6)
    amplitudes = 0.5**octaves
    amplitudes /= np.sqrt((amplitudes**2).sum() / 2)
    phases = rng.uniform(0, 2 * np.pi, (6, octaves.size))
    rates = 2.0**octaves * rng.uniform(0.8, 1.25, (6, octaves.size)) / record.smooth_seconds
    curves = (amplitudes * np.sin(2 * np.pi * rates * times[:, None, None] + phases)).sum(-1)
    return record.smooth * AXIS_WEIGHTS * curves


def _at(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    grid = np.arange(len(values))
    return np.stack([np.interp(times, grid, column) for column in values.T], axis=1)
