"""The child process of a job: `python -m SynthMRILib.jobs.worker`, spoken to through its standard streams.

It stays warm between runs and ends with its parent: on the end of its standard input a thread of its own ends the
process at once, even while torch computes, and on Linux the kernel does so when the parent dies.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import platform
import queue
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from .. import __version__
from ..errors import SynthMRIError
from ..tasks import get_task
from ..tasks.base import TaskResult
from . import protocol
from .failures import message_from_error
from .protocol import Message
from .reporter import ProgressReporter


def main() -> None:
    """Serve runs until standard input ends; never returns."""
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal is the parent's business
    die_with_parent()
    Worker(*claim_standard_streams()).serve()


def claim_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep standard input and output for the protocol alone.

    What anything here prints to descriptor 1, C libraries included, goes to standard error; processes started here
    inherit an empty standard input.
    """
    incoming, outgoing = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.stdout.reconfigure(line_buffering=True)
    # Never closed by Python: its end tells the parent that the process has ended, not that it is about to.
    return os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb", buffering=0, closefd=False)


def die_with_parent() -> None:
    """Linux: ask the kernel to kill this process when its parent dies, also while a library holds Python's lock."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


class Worker:
    """Runs tasks one after the other in the main thread while another thread listens to the parent.

    Args:
        incoming: binary stream of messages from the parent.
        outgoing: unbuffered binary stream of messages to the parent.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sending = threading.Lock()
        self._requests: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._reporter = ProgressReporter(self._send)
        self._folder: Path | None = None
        self._warm = False

    def serve(self) -> None:
        """Say hello, then answer requests until the process is ended by `_listen`."""
        threading.Thread(target=self._listen, name="synthmri-listener", daemon=True).start()
        self._send(
            {
                "type": "hello",
                "protocol": protocol.PROTOCOL_VERSION,
                "version": __version__,
                "python": platform.python_version(),
                "pid": os.getpid(),
            }
        )
        while True:
            request = self._requests.get()
            if request["type"] == "warm":
                self._warm_up()
            else:
                self._write(self._answer(request))
                if "torch" in sys.modules:
                    self._warm_up()

    def _listen(self) -> None:
        for line in self._incoming:
            message = protocol.decode(line)
            if message is None:
                continue
            if message["type"] == "cancel":
                self._reporter.cancel(message["job"])
            else:
                self._requests.put(message)
        self._leave()

    def _leave(self) -> None:
        """The parent is gone or wants no more: leave nothing behind and end, whatever the main thread does."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(0)

    def _send(self, message: Message) -> None:
        self._write(protocol.encode(message))

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        with self._sending, contextlib.suppress(OSError):  # a parent that is gone is noticed by `_listen`
            while rest:
                rest = rest[self._outgoing.write(rest) :]

    def _answer(self, request: Message) -> bytes:
        """Run a task. Whatever happens becomes a line; the process only ends on what Python cannot catch."""
        job = request["job"]
        self._folder = Path(request["folder"])
        self._reporter.begin(job)
        try:
            result = self._run(request)
            answer = {
                "type": "result",
                "job": job,
                "outputs": protocol.save_volumes(result.outputs, self._folder, "output"),
                "provenance": result.provenance,
                "measurements": result.measurements,
            }
            self._reporter.stop_if_cancelled()
            return protocol.encode(answer)
        except (Exception, SystemExit) as error:
            failure = message_from_error(error)
            if not isinstance(error, SynthMRIError):
                sys.stderr.write(failure["traceback"])
            return protocol.encode({"type": "error", "job": job, **failure})
        finally:
            self._reporter.end()
            sys.stdout.flush()
            sys.stderr.flush()
            os.write(2, protocol.END_OF_LOG)

    def _run(self, request: Message) -> TaskResult:
        inputs = protocol.load_volumes(request["inputs"], self._folder)
        task = get_task(request["task"])
        parameters = task.parameters_class.from_dict(request["parameters"])
        bundle = self._load_bundle(request["bundle"])
        self._reporter.stop_if_cancelled()
        return task.run(inputs, bundle, parameters, self._reporter)

    def _load_bundle(self, name: str | None) -> Any:
        if name is None:
            return None
        self._reporter(0.0, "Loading PyTorch" if not self._warm else "Loading the bundle")
        self._warm_up()
        from ..bundles import load_bundle

        return load_bundle(name)

    def _warm_up(self) -> None:
        """Import torch, which costs seconds, and tell what it can compute on."""
        if not self._warm:
            self._warm = True
            self._send({"type": "ready", **torch_facts()})


def torch_facts() -> dict[str, Any]:
    """Version of torch, the devices it can use with their memory [bytes], and the problem if it cannot be imported."""
    try:
        import torch
    except Exception as error:
        # Not fatal here: some runs need no network; those that do fail with their own sentence.
        return {"torch": None, "devices": [], "problem": f"{type(error).__name__}: {error}"}
    devices = [{"name": "cpu", "title": platform.processor() or platform.machine(), "memory": None}]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append({"name": f"cuda:{index}", "title": properties.name, "memory": properties.total_memory})
    if torch.backends.mps.is_available():
        devices.append({"name": "mps", "title": "Apple GPU", "memory": None})
    return {"torch": torch.__version__, "devices": devices, "problem": None}


if __name__ == "__main__":
    main()
