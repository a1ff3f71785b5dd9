"""Add bundles to the user's own folder, from a folder, a ZIP archive or the web, and delete them again.

A downloaded archive is opened only when its SHA-256 is the one the user was given; a bundle is added only when it
passes all checks of `bundles.py`, its weights included. Nothing is sent.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import struct
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from .bundles import METADATA, Bundle, checked, load_bundle, search_paths, user_folder
from .errors import BundleError, Cancelled, InputError, ResourceError

BLOCK = 1 << 16
TIMEOUT_SECONDS = 30
#: Largest archive, and largest content of one [bytes].
MOST_BYTES = 2 << 30

#: What reading an archive raises that is damaged, encrypted, or compressed in an unusual way.
UNSOUND = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, LookupError, OverflowError)

Progress = Callable[[float], None]


def add_bundle(path: str | Path) -> Bundle:
    """Check a bundle (folder or ZIP archive) and copy it to the user's own.

    Raises InputError when it cannot be used, also because a bundle of that name comes before it; nothing is changed
    then.
    """
    path = Path(path)
    if path.is_dir():
        return _install(path)
    if not path.is_file():
        raise InputError(f"There is no folder or archive '{path.name}'; check the path.")
    if not zipfile.is_zipfile(path):
        raise InputError(f"'{path.name}' is neither a folder nor a ZIP archive; choose the one that holds the model.")
    with tempfile.TemporaryDirectory(prefix="synthmri-bundle-") as folder:
        # An archive without a folder of its own is named after its file.
        return _install(_unpack(path, Path(folder) / path.stem))


def download_bundle(
    url: str, sha256: str, *, progress: Progress | None = None, cancelled: Callable[[], bool] = lambda: False
) -> Bundle:
    """Download an archive, compare its SHA-256, and add the bundle in it.

    Args:
        url: http or https address of a ZIP archive.
        sha256: 64 hexadecimal digits.
        progress: called with the fraction downloaded, 0 to 1, where the size is known.
        cancelled: asked now and then whether to stop.

    Raises:
        InputError: address or hash have the wrong form, the hash differs, or the bundle cannot be used.
        ResourceError: the address cannot be reached, with the way to go on without it.
        Cancelled: `cancelled` said so; nothing was changed.
    """
    expected = sha256.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", expected):
        raise InputError("The SHA-256 must have 64 digits and letters a to f; copy it from where the model is offered.")
    if not re.match(r"https?://", url.strip()):
        raise InputError("The web address must begin with https:// or http://.")
    with tempfile.TemporaryDirectory(prefix="synthmri-download-") as folder:
        archive = Path(folder) / (Path(urllib.parse.urlparse(url).path).name or "bundle.zip")
        found = _fetch(url.strip(), archive, progress, cancelled)
        if found != expected:
            raise InputError(
                "The downloaded archive has another SHA-256 than the one you gave, so it was not opened. "
                "Check both, or ask the authors of the model."
            )
        return add_bundle(archive)


def bundle_to_delete(name_or_folder: str | Path) -> Bundle:
    """The user's own bundle of a name, also where one that comes with SynthMRI hides it; else the one that is used."""
    own = user_folder() / name_or_folder
    is_name = Path(name_or_folder).name == str(name_or_folder)
    return load_bundle(own if is_name and own.is_dir() else name_or_folder)


def delete_bundle(bundle: Bundle) -> None:
    """Delete a bundle that a user added; raises InputError for those that come with SynthMRI."""
    if not is_own(bundle):
        raise InputError(f"'{bundle.name}' is shipped with SynthMRI and is not deleted.")
    shutil.rmtree(bundle.folder)


def is_own(bundle: Bundle) -> bool:
    """True for a bundle in the user's own folder."""
    try:
        return bundle.folder.resolve().is_relative_to(user_folder().resolve())
    except BundleError:  # no such folder
        return False


def _install(folder: Path) -> Bundle:
    bundle = checked(folder)
    bundle.read_weights()
    target = user_folder() / bundle.name
    if target.exists():
        raise InputError(f"A bundle '{bundle.name}' is installed already. Delete it first.")
    if os.environ.get("SYNTHMRI_MODELS") and user_folder() not in search_paths():
        raise InputError(
            "The models of this computer are those that SYNTHMRI_MODELS names, so an added one would not be used. "
            "Name its folder with --bundle, or put it into one of those folders."
        )
    if any((path / bundle.name).exists() for path in search_paths()):
        raise InputError(
            f"A bundle '{bundle.name}' comes with SynthMRI, and of two with one name only that one would be used. "
            "Give the folder of yours another name and add it again."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".adding-", dir=target.parent))
    try:
        shutil.copytree(folder, staging / bundle.name)
        (staging / bundle.name).rename(target)
    except OSError as error:
        raise ResourceError(f"The bundle could not be copied: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return checked(target)


def _unpack(archive: Path, folder: Path) -> Path:
    """Unpack the archive and return the folder of the bundle in it. Raises BundleError when it is damaged or unsafe."""
    try:
        with zipfile.ZipFile(archive) as content:
            _extract(content, archive.name, folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(f"There is no space left to unpack '{archive.name}'; free some.") from error
        raise _damaged(archive) from error
    except UNSOUND as error:
        raise _damaged(archive) from error
    found = sorted(file.parent.parent for file in folder.rglob(METADATA))
    if not found:
        raise BundleError(f"There is no model in '{archive.name}'; it has no {METADATA}.")
    if len(found) > 1:
        raise BundleError(f"There are several models in '{archive.name}'; unpack it and add them one by one.")
    return found[0]


def _extract(content: zipfile.ZipFile, name: str, folder: Path) -> None:
    """Unpack regular files inside the folder only."""
    entries = [entry for entry in content.infolist() if not entry.is_dir()]
    if sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise BundleError(f"'{name}' holds more than {MOST_BYTES >> 30} GB and is not unpacked.")
    for entry in entries:
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        is_link = stat.S_ISLNK(entry.external_attr >> 16)
        if path.is_absolute() or ".." in path.parts or not path.parts or ":" in path.parts[0] or is_link:
            raise BundleError(f"'{name}' holds a path that leads out of its folder. It is not used.")
    content.extractall(folder)


def _damaged(archive: Path) -> BundleError:
    return BundleError(f"'{archive.name}' is damaged, or packed in a way that cannot be opened. Get it again.")


def _fetch(url: str, archive: Path, progress: Progress | None, cancelled: Callable[[], bool]) -> str:
    """Download into a file and return the SHA-256 of what came."""
    digest, received = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer, archive.open("wb") as file:
            size = int(answer.headers.get("Content-Length") or 0)
            while block := answer.read(BLOCK):
                if cancelled():
                    raise Cancelled("Cancelled: nothing was changed.")
                received += len(block)
                if received > MOST_BYTES:
                    raise InputError(f"The archive is larger than {MOST_BYTES >> 30} GB; it was not downloaded.")
                digest.update(block)
                file.write(block)
                if progress is not None and size:
                    progress(min(1.0, received / size))
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise ResourceError(
            f"The model could not be downloaded ({reason}). Check the address and the connection, "
            "or get the archive on another computer and add it from a folder."
        ) from error
    return digest.hexdigest()
