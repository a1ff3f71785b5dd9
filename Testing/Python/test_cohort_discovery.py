"""What is found in a folder, a BIDS data set and a list, and what is left out with which reason."""

import json
from pathlib import Path

import pytest
from cohort_support import write_scan
from dicom_files import stack, write_series
from SynthMRILib.cohort.discovery import discover, safe_name
from SynthMRILib.errors import InputError
from SynthMRILib.tasks import get_task
from SynthMRILib.tasks.base import InputRole
from SynthMRILib.volume import Grid

ROLES = get_task("super-resolution").roles
TWO_ROLES = (InputRole("flair", "FLAIR", False, "FLAIR"), InputRole("t1", "T1w", False, "T1w"))


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def find(source: Path, roles=ROLES, **options):
    return discover(source, roles, output=options.pop("output", source / "out"), **options)


def left_out(discovery) -> dict[str, str]:
    return {item.name: item.reason for item in discovery.skipped}


def test_a_folder_gives_a_case_for_each_volume_in_it_and_below_it(tmp_path):
    touch(tmp_path / "b.nii.gz", tmp_path / "a.mha", tmp_path / "site" / "A.NII", tmp_path / "notes.txt")
    touch(tmp_path / "a_mask.nii.gz", tmp_path / ".hidden" / "h.nii", tmp_path / "out" / "old.nii.gz")
    found = find(tmp_path)
    assert found.layout == "folder"
    assert [case.name for case in found.cases] == ["a", "b", "site/A"]
    assert found.cases[2].output("x") == "site/A_desc-x.nii.gz"
    assert left_out(found) == {"notes.txt": "no volume file", "a_mask.nii.gz": "named like a mask or label map"}


def test_files_that_differ_in_their_suffix_alone_are_different_cases(tmp_path):
    touch(tmp_path / "a.nii", tmp_path / "a.nrrd")
    assert [case.name for case in find(tmp_path).cases] == ["a-nii", "a-nrrd"]


