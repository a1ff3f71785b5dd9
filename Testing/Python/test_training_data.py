"""Training data of a user: what is found and why the rest is left out, splits by subject, caches of a given size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cohort_support import write_scan
from conftest import head_like
from SynthMRILib import cli
from SynthMRILib.errors import InputError
from SynthMRILib.training.attribution import of_shared_data
from SynthMRILib.training.cache import Cache, Entry, write_cache
from SynthMRILib.training.data import contrast_of, find_files, subject_of
from SynthMRILib.training.own_packing import PackingOptions, pack_own, report_path
from SynthMRILib.training.packing import pack
from SynthMRILib.training.patches import PatchConfig, PatchSampler
from SynthMRILib.training.shrinking import write_within
from SynthMRILib.training.splits import Split, make_split, read_split, split_at
from SynthMRILib.volume import Grid, Volume
from SynthMRILib.volume_io import write_volume


def write_labels(path: Path, *, size: int = 20, value: int = 1) -> Path:
    """A box of one label on the grid of `write_scan`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros((size,) * 3, np.float32)
    voxels[8:12, 8:12, 8:12] = value
    write_volume(Volume(voxels, Grid.from_spacing(voxels.shape, (1, 1, 1))), path, synthetic=False)
    return path


def write_bids(root: Path, subjects: int) -> Path:
    root.mkdir(parents=True)
    description = {"Name": "x", "BIDSVersion": "1.9.0", "License": "CC0", "DatasetDOI": "doi:10.1/x"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    for n in range(subjects):
        write_scan(root / f"sub-{n:02}" / "anat" / f"sub-{n:02}_T1w.nii.gz", seed=n)
    return root


def packed(source: Path, output: Path, **options: object) -> tuple[Cache, dict]:
    """The cache of a user's data and its report."""
    pack_own(source, output, PackingOptions(**options), report=lambda _: None)
    return Cache(output), json.loads(report_path(output).read_text())


def kinds_of(report: dict) -> dict[str, str]:
    return {item["subject"]: item["kind"] for item in report["left_out"]}


@pytest.mark.parametrize(
    ("name", "contrast"),
    [
        ("sub-01_ses-2_T1w", "t1w"),
        ("sub-01_ce-gad_T1w", "t1w-contrast-enhanced"),
        ("T1POST.nii.gz", "t1w-contrast-enhanced"),
        ("t2_flair_3d", "flair"),
        ("T1_T2", ""),
        ("localizer", ""),
    ],
)
def test_the_contrast_is_told_by_the_name_or_not_at_all(name: str, contrast: str) -> None:
    assert contrast_of(name) == contrast


@pytest.mark.parametrize(
    ("place", "subject"),
    [
        ("sub-01/ses-1/anat/x.nii.gz", "sub-01"),
        ("sub-01_T1w.nii.gz", "sub-01"),
        ("patient_07_study1_T2.nii.gz", "patient_07"),
        ("t1_subject03.nii.gz", "subject03"),
        ("site-12-T1.nii.gz", "site-12"),
        ("T1.nii.gz", "subject"),
    ],
)
def test_volumes_of_one_person_get_one_label(place: str, subject: str) -> None:
    assert subject_of(place) == subject


def test_everything_left_out_is_reported_with_its_reason_and_no_file_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for n in range(3):
        write_scan(data / f"s{n}" / "T1.nii.gz", seed=n)
    write_scan(data / "copy" / "T1.nii.gz", seed=0)
    write_labels(data / "labels" / "T1.nii.gz")
    write_scan(data / "small" / "T1.nii.gz", size=12)
    write_scan(data / "nameless" / "JaneDoe.nii.gz", seed=7)
    (data / "broken").mkdir()
    (data / "broken" / "T1.nii.gz").write_bytes(b"no volume")
    ct = Volume(head_like((20, 20, 20)) - 1000, Grid.from_spacing((20, 20, 20), (1, 1, 1)))
    (data / "ct").mkdir()
    write_volume(ct, data / "ct" / "T1.nii.gz", synthetic=False)
    names = ["s0", "s1", "s2", "copy", "labels", "small", "broken", "ct"]
    (tmp_path / "split.json").write_text(json.dumps({"train": names, "validate": ["nobody"]}))
    cache, report = packed(data, tmp_path / "train.safetensors")
    assert sorted({entry.subject for entry in cache.entries} | {"copy", "s0"}) == ["copy", "s0", "s1", "s2"]
    assert len(cache) == 3
    kinds = kinds_of(report)
    assert kinds.pop("copy", "") or kinds.pop("s0") == "duplicate"
    assert kinds == {
        "labels": "label volume",
        "small": "too small",
        "nameless": "contrast unknown",
        "broken": "unreadable",
        "ct": "not MR",
    }
    assert "JaneDoe" not in report_path(tmp_path / "train.safetensors").read_text()
    assert all(item["file"] == 1 for item in report["left_out"])


def test_several_frames_are_called_so(tmp_path: Path) -> None:
    import SimpleITK as sitk

    for n in range(2):
        write_scan(tmp_path / "data" / f"s{n}" / "T1.nii.gz", seed=n)
    (tmp_path / "data" / "s1" / "T1.nii.gz").unlink()
    image = sitk.GetImageFromArray(np.random.default_rng(0).random((3, 18, 18, 18), dtype=np.float32))
    sitk.WriteImage(image, str(tmp_path / "data" / "s1" / "T1.nii.gz"))
    (tmp_path / "split.json").write_text(json.dumps({"train": ["s0", "s1"], "validate": []}))
    _, report = packed(tmp_path / "data", tmp_path / "train.safetensors")
    assert kinds_of(report) == {"s1": "more than three dimensions"}


def test_a_cache_may_lie_among_the_volumes(tmp_path: Path) -> None:
    for n in range(2):
        write_scan(tmp_path / f"s{n}_T1.nii.gz", seed=n)
    cache, report = packed(tmp_path, tmp_path / "train.safetensors", held_out=0.5)
    assert len(cache) == 1
    assert [item["kind"] for item in report["left_out"]] == ["of the part 'validate'"]


def test_a_list_needs_its_columns_and_tells_lines(tmp_path: Path) -> None:
    write_scan(tmp_path / "a.nii", seed=1)
    write_scan(tmp_path / "b.nii", seed=2)
    rows = ["subject,contrast,path,mask", "p1,T1,a.nii,", "p2,Weird One,b.nii,", ",T1,a.nii,"]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    found = find_files(tmp_path / "list.csv", output=tmp_path)
    assert [(f.subject, f.contrast) for f in found.files] == [("p1", "t1w"), ("p2", "weird-one")]
    assert [(item.place, item.kind) for item in found.left_out] == [("line 4", "incomplete line")]
    (tmp_path / "list.csv").write_text("subject,path\np1,a.nii")
    with pytest.raises(InputError, match="lacks the column contrast"):
        find_files(tmp_path / "list.csv", output=tmp_path)


def test_a_split_depends_on_seed_and_labels_alone_and_holds_out_whole_subjects() -> None:
    labels = [f"s{n}" for n in range(10)]
    split = make_split(labels, held_out=0.3, seed=4)
    assert split == make_split(reversed(labels), held_out=0.3, seed=4)
    assert split.validate != make_split(labels, held_out=0.3, seed=5).validate
    assert len(split.validate) == 3
    assert sorted(split.train + split.validate) == labels
    more = make_split([*labels, "new"], held_out=0.3, seed=4)
    assert len(set(more.validate) - set(split.validate)) <= 1


def test_a_split_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text(json.dumps({"train": ["b"], "validate": ["a"], "test": ["c"]}))
    before = (tmp_path / "split.json").read_bytes()
    assert split_at(tmp_path / "split.json", ["a", "b", "c", "d"]) == Split(("b",), ("a",), ("c",))
    assert (tmp_path / "split.json").read_bytes() == before


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        ('{"train": ["a"], "validate": ["a"]}', "more than once"),
        ('{"train": "a"}', "no split"),
        ("[1]", "no split"),
        ("{", "no split"),
    ],
)
def test_a_damaged_split_is_refused(contents: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text(contents)
    with pytest.raises(InputError, match=sentence):
        read_split(tmp_path / "split.json")


def test_both_parts_of_a_data_set_share_one_split_and_no_subject(tmp_path: Path) -> None:
    source = write_bids(tmp_path / "bids", 5)
    for part in ("train", "validate"):
        words = ["pack-training", "--data", source, "--output", tmp_path / "packed" / f"{part}.safetensors"]
        assert cli.main([*map(str, words), "--part", part, "--held-out", "0.4"]) == 0
    caches = [Cache(tmp_path / "packed" / f"{part}.safetensors") for part in ("train", "validate")]
    subjects = [{entry.subject for entry in cache.entries} for cache in caches]
    assert [len(names) for names in subjects] == [3, 2]
    assert not subjects[0] & subjects[1]
    assert caches[0].data == ["Own data of whoever trained this network, 3 subjects: data set doi:10.1/x; CC0."]


def test_the_same_scan_under_two_names_is_not_on_both_sides(tmp_path: Path) -> None:
    source = write_bids(tmp_path / "bids", 2)
    write_scan(source / "sub-90" / "anat" / "sub-90_T1w.nii.gz", seed=1)
    parts = {"train": ["sub-00", "sub-01"], "validate": ["sub-90"]}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    packed(source, tmp_path / "train.safetensors")
    with pytest.raises(InputError, match="1 x duplicate"):
        packed(source, tmp_path / "validate.safetensors", part="validate")


def test_masks_and_label_maps_are_packed_on_request_and_fit_their_volumes(tmp_path: Path) -> None:
    for n in range(2):
        write_scan(tmp_path / "data" / f"s{n}" / "T1.nii.gz", seed=n)
        write_labels(tmp_path / "data" / f"s{n}" / "T1_mask.nii.gz", value=300)
    split = {"train": ["s0", "s1"], "validate": []}
    (tmp_path / "split.json").write_text(json.dumps(split))
    cache, report = packed(tmp_path / "data", tmp_path / "train.safetensors", labels=True)
    assert [entry.extra["of"] for entry in cache.label_entries] == [0, 1]
    assert report["volumes"][0]["labels"] == ["mask"]
    labels = cache.labels(1)
    assert labels.shape == cache.shape(1)
    assert np.unique(labels).tolist() == [0, 300]
    assert np.array_equal(cache.label_block(1, (2, 3, 4), 8), labels[2:10, 3:11, 4:12])
    assert (cache.label_block(1, (-50, 0, 0), 8) == 0).all()


def a_set_of(number: int, shape: tuple[int, int, int]) -> list[tuple[Entry, np.ndarray]]:
    head = head_like(shape) / 400
    entries = [Entry(f"s{n // 2}", ("t1w", "flair")[n % 2], "real", stripped=False) for n in range(number)]
    return [(entry, (head * (1 + 0.1 * n)).astype(np.float16)) for n, entry in enumerate(entries)]


@pytest.mark.parametrize(
    ("megabytes", "number", "kind", "text"),
    [
        (None, 4, np.float16, "whole volumes, float16"),
        (10.7, 4, np.float16, "whole volumes, float16"),
        (5.4, 4, np.uint8, "whole volumes, uint8"),
        (2.9, 4, np.uint8, "a cube of 89 voxels of each volume, uint8"),
        (0.6, 2, np.uint8, "a cube of 64 voxels of 2 of 4 volumes, uint8"),
    ],
)
def test_a_cache_stays_below_the_size_asked_for(megabytes, number, kind, text, tmp_path: Path) -> None:
    volumes = a_set_of(4, (100, 110, 120))
    path = tmp_path / "cache.safetensors"
    assert write_within(path, volumes, megabytes=megabytes, seed=1) == text
    assert megabytes is None or path.stat().st_size <= 1e6 * megabytes
    cache = Cache(path)
    assert len(cache) == number
    assert cache._file.get_tensor("volume_0000").dtype == kind
    if number < 4:
        assert len({(entry.subject, entry.contrast) for entry in cache.entries}) == number


def test_bytes_are_as_good_as_noise_allows_and_cubes_keep_patches_inside(tmp_path: Path) -> None:
    volumes = a_set_of(4, (100, 110, 120))
    write_within(tmp_path / "whole.safetensors", volumes, megabytes=5.4, seed=1)
    error = Cache(tmp_path / "whole.safetensors").volume(2).astype(float) - volumes[2][1]
    assert np.percentile(np.abs(error), 99.9) < 0.004
    write_within(tmp_path / "cubes.safetensors", volumes, megabytes=2.9, seed=1)
    sampler = PatchSampler(Cache(tmp_path / "cubes.safetensors"), PatchConfig(size=12, same_zoom=1.0), seed=0)
    assert all((sampler.cache.start_of(0, (c, c, c), 40)[0]) in range(89 - 40 + 1) for c in (0.0, 0.3, 1.0))
    assert sampler.sample(3)[1].shape == (24, 24, 24)


def test_masks_follow_the_cubes_of_their_volumes(tmp_path: Path) -> None:
    volumes = a_set_of(4, (100, 110, 120))
    masks = [
        (Entry(e.subject, "labels", "real", False, {"of": n}), (v > 0.9).astype(int))
        for n, (e, v) in enumerate(volumes)
    ]
    write_within(tmp_path / "cache.safetensors", volumes, masks, megabytes=1.2, seed=3)
    cache = Cache(tmp_path / "cache.safetensors")
    assert len(cache.label_entries) == len(cache) == 2
    for entry, n in zip(cache.label_entries, range(2)):
        brightness = cache.volume(entry.extra["of"])[cache.labels(n) > 0]
        assert entry.subject == cache.entries[n].subject
        assert brightness.min() > 0.89


def test_too_small_a_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="allow more"):
        write_within(tmp_path / "cache.safetensors", a_set_of(1, (100, 100, 100)), megabytes=0.1, seed=0)


def test_a_cache_of_before_there_were_statements_names_the_shared_data(tmp_path: Path) -> None:
    volume = np.ones((20, 20, 20), np.float16)
    names = ("patient07", "head_03", "anna")
    write_cache(tmp_path / "old.safetensors", [(Entry(name, "t1w", "real", False), volume) for name in names])
    statements = Cache(tmp_path / "old.safetensors").data
    assert statements == of_shared_data(names)
    assert [text.partition(" ")[0] for text in statements] == ["Lesjak", "Label", "Own"]


def test_the_shared_layout_packs_label_maps_and_stays_in_its_split(tmp_path: Path) -> None:
    for number in (1, 17):
        write_labels(tmp_path / "data" / "label_maps" / f"head_{number:02}.nii.gz", value=2, size=24)
    output = tmp_path / "cache.safetensors"
    entries = pack(tmp_path / "data", output, part="train", heads_per_map=1, seed=0, report=lambda _: None, labels=True)
    cache = Cache(output)
    assert {entry.subject for entry in entries} == {"head_01"} == {entry.subject for entry in cache.label_entries}
    assert np.unique(cache.labels(0)).tolist() == [0, 2]
    assert cache.data == of_shared_data(["head_01"])
