"""Measure how the panel feels: `python Testing/Benchmarks/panel_responsiveness.py [--sizes 160 256] [--record]`.

The real panel in the stand-in for Slicer's desktop, the real MRML and a real child process (B-spline interpolation, so
that nothing but the panel is measured), for inputs of whole numbers as scanners give them. A timer of the event loop
beats every 2 ms; the longest time between two beats is the longest the user interface was blocked. It is given as time
on the clock, as processor time of the interface's own thread, which other processes of a busy machine do not change,
and as processor time of all threads of the program between two beats. The last is the most that the interface can have
been blocked by the program itself, waiting for Python's lock included. What the machine adds is told by the longest
block while nothing happens. For each task the inputs are selected and the time until the findings are there is taken;
then runs are made. Those after the first half also want the difference and the histogram, which threads compute.
Drawing is not part of it: a graphics card does that in Slicer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
        gaps: between two beats: seconds on the clock, of processor time of this thread, of that of all threads.
        said: what the panel said at the end of each.
    """

    gaps: list[tuple[float, float, float]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    last: tuple[float, float, float] | None = None

    def beat(self, said: str) -> None:
        now = (time.perf_counter(), time.thread_time(), time.process_time())
        if self.last is not None:
            self.gaps.append(tuple(new - old for new, old in zip(now, self.last)))
            self.said.append(said)
        self.last = now

    def restart(self) -> None:
        """Forget all beats so far."""
        self.gaps, self.said = [], []

    def longest(self) -> dict[str, Any]:
        clock, own, all_threads = (max(column) for column in zip(*self.gaps))
        at = [gap[2] for gap in self.gaps].index(all_threads)
        return {
            "clock_ms": round(1000 * clock, 1),
            "processor_ms": round(1000 * own, 1),
            "processor_all_threads_ms": round(1000 * all_threads, 1),
            "when": self.said[at],
        }


@contextmanager
def heartbeat(desktop: Any, panel: Any) -> Iterator[Heart]:
    """A heart that beats from here to the end of the block."""
    import qt

    heart, timer = Heart(), qt.QTimer()
    timer.setInterval(BEAT_MS)
    timer.connect("timeout()", lambda: heart.beat(panel.ui.statusLabel.text or panel.ui.applyHintLabel.text))
    timer.start()
    desktop.process_events(50)
    heart.restart()
    yield heart
    desktop.process_events(200)
    timer.stop()


def measure_selection(desktop: Any, panel: Any, case: str, tab: int, nodes: dict[str, Any]) -> dict[str, Any]:
    """Inputs are selected in the tab of a task; until Apply is on, or it is said why not."""
    panel.ui.taskTabWidget.setCurrentIndex(tab)
    if "enhancement" in nodes:
        select(panel.ui.enhancementComboBox, nodes["enhancement"])
    if "method" in nodes:
        select(panel.ui.methodComboBox, nodes["method"])
    selectors = {getattr(panel.ui, name): node for name, node in nodes.items() if name.endswith("Selector")}
    for selector in selectors:
        selector.setCurrentNode(None)
    settle(desktop, panel)
    with heartbeat(desktop, panel) as heart:
        start = time.perf_counter()
        for selector, node in selectors.items():
            selector.setCurrentNode(node)
        returned = 1000 * (time.perf_counter() - start)
        settle(desktop, panel)
        answered = 1000 * (time.perf_counter() - start)
    return {
        "case": case,
        "selection_returns_ms": round(returned, 1),
        "findings_shown_ms": round(answered, 1),
        "longest_block": heart.longest(),
    }


def measure_nothing(desktop: Any, panel: Any) -> dict[str, Any]:
    """What the machine alone adds."""
    with heartbeat(desktop, panel) as heart:
        desktop.process_events(3000)
    return heart.longest()


def settle(desktop: Any, panel: Any) -> None:
    """Wait until what was selected has been checked."""
    if not desktop.wait_until(lambda: not panel.runPanel.checking, timeout=SECONDS):
        raise RuntimeError("The inputs were not checked in time.")


def measure_run(desktop: Any, panel: Any, *, extras: bool) -> dict[str, Any]:
    """One run, from the click to the comparison, with difference and histogram as `extras`."""
    panel.ui.differenceCheckBox.checked = extras
    settle(desktop, panel)
    with heartbeat(desktop, panel) as heart:
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
        if not desktop.wait_until(lambda: not panel.comparePanel.busy, timeout=SECONDS):
            raise RuntimeError("The difference was not computed in time.")
        seconds = time.perf_counter() - start
    return {
        "difference_and_histogram": extras,
        "click_to_progress_bar_ms": round(click[0], 1),
        "click_processor_ms": round(click[1], 1),
        "click_to_first_words_ms": round(first, 1),
        "longest_block": heart.longest(),
        "run_seconds": round(seconds, 2),
    }


def scan(size: int, name: str) -> Any:
    """A volume node of 16-bit whole numbers: a head in noise."""
    import slicer
    from conftest import head_like

    voxels = head_like((size, size, size))
    noise = np.random.default_rng(0).normal(0, 8, (2, *voxels.shape)).astype(np.float32)
    voxels = np.hypot(voxels + noise[0], noise[1]).astype(np.int16)
    return slicer.util.addVolumeFromArray(voxels, name=name)


def select(combo_box: Any, text: str) -> None:
    combo_box.setCurrentIndex(combo_box.findText(text))


def measure_size(desktop: Any, panel: Any, size: int, runs: int) -> dict[str, Any]:
    """Everything about inputs of one size; the scene is empty before and after it."""
    import slicer

    flair, t1, t2 = (scan(size, name) for name in ("FLAIR", "T1w", "T2w"))
    one = {"inputSelector": t1}
    cases = [
        ("super-resolution", 0, {**one, "enhancement": "Super-resolution"}),
        ("denoising", 0, {**one, "enhancement": "Denoising"}),
        ("synthetic DIR of three volumes", 1, {"flairSelector": flair, "t1Selector": t1, "t2Selector": t2}),
        ("motion correction, only measured", 2, {"motionSelector": t1, "method": "Only measure the motion"}),
    ]
    idle = measure_nothing(desktop, panel)
    selections = [measure_selection(desktop, panel, *case) for case in cases]
    panel.ui.taskTabWidget.setCurrentIndex(0)
    select(panel.ui.enhancementComboBox, "Super-resolution")
    select(panel.ui.methodComboBox, "B-spline interpolation")
    # The difference can only be asked for once there is a result; a run without it comes first.
    made = [measure_run(desktop, panel, extras=2 * n >= runs) for n in range(runs)]
    slicer.mrmlScene.Clear()
    desktop.process_events(50)
    blocks = [entry["longest_block"] for entry in (*selections, *made)]
    return {
        "input_voxels": [size] * 3,
        "longest_block_while_nothing_happens": idle,
        "selections": selections,
        "runs": made,
        "median_click_to_progress_bar_ms": statistics.median(run["click_to_progress_bar_ms"] for run in made),
        "longest_block_processor_ms": max(block["processor_ms"] for block in blocks),
        "longest_block_processor_all_threads_ms": max(block["processor_all_threads_ms"] for block in blocks),
        "longest_block_clock_ms": max(block["clock_ms"] for block in blocks),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[160, 256], help="voxels of the input along each axis")
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(ROOT)}")
    arguments = parser.parse_args()
    from SlicerDesktop.desktop import install
    from SynthMRILib.evaluation.records import current_commit, write_record

    desktop = install()
    desktop.reset()
    os.environ["PATH"] = f"{desktop.home.programs}{os.pathsep}{os.environ['PATH']}"
    desktop.load_module(ROOT / "SynthMRI" / "SynthMRI.py")
    panel = desktop.open_module("SynthMRI")
    sizes = [measure_size(desktop, panel, size, arguments.runs) for size in arguments.sizes]
    options = f"--sizes {' '.join(map(str, arguments.sizes))} --runs {arguments.runs} --record"
    record = {
        "command": f"python Testing/Benchmarks/panel_responsiveness.py {options}",
        "commit": current_commit(ROOT),
        "cores": os.cpu_count(),
        "load_average_1_min": round(os.getloadavg()[0], 1),
        "sizes": sizes,
    }
    if arguments.record:
        write_record(RECORD, record)
    sys.stdout.write(json.dumps(record, indent=2) + "\n")
    desktop.reset()


if __name__ == "__main__":
    main()
