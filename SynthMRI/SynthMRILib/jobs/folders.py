"""The private folder through which the volumes of one job pass, and the removal of those that dead programs left.

Each folder holds a file that its owner keeps locked. The operating system releases the lock when the owner ends,
however it ends, so a lock that can be taken proves that nobody uses the folder. A process number would not: numbers are
reused, and containers or cluster nodes that share a temporary folder do not share numbers.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

PREFIX = "synthmri-job-"
LOCK_NAME = "in-use"

#: A folder without lock file may be one that is just being made; after this time [s] it is not.
MAKING_TAKES_AT_MOST = 60.0


class JobFolder:
    """A new folder that only the current user can enter (0700), in use until `remove` or until the process ends.

    Args:
        parent: where to make it; None for the system's temporary folder. Raises OSError when that is impossible.
        prefix: how its name begins.
    """

    def __init__(self, parent: Path | None = None, *, prefix: str = PREFIX) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            self._lock_file = _open_lock(self.path)
            if self._lock_file is not None:
                return

    def remove(self) -> None:
        """Delete the folder and all it holds; harmless when it is gone already."""
        _delete(self.path, self._lock_file)


def remove_abandoned(parent: Path | None = None, *, prefix: str = PREFIX) -> None:
    """Delete the folders of that prefix whose owner is no longer alive. Folders of other users are left alone."""
    for path in Path(parent or tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            _remove_if_abandoned(path)


def _open_lock(folder: Path) -> BinaryIO | None:
    """The held lock of a new folder; None when somebody who took it for abandoned was faster."""
    try:
        file = (folder / LOCK_NAME).open("xb")
    except FileNotFoundError:
        return None
    # Where locks are not supported, nobody can take this one either, so nobody will delete the folder.
    if try_lock(file) is False or not (folder / LOCK_NAME).exists():
        file.close()
        return None
    return file


def _remove_if_abandoned(path: Path) -> None:
    status = path.lstat()
    if path.is_symlink() or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
        return
    if not (path / LOCK_NAME).exists():
        if time.time() - status.st_mtime > MAKING_TAKES_AT_MOST:
            shutil.rmtree(path, ignore_errors=True)
        return
    with (path / LOCK_NAME).open("r+b") as file:
        if try_lock(file):
            _delete(path, file)


def _delete(path: Path, lock_file: BinaryIO) -> None:
    # Under the lock first; the second pass is for Windows, where an open file cannot be deleted.
    shutil.rmtree(path, ignore_errors=True)
    lock_file.close()
    shutil.rmtree(path, ignore_errors=True)


def try_lock(file: BinaryIO) -> bool | None:
    """True when the lock is ours now, False when another holds it, None when the file system has no locks."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True
