"""How much memory the machine has and the process uses, without a package of its own for it."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path


def total_memory() -> int:
    """Physical memory of the machine [bytes]; what a container may use where a limit is set."""
    if sys.platform == "win32":
        return _windows_memory()
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([total, *_container_limits()])


def _container_limits() -> list[int]:
    limits = []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            limits.append(int(text))
    return limits


def _windows_memory() -> int:
    class Status(ctypes.Structure):
        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "page", "pages", "virtual", "left", "extended")),
        ]

    status = Status()
    status.length = ctypes.sizeof(Status)
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.total)


def peak_memory() -> int:
    """Largest resident size of this process so far [bytes]; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def readable(size: float) -> str:
    """A size in GB with one decimal."""
    return f"{size / 1e9:.1f} GB"


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next tensor instead of returning it to the system each time.

    Without this a third to a half of the time of a convolution network on a CPU can go to page faults. Only for the
    GNU C library; elsewhere nothing happens.
    """
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(mmap_threshold, 32 << 20)
    mallopt(trim_threshold, (1 << 31) - 1)
    mallopt(top_pad, 256 << 20)
