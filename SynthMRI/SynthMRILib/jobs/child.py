"""The child process as its parent holds it: launched, listened to and ended without ever making the caller wait for it.

Two threads read its pipes into queues (no `select`, which Windows lacks for pipes). The end is reported last, after all
that the child said, so that the lines which tell why it ended are not lost.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import JobError
from . import protocol
from .protocol import Message

#: Longest protocol line and log line [bytes], and number of log lines kept: a child that prints a lot fills no memory.
LONGEST_MESSAGE = 16 * 2**20
LONGEST_LOG_LINE = 2000
LOG_LINES = 1000

#: Starts a process: called with its arguments and the keyword arguments for `subprocess.Popen`, returns the `Popen`.
Launch = Callable[[list[str], dict[str, Any]], subprocess.Popen]


def launch_process(arguments: list[str], options: dict[str, Any]) -> subprocess.Popen:
    """The launcher used unless another is given. It also suits Slicer with PythonSlicer as the interpreter.

    `slicer.util.launchConsoleProcess` does not: it opens no standard input and mixes the log into standard output.
    What it does besides (hidden console window, inherited environment) is in `options`. PythonSlicer is itself a
    launcher that starts the real interpreter with its own three streams and adds to PYTHONPATH, keeping what is there.

    A launcher of your own must pass `options` on, so that the three streams are binary pipes, the process leads a
    group of its own and the environment is complete. It is called in a background thread: no Qt, no MRML there.
    """
    return subprocess.Popen(arguments, **options)


def popen_options(environment: dict[str, str]) -> dict[str, Any]:
    """Keyword arguments for `subprocess.Popen`: binary pipes, own process group, no console window, UTF-8."""
    options: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": child_environment(environment),
    }
    if os.name == "nt":
        options["creationflags"] = subprocess.CREATE_NO_WINDOW
    else:
        options["start_new_session"] = True
    return options


def child_environment(extra: dict[str, str]) -> dict[str, str]:
    """The parent's environment and `extra`, with this very copy of SynthMRILib found first, wherever the child runs."""
    environment = {**os.environ, **extra, "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}
    root = Path(__file__).resolve().parents[2]
    if root.name not in ("site-packages", "dist-packages"):  # those are on the path, in their right place
        paths = [str(root), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment


class ChildProcess:
    """A child that is being launched, runs, or has ended.

    Args:
        arguments: interpreter and its arguments.
        options: keyword arguments for `subprocess.Popen`.
        launch: see `launch_process`.
        notice: called (in another thread) whenever there is something new to read here.
    """

    def __init__(
        self, arguments: list[str], options: dict[str, Any], *, launch: Launch, notice: Callable[[], None]
    ) -> None:
        self.born = time.monotonic()
        self.greeted = False
        self.folder = Path(tempfile.gettempdir())
        self._notice = notice
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._log_complete = threading.Event()
        self._process: subprocess.Popen | None = None
        self._lock = threading.Lock()
        self._killed = False
        # The kernel counts the death of the launching thread as the death of the parent, so this one lives as long as
        # the child does; a thread that merely submits a job may end earlier.
        self._thread = threading.Thread(
            target=self._live, args=(arguments, options, launch), name="synthmri-child", daemon=True
        )
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once the end of the process is known, or it was killed."""
        return self._thread.is_alive() and not self._killed

    def next_message(self) -> Message | None:
        """The next message, None when there is none yet. The last one is of type `ended`."""
        try:
            return self._messages.get_nowait()
        except queue.Empty:
            return None

    def take_log(self) -> list[str]:
        """The log lines since the last call; only the latest when there were very many."""
        lines = []
        with contextlib.suppress(IndexError):
            while True:
                lines.append(self._log.popleft())
        return lines

    def send(self, message: Message) -> None:
        """Send a message; a child that is gone is reported by its `ended` message."""
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(protocol.encode(message))
            self._process.stdin.flush()

    def kill(self, *, wait: float = 0.0) -> None:
        """End the process and all it started, now; then wait at most `wait` seconds until it is gone."""
        with self._lock:
            self._killed = True
            process = self._process
        if process is not None and process.returncode is None:
            kill_tree(process)
        self._thread.join(wait)

    def _live(self, arguments: list[str], options: dict[str, Any], launch: Launch) -> None:
        try:
            process = launch(arguments, options)
            if None in (process.stdin, process.stdout, process.stderr):
                kill_tree(process)
                raise JobError("The launcher gave the computing process no pipes: pass its options on to Popen.")
        except Exception as error:
            self._put({"type": "ended", "problem": error})
            return
        with self._lock:
            self._process = process
        if self._killed:
            kill_tree(process)
        log_thread = threading.Thread(target=self._read_log, args=(process.stderr,), name="synthmri-log", daemon=True)
        log_thread.start()
        self._read_messages(process.stdout)
        code = reap(process)
        log_thread.join(1.0)
        self._put({"type": "ended", "problem": None, "code": code})
        with contextlib.suppress(OSError):
            process.stdin.close()

    def _read_messages(self, stream: BinaryIO) -> None:
        while line := stream.readline(LONGEST_MESSAGE):
            message = protocol.decode(line)
            if message is None:
                self._add_to_log(line)
                continue
            if message["type"] in ("result", "error"):
                self._log_complete.wait(1.0)
                self._log_complete.clear()
            if message["type"] == "result":  # here rather than in the caller's thread, as it takes a while
                self._load_outputs(message)
            self._put(message)
        stream.close()

    def _load_outputs(self, message: Message) -> None:
        try:
            message["volumes"] = protocol.load_volumes(message["outputs"], self.folder)
            message["problem"] = None
        except Exception as error:
            message["problem"] = error

    def _read_log(self, stream: BinaryIO) -> None:
        while line := stream.readline(LONGEST_LOG_LINE):
            text = line.removesuffix(protocol.END_OF_LOG)
            if text:
                self._add_to_log(text)
            if text != line:
                self._log_complete.set()
        self._log_complete.set()
        stream.close()

    def _add_to_log(self, line: bytes) -> None:
        self._log.append(line[:LONGEST_LOG_LINE].decode("utf-8", errors="replace").rstrip())
        self._notice()

    def _put(self, message: Message) -> None:
        self._messages.put(message)
        self._notice()


def reap(process: subprocess.Popen) -> int:
    """Exit code of a process that closed its standard output, hence is ending. Ends what it started, too."""
    if os.name == "posix" and process.returncode is None:  # else its number may already belong to another
        kill_tree(process)  # comes too late to change the exit code of the process itself
    try:
        return process.wait(timeout=2.0)
    except subprocess.TimeoutExpired:
        kill_tree(process)
        return process.wait()


def kill_tree(process: subprocess.Popen) -> None:
    """End a process that leads its own group, and all processes it started, without asking."""
    if os.name == "nt":
        subprocess.run(
            ["taskkill", "/PID", str(process.pid), "/T", "/F"],
            capture_output=True,
            creationflags=subprocess.CREATE_NO_WINDOW,
            check=False,
        )
    else:
        with contextlib.suppress(OSError):  # already gone
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
