"""Measure how a run feels: `python Testing/Benchmarks/panel_responsiveness.py [--size 192] [--runs 3] [--record]`.

The real panel in the stand-in for Slicer's desktop, the real MRML and a real child process (B-spline interpolation, so
that nothing but the panel is measured). A timer of the event loop beats every 2 ms; the longest time between two beats
is the longest the user interface was blocked. It is given as time on the clock and as processor time of the thread of
the interface, which other processes of a busy machine do not change. The runs after the first half also want the
difference and the histogram, which threads compute. Drawing is not part of it: a graphics card does that in Slicer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SynthMRI"), str(ROOT / "Testing"), str(ROOT / "Testing" / "Python")]
RECORD = ROOT / "Documentation" / "figures" / "panel_responsiveness.json"
BEAT_MS = 2
SECONDS = 900


@dataclass
class Heart:
    """Beats while the event loop is free.

    Args:
        gaps: (seconds on the clock, seconds of processor time, what the panel said) between two beats.
    """

    gaps: list[tuple[float, float, str]] = field(default_factory=list)
    last: tuple[float, float] | None = None

    def beat(self, said: str) -> None:
        now = (time.perf_counter(), time.thread_time())
        if self.last is not None:
            self.gaps.append((now[0] - self.last[0], now[1] - self.last[1], said))
        self.last = now

    def longest(self) -> dict[str, Any]:
        clock, processor = max(self.gaps), max(self.gaps, key=lambda gap: gap[1])
        return {
            "clock_ms": round(1000 * clock[0], 1),
            "processor_ms": round(1000 * processor[1], 1),
            "when": processor[2],
        }


def measure(desktop: Any, panel: Any, *, extras: bool) -> dict[str, Any]:
    """One run, from the click to the comparison, with difference and histogram as `extras`."""
    import qt

    panel.ui.differenceCheckBox.checked = extras
    heart = Heart()
    timer = qt.QTimer()
    timer.setInterval(BEAT_MS)
    timer.connect("timeout()", lambda: heart.beat(panel.ui.statusLabel.text))
    timer.start()
    desktop.process_events(50)
    heart.gaps.clear()
    start, processor = time.perf_counter(), time.thread_time()
    panel.ui.applyButton.click()
    click = 1000 * (time.perf_counter() - start), 1000 * (time.thread_time() - processor)
    visible = panel.ui.progressBar.visible and bool(panel.ui.applyButton.text == "Cancel")
    first_text = desktop.wait_until(lambda: bool(panel.ui.statusLabel.text), timeout=SECONDS)
    first = 1000 * (time.perf_counter() - start)
    done = desktop.wait_until(lambda: not panel.logic.running, timeout=SECONDS)
    if not (visible and first_text and done):
        raise RuntimeError(panel.ui.statusLabel.text)
    if extras:
        panel.ui.histogramButton.click()
    settled = desktop.wait_until(lambda: not panel.comparePanel.busy, timeout=SECONDS)
    desktop.process_events(200)
    timer.stop()
    if not settled:
        raise RuntimeError("The difference was not computed in time.")
    return {
        "difference_and_histogram": extras,
        "click_to_progress_bar_ms": round(click[0], 1),
        "click_processor_ms": round(click[1], 1),
        "click_to_first_words_ms": round(first, 1),
        "longest_block": heart.longest(),
        "run_seconds": round(time.perf_counter() - start, 2),
    }


def head(size: int) -> np.ndarray:
    from conftest import head_like

    return head_like((size, size, size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=192, help="voxels of the input along each axis")
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(ROOT)}")
    arguments = parser.parse_args()
    from SlicerDesktop.desktop import install
    from SynthMRILib.evaluation.records import current_commit, write_record

    desktop = install()
    desktop.reset()
    os.environ["PATH"] = f"{desktop.home.programs}{os.pathsep}{os.environ['PATH']}"
    import slicer

    desktop.load_module(ROOT / "SynthMRI" / "SynthMRI.py")
    slicer.util.addVolumeFromArray(head(arguments.size), name="T1w")
    panel = desktop.open_module("SynthMRI")
    panel.ui.methodComboBox.setCurrentIndex(panel.ui.methodComboBox.findText("B-spline interpolation"))
    # The difference can only be asked for once there is a result; a run without it comes first.
    runs = [measure(desktop, panel, extras=2 * n >= arguments.runs) for n in range(arguments.runs)]
    options = f"--size {arguments.size} --runs {arguments.runs} --record"
    record = {
        "command": f"python Testing/Benchmarks/panel_responsiveness.py {options}",
        "commit": current_commit(ROOT),
        "input_voxels": [arguments.size] * 3,
        "cores": os.cpu_count(),
        "load_average_1_min": round(os.getloadavg()[0], 1),
        "runs": runs,
        "median_click_to_progress_bar_ms": statistics.median(run["click_to_progress_bar_ms"] for run in runs),
        "longest_block_processor_ms": max(run["longest_block"]["processor_ms"] for run in runs),
        "longest_block_clock_ms": max(run["longest_block"]["clock_ms"] for run in runs),
    }
    if arguments.record:
        write_record(RECORD, record)
    sys.stdout.write(json.dumps(record, indent=2) + "\n")
    desktop.reset()


if __name__ == "__main__":
    main()
