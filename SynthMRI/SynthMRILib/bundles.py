"""Bundles: a trained network on disk, in the shape of a MONAI Bundle, that is data and never code.

A bundle is a folder with `configs/metadata.json`, `models/model.safetensors`, the model card `docs/README.md` and a
`LICENSE`. The `synthmri` section of the metadata says which network of an allow-list to build, with which arguments,
and the SHA-256 of the weights. Nothing in a bundle is ever evaluated, and pickled weights are never opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BundleError

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = 1
WEIGHTS = "models/model.safetensors"
METADATA = "configs/metadata.json"
CARD = "docs/README.md"
PICKLED = (".pt", ".pth", ".pkl", ".ckpt", ".bin")
MAXIMUM_ARGUMENT = 4096
MAXIMUM_LIST = 8

#: Networks a bundle may name: name -> (module in `networks`, class).
NETWORKS = {
    "RRDBNet": ("rrdb", "RRDBNet"),
    "DCSRN": ("dcsrn", "DCSRN"),
    "ResidualUNet": ("unet", "ResidualUNet"),
    "SeverityNet": ("severity", "SeverityNet"),
    "FilterBank": ("filter_bank", "FilterBank"),
    "ConditionalDiffusion": ("diffusion", "ConditionalDiffusion"),
    "SliceEncoder": ("slice_encoder", "SliceEncoder"),
    "SliceResNet": ("slice_resnet", "SliceResNet"),
}


@dataclass(frozen=True, eq=False)
class Bundle:
    """A checked bundle. The weights are read, and their SHA-256 compared, when the network is built.

    Args:
        folder: the bundle's folder.
        metadata: contents of its `metadata.json`.
    """

    folder: Path
    metadata: dict[str, Any]

    @property
    def section(self) -> dict[str, Any]:
        """The part of the metadata that SynthMRI reads."""
        return self.metadata["synthmri"]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def title(self) -> str:
        return self.metadata.get("name", self.name)

    @property
    def version(self) -> str:
        return str(self.metadata.get("version", ""))

    @property
    def task(self) -> str:
        return self.section["task"]

    @property
    def experimental(self) -> bool:
        """True when the bundle missed its floor: offered, but never chosen by itself."""
        return bool(self.section.get("experimental", False))

    @property
    def weights_sha256(self) -> str:
        return self.section["sha256"]

    @property
    def card_path(self) -> Path:
        return self.folder / CARD

    def read_weights(self) -> bytes:
        """The weights file. Raises BundleError when its SHA-256 is not the one in the metadata."""
        contents = inside(self.folder, WEIGHTS).read_bytes()
        if hashlib.sha256(contents).hexdigest() != self.weights_sha256:
            raise BundleError(
                f"The weights of bundle '{self.name}' were altered: their SHA-256 is not the one in its metadata. "
                "Install the bundle again."
            )
        return contents

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells this bundle's weights from any other's."""
        return (str(self.folder), self.weights_sha256)

    def weights(self) -> dict[str, Tensor]:
        """The weights in float32 by name. Raises BundleError as `read_weights` does."""
        from safetensors.torch import load

        return {name: tensor.float() for name, tensor in load(self.read_weights()).items()}

    def build_network(self) -> nn.Module:
        """The network in float32 on the CPU, in evaluation mode. Raises BundleError when weights and network differ."""
        weights = self.weights()
        make = network_class(self.section["network"]["name"])
        try:
            network = make(**self.section["network"]["arguments"])
            network.load_state_dict(weights)
        except (RuntimeError, TypeError, ValueError):
            raise BundleError(
                f"The weights of bundle '{self.name}' do not fit its network. Install the bundle again."
            ) from None
        return network.eval()


def network_class(name: str) -> type:
    """Class of an allowed network. Raises BundleError for any other name."""
    if name not in NETWORKS:
        raise BundleError(
            f"The bundle asks for the network '{name}', which this version does not have. Update SynthMRI."
        )
    module, attribute = NETWORKS[name]
    return getattr(import_module(f".networks.{module}", __package__), attribute)


def search_paths() -> list[Path]:
    """Folders in which bundles are looked for, in order; those that do not exist are left out.

    The environment variable SYNTHMRI_MODELS names folders that are used instead of the usual ones, so that a site can
    decide which bundles its users get.
    """
    given = [Path(p) for p in os.environ.get("SYNTHMRI_MODELS", "").split(os.pathsep) if p]
    if given:
        return [p for p in given if p.is_dir()]
    library = Path(__file__).resolve().parent
    paths = [library.parent / "Resources" / "Models", library.parents[1] / "Resources" / "Models"]
    paths += [Path(sys.prefix) / "share" / "synthmri" / "Models"]
    with suppress(BundleError):
        paths.append(user_folder())
    return [p for n, p in enumerate(paths) if p.is_dir() and p not in paths[:n]]


def user_folder() -> Path:
    """Where bundles that a user adds are kept. Raises BundleError for an account without a home directory."""
    try:
        return Path.home() / ".synthmri" / "Models"
    except RuntimeError:
        raise BundleError("This account has no home directory. Name a folder for bundles in SYNTHMRI_MODELS.") from None