def test_what_synthmri_made_is_no_input(tmp_path):
    touch(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    (tmp_path / "b.json").write_text(json.dumps({"notice": "SYNTHETIC - not for diagnosis"}))
    found = find(tmp_path)
    assert [case.name for case in found.cases] == ["a"]
    assert left_out(found)["b.nii.gz"] == "marked as synthetic"


def test_a_folder_of_dicom_images_is_one_case(tmp_path):
    write_series(tmp_path / "patient" / "series", stack(), Grid.from_spacing((18, 18, 20), (1, 1, 1)))
    found = find(tmp_path)
    assert [case.name for case in found.cases] == ["patient/series"]
    assert found.cases[0].output("x") == "patient/series_desc-x.nii.gz"


def a_data_set(root: Path) -> Path:
    root.mkdir()
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.9.0"}))
    anat = root / "sub-01" / "ses-2" / "anat"
    touch(anat / "sub-01_ses-2_acq-3d_desc-raw_T1w.nii.gz", anat / "sub-01_ses-2_FLAIR.nii", anat / "T1w.nii.gz")
    touch(anat / "sub-01_ses-2_T1map.nii.gz", anat / "sub-01_ses-2_part-phase_T1w.nii.gz")
    touch(root / "sub-01" / "ses-2" / "func" / "sub-01_ses-2_task-rest_bold.nii.gz")
    touch(root / "derivatives" / "other" / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    (anat / "sub-01_ses-2_FLAIR.json").write_text(json.dumps({"SkullStripped": True, "PatientName": "JaneDoe"}))
    return root


def test_a_bids_data_set_gives_its_anatomical_volumes(tmp_path):
    found = find(a_data_set(tmp_path / "study"))
    assert found.layout == "bids"
    assert {case.name: case.output("x") for case in found.cases} == {
        "sub-01_ses-2_FLAIR": "sub-01/ses-2/anat/sub-01_ses-2_desc-x_FLAIR.nii.gz",
        "sub-01_ses-2_acq-3d_desc-raw_T1w": "sub-01/ses-2/anat/sub-01_ses-2_acq-3d_desc-x_T1w.nii.gz",
    }
    assert [case.facts for case in found.cases] == [{"SkullStripped": True}, {}]
    assert sorted(left_out(found).values()) == [
        "contrast T1map, not T1w or T2w or FLAIR or PDw",
        "not anatomical (func)",
        "not named as BIDS asks",
        "phase, not magnitude",
    ]


def test_one_contrast_of_a_data_set_can_be_chosen(tmp_path):
    found = find(a_data_set(tmp_path / "study"), suffixes=["FLAIR"])
    assert [case.name for case in found.cases] == ["sub-01_ses-2_FLAIR"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_list_names_cases_and_their_files(tmp_path, delimiter):
    touch(tmp_path / "x" / "a.nii")
    lines = [["case", "age", "input"], ["Jürgen 1", "50", "x/a.nii"], ["", "51", "x/a.nii"], ["", "52", ""]]
    lines += [["jürgen 1", "50", "x/a.nii"]]
    (tmp_path / "list.csv").write_text("\n".join(delimiter.join(line) for line in lines), encoding="utf-8-sig")
    found = find(tmp_path / "list.csv", output=tmp_path / "out")
    assert [case.name for case in found.cases] == ["Jürgen 1", "a"]
    assert found.cases[0].inputs == {"input": tmp_path / "x" / "a.nii"}
    assert found.cases[0].output("x") == f"{safe_name('Jürgen 1')}_desc-x.nii.gz"
    assert left_out(found) == {"line 4": "line without the needed files", "jürgen 1": "another case has this name"}


def test_a_list_serves_tasks_with_several_inputs(tmp_path):
    (tmp_path / "list.tsv").write_text("case\tflair\tt1\n1\tf.nii\tt.nii\n2\t\tt.nii\n")
    found = find(tmp_path / "list.tsv", TWO_ROLES)
    assert [sorted(case.inputs) for case in found.cases] == [["flair", "t1"], ["t1"]]


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "a/b", "a b", "", "x" * 300, "..", "ä"])
def test_a_name_in_a_list_leads_nowhere_else(name):
    safe = safe_name(name)
    assert not set(safe) & set("/\\ ") and not safe.startswith(".") and len(safe) <= 90
    assert safe != safe_name(name + "'"), "different names stay different"


@pytest.mark.parametrize(
    "prepare, options, words",
    [
        (lambda _: None, {}, "There is no file or folder 'source'; check its name."),
        (lambda p: p.mkdir(), {}, "'source' holds no case: it is empty."),
        (lambda p: touch(p / "a.txt", p / "b.txt"), {}, "'source' holds no case: 2 x no volume file."),
        (lambda p: touch(p), {}, "'source' is neither a folder nor a .csv or .tsv list; name one of these."),
        (lambda p: p.mkdir(), {"layout": "csv"}, "'source' cannot be read with --layout csv"),
        (lambda p: write_scan(p / "a.nii"), {"roles": TWO_ROLES}, "list them in a CSV file with the columns case, fla"),
    ],
)
def test_an_input_without_cases_is_refused_with_the_reason(tmp_path, prepare, options, words):
    prepare(tmp_path / "source")
    with pytest.raises(InputError) as caught:
        find(tmp_path / "source", **options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"path\na.nii\n", "lacks the column input"),
        (b"", "lacks the column input"),
        (b"case,input\n\xff,a.nii\n", "is not UTF-8 text"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(tmp_path, content, words):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(InputError, match=words):
        find(tmp_path / "list.csv")


def a_data_set_of_sessions(root: Path, *names: str) -> Path:
    """A data set with these files, given as SUBJECT/SESSION/NAME."""
    root.mkdir()
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.9.0"}))
    for name in names:
        subject, session, rest = name.split("/")
        touch(root / subject / session / "anat" / f"{subject}_{session}_{rest}.nii.gz")
    return root


DIR_ROLES = get_task("synthetic-dir").roles


def test_the_contrasts_of_a_session_make_one_case(tmp_path):
    root = a_data_set_of_sessions(
        tmp_path / "study",
        "sub-01/ses-1/acq-3d_FLAIR",
        "sub-01/ses-1/T1w",
        "sub-01/ses-1/acq-tse_T2w",
        "sub-01/ses-1/ce-gad_T1w",
        "sub-01/ses-1/desc-brain_mask",
        "sub-01/ses-1/T1map",
        "sub-01/ses-2/FLAIR",
        "sub-01/ses-2/T2w",
    )
    found = find(root, DIR_ROLES, output_suffix="DIR")
    inputs = {case.name: {role: path.name for role, path in case.inputs.items()} for case in found.cases}
    assert inputs == {
        "sub-01_ses-1_acq-3d": {
            "flair": "sub-01_ses-1_acq-3d_FLAIR.nii.gz",
            "t1": "sub-01_ses-1_T1w.nii.gz",
            "t2": "sub-01_ses-1_acq-tse_T2w.nii.gz",
            "mask": "sub-01_ses-1_desc-brain_mask.nii.gz",
        },
        "sub-01_ses-2": {"flair": "sub-01_ses-2_FLAIR.nii.gz", "t2": "sub-01_ses-2_T2w.nii.gz"},
    }
    assert found.cases[0].output("x") == "sub-01/ses-1/anat/sub-01_ses-1_acq-3d_desc-x_DIR.nii.gz"
    assert sorted(left_out(found).values()) == [
        "contrast T1map, not FLAIR or T1w or T2w or mask",
        "with contrast agent",
    ]


def test_repetitions_of_a_session_go_with_their_own_kind(tmp_path):
    names = [f"sub-01/ses-1/run-{run}_{suffix}" for run in (1, 2) for suffix in ("FLAIR", "T1w")]
    found = find(a_data_set_of_sessions(tmp_path / "study", *names), DIR_ROLES)
    assert [sorted(path.name for path in case.inputs.values()) for case in found.cases] == [
        [f"sub-01_ses-1_run-{run}_{suffix}.nii.gz" for suffix in ("FLAIR", "T1w")] for run in (1, 2)
    ]


@pytest.mark.parametrize(
    "names, reason",
    [
        (["T1w", "T2w"], "session without FLAIR"),
        (["FLAIR"], "nothing to combine it with (T1w or T2w)"),
        (["FLAIR", "ce-gad_T1w"], "nothing to combine it with (T1w or T2w)"),
        (["FLAIR", "acq-a_T1w", "acq-b_T1w"], "several T1w could go with it; name one in a list"),
    ],
)
def test_a_session_that_makes_no_case_is_left_out_with_the_reason(tmp_path, names, reason):
    good = ["sub-02/ses-1/FLAIR", "sub-02/ses-1/T1w"]
    root = a_data_set_of_sessions(tmp_path / "study", *good, *(f"sub-01/ses-1/{name}" for name in names))
    found = find(root, DIR_ROLES)
    assert [case.name for case in found.cases] == ["sub-02_ses-1"]
    assert reason in left_out(found).values()


@pytest.mark.parametrize(
    "roles, options, words",
    [
        (DIR_ROLES, {"suffixes": ["T1w"]}, "leave out --suffix"),
        ((InputRole("visit1", "", True, ""), InputRole("visit2", "", True, "")), {}, "list them in a CSV file with"),
    ],
)
def test_a_data_set_that_cannot_serve_a_task_is_refused(tmp_path, roles, options, words):
    root = a_data_set_of_sessions(tmp_path / "study", "sub-01/ses-1/FLAIR", "sub-01/ses-1/T1w")
    with pytest.raises(InputError, match=words):
        find(root, roles, **options)
