"""Bundles are data: checked, never run, and refused with a reason."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from bundle_support import a_network, make_bundle
from SynthMRILib import bundles
from SynthMRILib.bundle_store import is_own
from SynthMRILib.bundles import Bundle, best_bundle, find_bundles, load_bundle
from SynthMRILib.errors import BundleError, InputError
from SynthMRILib.training.export import write_bundle


@pytest.fixture
def a_bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "models" / "test-network")


def test_network_of_a_bundle_is_the_one_that_was_exported(a_bundle: Bundle) -> None:
    x = torch.rand(1, 1, 6, 6, 6)
    assert torch.allclose(a_bundle.build_network()(x)[0], a_network()(x)[0], atol=2e-3)


def test_card_says_what_the_bundle_is(a_bundle: Bundle) -> None:
    card = a_bundle.card_path.read_text(encoding="utf-8")
    for part in (a_bundle.weights_sha256, "not for diagnosis", "It was never trained.", "Not stated: ask whoever"):
        assert part in card


def test_an_existing_folder_is_never_overwritten(a_bundle: Bundle) -> None:
    before = (a_bundle.folder / bundles.WEIGHTS).read_bytes()
    with pytest.raises(InputError, match="exists already"):
        write_bundle(a_bundle.folder, a_network(), None)
    assert (a_bundle.folder / bundles.WEIGHTS).read_bytes() == before


def change_metadata(bundle: Bundle, change: Callable[[dict], None]) -> None:
    path = bundle.folder / bundles.METADATA
    metadata = json.loads(path.read_text(encoding="utf-8"))
    change(metadata["synthmri"])
    path.write_text(json.dumps(metadata), encoding="utf-8")


def flip_a_bit(bundle: Bundle) -> None:
    path = bundle.folder / bundles.WEIGHTS
    contents = bytearray(path.read_bytes())
    contents[-1] ^= 1
    path.write_bytes(contents)


def put_pickle_in_place(bundle: Bundle) -> None:
    (bundle.folder / bundles.WEIGHTS).unlink()
    (bundle.folder / "models" / "model.pt").write_bytes(pickle.dumps({"weights": [1.0]}))


def link_weights_elsewhere(bundle: Bundle) -> None:
    weights = bundle.folder / bundles.WEIGHTS
    outside = bundle.folder.parent / "outside.safetensors"
    outside.write_bytes(weights.read_bytes())
    weights.unlink()
    weights.symlink_to(outside)


SPOILED = {
    "altered weights": (flip_a_bit, "were altered"),
    "newer format": (lambda b: change_metadata(b, lambda s: s.update(format=99)), "newer version of SynthMRI"),
    "unknown network": (
        lambda b: change_metadata(b, lambda s: s["network"].update(name="os.system")),
        "Update SynthMRI",
    ),
    "code as argument": (
        lambda b: change_metadata(b, lambda s: s["network"]["arguments"].update(features="$import os")),
        "not plain numbers",
    ),
    "unknown argument": (
        lambda b: change_metadata(b, lambda s: s["network"]["arguments"].update(wings=2)),
        "do not fit its network",
    ),
    "priority in words": (lambda b: change_metadata(b, lambda s: s.update(priority="high")), "incomplete"),
    "huge argument": (
        lambda b: change_metadata(b, lambda s: s["network"]["arguments"].update(features=10**9)),
        "not plain numbers",
    ),
    "no hash": (lambda b: change_metadata(b, lambda s: s.pop("sha256")), "incomplete"),
    "no section": (lambda b: (b.folder / bundles.METADATA).write_text("{}"), "not a SynthMRI bundle"),
    "damaged metadata": (lambda b: (b.folder / bundles.METADATA).write_text("{"), "damaged"),
    "no metadata": (lambda b: (b.folder / bundles.METADATA).unlink(), "has no configs/metadata.json"),
    "no card": (lambda b: b.card_path.unlink(), "no model card"),
    "no weights": (lambda b: (b.folder / bundles.WEIGHTS).unlink(), "has no weights"),
    "pickled weights": (put_pickle_in_place, "pickled weights"),
    "link out of the folder": (link_weights_elsewhere, "points outside its own folder"),
    "weights of another network": (
        lambda b: change_metadata(b, lambda s: s["network"]["arguments"].update(features=16)),
        "do not fit its network",
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_bundle_is_refused_with_its_reason(a_bundle: Bundle, case: str) -> None:
    spoil, reason = SPOILED[case]
    spoil(a_bundle)
    with pytest.raises(BundleError, match=reason):
        load_bundle(a_bundle.folder).build_network()


def test_an_account_without_a_home_still_has_the_shipped_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("SYNTHMRI_MODELS", raising=False)
    monkeypatch.setattr(Path, "home", staticmethod(no_home))
    shipped = find_bundles("super-resolution")
    assert shipped and not is_own(shipped[0])
    with pytest.raises(BundleError, match="no home directory"):
        bundles.user_folder()


def test_a_missing_bundle_names_those_that_are_there(a_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHMRI_MODELS", str(a_bundle.folder.parent))
    with pytest.raises(BundleError, match=r"no bundle 'nothing'.*test-network"):
        load_bundle("nothing")


def test_a_name_with_a_path_never_leaves_the_model_folders(a_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHMRI_MODELS", str(a_bundle.folder.parent))
    with pytest.raises(BundleError, match="no bundle"):
        load_bundle("../models/../elsewhere/test-network")


def test_experimental_bundles_are_listed_last_and_never_chosen(
    a_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_bundle(tmp_path / "models" / "a-first-name", title="Experimental one", task="other-task")
    change_metadata(other, lambda s: s.update(experimental=True))
    monkeypatch.setenv("SYNTHMRI_MODELS", str(a_bundle.folder.parent))
    assert find_bundles("other-task")[0].experimental
    with pytest.raises(BundleError, match="experimental and have to be named with --bundle: a-first-name"):
        best_bundle("other-task")
    with pytest.raises(BundleError, match="No bundle for a third task is installed"):
        best_bundle("a third task")
    assert find_bundles()[-1].name == "a-first-name"


def test_spoiled_bundles_are_left_out_of_the_list(a_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHMRI_MODELS", str(a_bundle.folder.parent))
    a_bundle.card_path.unlink()
    assert a_bundle.name not in [b.name for b in find_bundles()]
