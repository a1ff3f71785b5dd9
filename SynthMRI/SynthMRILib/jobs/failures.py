"""From what went wrong in a job to an error of ours with one sentence: what happened and what to do.

Exceptions are judged in the process where they were raised, ends of the child process in the parent.
"""

from __future__ import annotations

import errno
import signal
import traceback
from collections.abc import Sequence

from .. import errors
from ..errors import InputError, JobError, ResourceError, SynthMRIError
from .protocol import Message

#: How allocators that do not raise MemoryError say that memory ran out, in lower case.
_OUT_OF_MEMORY_TEXTS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "cannot allocate memory",
    "cublas_status_alloc_failed",
)
_ACCELERATOR_TEXTS = ("cuda", "cublas", "mps backend", "hip ", "xpu")
_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
#: What Windows gives as the exit code of a crashed process: an NTSTATUS of severity "error".
_WINDOWS_CRASH = 0xC0000000
_SIGKILL = 9
#: How Python's fault handler begins when the process crashes (it cannot when the process is killed), and what
#: PythonSlicer prints as the parent of a process that crashed or was killed; its own exit code is then always 1.
_CRASH_LINES = ("Fatal Python error: ", "Windows fatal exception: ")
_LAUNCHER_CRASH = "exit abnormally"

OUT_OF_MEMORY = "The computer ran out of memory: choose a smaller tile or close other programs, then run again."
OUT_OF_ACCELERATOR_MEMORY = "The graphics card ran out of memory: choose a smaller tile or the CPU, then run again."
DISK_FULL = "The disk that holds temporary files is full: free some space there, then run again."


class ChildTraceback(Exception):
    """The traceback of the child, shown as the cause of the error that the parent raises."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def as_synthmri_error(error: BaseException) -> SynthMRIError:
    """The error to show for an exception; a SynthMRIError stays what it is."""
    if isinstance(error, SynthMRIError):
        return error
    if is_out_of_memory(error):
        accelerator = any(text in str(error).lower() for text in _ACCELERATOR_TEXTS)
        return ResourceError(OUT_OF_ACCELERATOR_MEMORY if accelerator else OUT_OF_MEMORY)
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return ResourceError(DISK_FULL)
    if isinstance(error, ImportError):
        return JobError(
            f"A Python package that SynthMRI needs cannot be imported ({_one_line(error)}): "
            "install SynthMRI's requirements in this Python, then run again."
        )
    return JobError(
        f"The computation failed in a way that SynthMRI does not know ({type(error).__name__}: {_one_line(error)}): "
        "please report it with the details shown in the log."
    )


def is_out_of_memory(error: BaseException) -> bool:
    """True for Python's, numpy's and torch's ways to say that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _OUT_OF_MEMORY_TEXTS)


def message_from_error(error: BaseException) -> Message:
    """The fields of an `error` message. After memory ran out, a fresh child is the sure way to have it all back."""
    shown = as_synthmri_error(error)
    return {
        "kind": next(c.__name__ for c in type(shown).__mro__ if getattr(errors, c.__name__, None) is c),
        "message": str(shown),
        "traceback": "".join(traceback.format_exception(error)),
        "restart": is_out_of_memory(error),
    }


def error_from_message(message: Message) -> SynthMRIError:
    """The same error, of the same class and with the same sentence, in the parent."""
    kind = getattr(errors, message["kind"], JobError)
    error = kind(message["message"])
    error.__cause__ = ChildTraceback(message["traceback"])
    return error


def error_of_launch(error: BaseException, python: str) -> SynthMRIError:
    """Why the child could not be launched at all."""
    if isinstance(error, SynthMRIError):
        return error
    reason = getattr(error, "strerror", None) or _one_line(error)
    return JobError(
        f"The Python interpreter '{python}' cannot be started ({reason}): check that it exists and may run."
    )


def error_of_exit(code: int, *, started: bool, log: Sequence[str]) -> SynthMRIError:
    """What the end of the child means when nobody asked for it.

    Args:
        code: its exit code as `subprocess` gives it (negative: ended by that signal).
        started: whether it had said hello.
        log: what it printed.
    """
    crash = _crash_name(code, log)
    if not crash and _was_killed(code, log):
        return ResourceError(
            "The computing process was stopped from outside, most likely by the system because memory ran out: "
            "choose a smaller tile or close other programs, then run again."
        )
    if not started:
        reason = f": {log[-1]}" if log else ""
        return JobError(
            f"The computing process could not start (exit code {code}{reason}): "
            "check the Python interpreter and install SynthMRI's requirements in it."
        )
    if crash:
        return JobError(
            f"The computing process crashed ({crash}): run again, with device 'cpu' if it happens twice, "
            "and report it with the log."
        )
    return JobError(
        f"The computing process ended with exit code {code} before it delivered a result: run again, and report it "
        "with the log if it happens twice."
    )


def error_of_outputs(error: BaseException | None) -> SynthMRIError:
    """The child said it was done, but its outputs are not there, or not whole."""
    if error is not None and is_out_of_memory(error):
        return as_synthmri_error(error)
    return JobError(
        "The computing process reported success but its output is missing or incomplete: "
        "check the disk that holds temporary files, then run again."
    )


def error_of_version(theirs: str, ours: str) -> SynthMRIError:
    """Parent and child come from different installations."""
    return InputError(
        f"The computing process uses SynthMRI {theirs} but this program is {ours}: "
        "install the same version in both, then restart."
    )


def _crash_name(code: int, log: Sequence[str]) -> str:
    """What crashed the process, "" when it did not crash. The log knows it even if a launcher hides the code."""
    for line in log:
        if line.startswith(_CRASH_LINES):
            return line.partition(": ")[2]
    if code >= _WINDOWS_CRASH:
        return f"0x{code:08X}"
    return signal.Signals(-code).name if code < 0 and code != -_SIGKILL else ""


def _was_killed(code: int, log: Sequence[str]) -> bool:
    return code in (-_SIGKILL, 128 + _SIGKILL) or (bool(log) and _LAUNCHER_CRASH in log[-1])


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