def load_bundle(name_or_folder: str | os.PathLike[str]) -> Bundle:
    """The bundle of that name or folder, checked. Raises BundleError with what is wrong and what to do."""
    given = Path(name_or_folder)
    candidates = [given] if given.is_dir() else [p / given for p in search_paths() if given.name == str(given)]
    for folder in candidates:
        if (folder / METADATA).is_file() or folder == given:
            return checked(folder)
    known = ", ".join(b.name for b in find_bundles()) or "none are installed"
    raise BundleError(f"There is no bundle '{given.name}'. Bundles: {known}.")


def find_bundles(task: str | None = None) -> list[Bundle]:
    """All valid bundles, of one task or of all; the first of a name wins; those not experimental come first."""
    bundles: dict[str, Bundle] = {}
    for path in search_paths():
        for folder in sorted(p for p in path.iterdir() if (p / METADATA).is_file()):
            bundle = valid_or_none(folder)
            if bundle is not None and task in (None, bundle.task):
                bundles.setdefault(bundle.name, bundle)
    return sorted(bundles.values(), key=lambda b: (b.experimental, -b.section.get("priority", 0), b.name))


def best_bundle(task: str) -> Bundle:
    """The bundle a task uses when none is named, never an experimental one. Raises BundleError when there is none."""
    found = find_bundles(task)
    for bundle in found:
        if not bundle.experimental:
            return bundle
    if found:
        names = ", ".join(bundle.name for bundle in found)
        raise BundleError(f"Bundles for {task} are experimental and have to be named with --bundle: {names}.")
    raise BundleError(f"No bundle for {task} is installed. Install one, or name its folder with --bundle.")


def valid_or_none(folder: Path) -> Bundle | None:
    """A bundle, or None where a folder is not a usable one."""
    try:
        return checked(folder)
    except BundleError:
        return None


def checked(folder: Path) -> Bundle:
    """Read and check everything but the hash of the weights."""
    metadata = read_metadata(folder)
    section = metadata.get("synthmri")
    if not isinstance(section, dict) or not isinstance(section.get("format"), int):
        raise BundleError(f"'{folder.name}' is not a SynthMRI bundle: its metadata has no 'synthmri' section.")
    if section["format"] > FORMAT:
        raise BundleError(f"Bundle '{folder.name}' was made by a newer version of SynthMRI. Update SynthMRI to use it.")
    check_section(folder, section)
    check_weights(folder)
    if not inside(folder, CARD).is_file():
        raise BundleError(f"Bundle '{folder.name}' has no model card ({CARD}) and is not used without one.")
    return Bundle(folder, metadata)


def read_metadata(folder: Path) -> dict[str, Any]:
    path = inside(folder, METADATA)
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"'{folder.name}' is not a bundle: it has no {METADATA}.") from None
    except (ValueError, RecursionError):
        raise BundleError(f"The metadata of bundle '{folder.name}' is damaged. Install the bundle again.") from None
    if not isinstance(metadata, dict):
        raise BundleError(f"The metadata of bundle '{folder.name}' is damaged. Install the bundle again.")
    return metadata


def check_section(folder: Path, section: dict[str, Any]) -> None:
    """Raises BundleError unless task, network, arguments, hash and priority have the right form."""
    network = section.get("network")
    well_formed = (
        isinstance(section.get("task"), str)
        and isinstance(section.get("sha256"), str)
        and isinstance(network, dict)
        and isinstance(network.get("name"), str)
        and isinstance(network.get("arguments"), dict)
        and is_small_number(section.get("priority", 0))
    )
    if not well_formed:
        raise BundleError(f"The metadata of bundle '{folder.name}' is incomplete. Install the bundle again.")
    if network["name"] not in NETWORKS:
        raise BundleError(
            f"Bundle '{folder.name}' asks for the network '{network['name']}', which this version does not have. "
            "Update SynthMRI."
        )
    if not all(is_plain_argument(value) for value in network["arguments"].values()):
        raise BundleError(f"The network arguments of bundle '{folder.name}' are not plain numbers. It is not used.")


def check_weights(folder: Path) -> None:
    """Raises BundleError unless the weights are a safetensors file inside the folder."""
    if inside(folder, WEIGHTS).is_file():
        return
    if any(p.suffix in PICKLED for p in iterate(folder / "models")):
        raise BundleError(
            f"Bundle '{folder.name}' has pickled weights, which can run code and are never opened. "
            "Ask its authors for safetensors."
        )
    raise BundleError(f"Bundle '{folder.name}' has no weights ({WEIGHTS}). Install the bundle again.")


def iterate(folder: Path) -> Iterable[Path]:
    return folder.iterdir() if folder.is_dir() else ()


def is_plain_argument(value: object) -> bool:
    """True for a small number, a yes or no, or a short list of small numbers."""
    if isinstance(value, list):
        return 0 < len(value) <= MAXIMUM_LIST and all(is_small_number(v) for v in value)
    return is_small_number(value)


def is_small_number(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= MAXIMUM_ARGUMENT


def inside(folder: Path, relative: str) -> Path:
    """A path of the bundle. Raises BundleError when a link leads out of its folder."""
    path = folder / relative
    if path.exists() and not path.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"Bundle '{folder.name}' points outside its own folder ({relative}). It is not used.")
    return path
