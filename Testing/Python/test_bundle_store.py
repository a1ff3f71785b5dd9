"""Bundles that are added or deleted: names that are taken, archives that are damaged."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest
from bundle_support import make_bundle
from SynthMRILib import bundles, cli
from SynthMRILib.bundle_store import add_bundle
from SynthMRILib.bundles import Bundle, find_bundles, load_bundle, user_folder
from SynthMRILib.errors import BundleError, InputError


@pytest.fixture
def shipped(tmp_path, monkeypatch) -> Bundle:
    """The only bundle that comes with this SynthMRI; the user has none."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SYNTHMRI_MODELS", raising=False)
    folders = [tmp_path / "shipped"]
    monkeypatch.setattr(bundles, "search_paths", lambda: [p for p in (*folders, user_folder()) if p.is_dir()])
    monkeypatch.setattr("SynthMRILib.bundle_store.search_paths", bundles.search_paths)
    return make_bundle(folders[0] / "a-network")


def test_a_name_that_a_shipped_bundle_has_is_refused(tmp_path, shipped, capsys):
    own = make_bundle(tmp_path / "made" / "a-network")
    with pytest.raises(InputError, match=r"comes with SynthMRI.*Give the folder of yours another name"):
        add_bundle(own.folder)
    assert cli.main(["models", "add", str(own.folder)]) == 2
    assert "comes with SynthMRI" in capsys.readouterr().err and not user_folder().exists()
    added = add_bundle(own.folder.rename(tmp_path / "made" / "another"))
    assert [bundle.folder for bundle in find_bundles()] == [shipped.folder, added.folder]


def test_a_bundle_that_would_never_be_found_is_refused(tmp_path, shipped, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SYNTHMRI_MODELS", str(shipped.folder.parent))
    own = make_bundle(tmp_path / "made" / "another")
    with pytest.raises(InputError, match="SYNTHMRI_MODELS names"):
        add_bundle(own.folder)
    assert not user_folder().exists()


def test_an_own_bundle_that_a_later_shipped_one_hides_can_be_deleted(shipped, capsys):
    own = user_folder() / "a-network"
    shutil.copytree(shipped.folder, own)
    assert load_bundle("a-network").folder == shipped.folder
    assert cli.main(["models", "delete", "a-network"]) == 0
    assert not own.exists() and shipped.folder.exists()
    assert cli.main(["models", "delete", "a-network"]) == 2
    assert "is shipped with SynthMRI" in capsys.readouterr().err and shipped.folder.exists()


def plain(path: Path, entries: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as content:
        for name, text in entries.items():
            content.writestr(name, text)


def spoiled_checksum(path: Path) -> None:
    plain(path, {"m/configs/metadata.json": "{}" * 50})
    path.write_bytes(path.read_bytes().replace(b"{}{}", b"{}}{", 1))


def encrypted(path: Path) -> None:
    plain(path, {"m/configs/metadata.json": "{}"})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    plain(path, {"m/configs/metadata.json": "{}" * 500})
    content = path.read_bytes()
    path.write_bytes(content[:200] + content[content.index(b"PK\1\2") :])


#: How an archive is spoiled, and a part of what is said about it.
SPOILED = {
    "entry without a name": (lambda path: plain(path, {".": "x", "m/configs/metadata.json": "{}"}), "leads out of its"),
    "checksum": (spoiled_checksum, "is damaged"),
    "encrypted": (encrypted, "is damaged"),
    "cut short": (cut_short, "is damaged"),
    "file and folder": (lambda path: plain(path, {"m": "x", "m/configs/metadata.json": "{}"}), "is damaged"),
    "nested": (lambda path: plain(path, {"m/configs/metadata.json": "[" * 100_000}), "bundle 'm' is damaged"),
    "number": (lambda path: plain(path, {"m/configs/metadata.json": "9" * 5000}), "metadata of bundle 'm' is damaged"),
}  # fmt: skip


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize("case", SPOILED)
def test_a_damaged_archive_is_told_in_a_sentence(tmp_path, case, capsys):
    path, (spoil, words) = tmp_path / "a.zip", SPOILED[case]
    spoil(path)
    with pytest.raises(BundleError, match=words):
        add_bundle(path)
    assert cli.main(["models", "add", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("synthmri: ") and said.count("\n") == 1
    assert not user_folder().exists() or not list(user_folder().iterdir())


def test_a_damaged_bundle_does_not_hide_the_others(shipped):
    spoiled = user_folder() / "spoiled" / "configs"
    spoiled.mkdir(parents=True)
    (spoiled / "metadata.json").write_text("[" * 100_000)
    assert [bundle.name for bundle in find_bundles()] == [shipped.name]
