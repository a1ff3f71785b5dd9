"""Records and the manifest: what counts as done, and what is refused."""

import json
from dataclasses import replace

import pytest
from cohort_support import write_scan
from SynthMRILib.cohort.cases import Case
from SynthMRILib.cohort.discovery import discover
from SynthMRILib.cohort.files import write_json
from SynthMRILib.cohort.manifest import Manifest
from SynthMRILib.cohort.records import RecordStore
from SynthMRILib.cohort.settings import Settings, make_settings
from SynthMRILib.cohort.steps import run_case
from SynthMRILib.errors import BundleError, InputError
from SynthMRILib.tasks import get_task


@pytest.fixture
def settings(tmp_path) -> Settings:
    return make_settings("super-resolution", {"method": "bspline"}, output=tmp_path / "out")


@pytest.fixture
def a_case(tmp_path, settings) -> Case:
    return settings.keyed(Case("a", {"input": write_scan(tmp_path / "a.nii")}, "", "a"))


def test_a_case_that_is_done_is_not_run_again(a_case, settings):
    first = run_case(a_case, settings)
    file = settings.output / first.outputs["output"]
    before = file.stat()
    assert first.state == "done" and run_case(a_case, settings) == first
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize("what", ["the volume", "its JSON file", "the record", "the unchanged input"])
def test_a_case_is_run_again_without(what, a_case, settings):
    first = run_case(a_case, settings)
    store = RecordStore(settings.output)
    file = settings.output / first.outputs["output"]
    if what == "the unchanged input":
        write_scan(a_case.inputs["input"].with_name("b.nii"), seed=1).replace(a_case.inputs["input"])
        a_case = settings.keyed(a_case)
    else:
        {"the volume": file, "its JSON file": file.with_name("a_desc-superresolution.json")}.get(
            what, store.path("a")
        ).unlink()
    assert store.settled(a_case, a_case.key) is None
    again = run_case(a_case, replace(settings, overwrite=what == "its JSON file"))
    assert again.state == "done" and again.run != first.run
    assert store.settled(a_case, a_case.key) == again


def test_a_case_killed_after_its_last_output_is_done_and_one_killed_before_is_not(a_case, settings):
    done = run_case(a_case, settings)
    store = RecordStore(settings.output)
    store.write(replace(done, state="writing"))
    assert store.settled(a_case, a_case.key) == done and store.read("a").state == "done"
    store.write(replace(done, state="writing", run="of another attempt"))
    assert store.settled(a_case, a_case.key) is None


def test_a_damaged_record_counts_as_none(a_case, settings):
    run_case(a_case, settings)
    store = RecordStore(settings.output)
    for content in ("", "{", "[]", '{"case": "a"}', '{"unknown": 1}'):
        store.path("a").write_text(content)
        assert store.read("a") is None


def test_a_file_of_somebody_else_is_not_replaced_unless_allowed(a_case, settings):
    settings.output.mkdir()
    foreign = settings.output / "a_desc-superresolution.nii.gz"
    foreign.write_bytes(b"precious")
    record = run_case(a_case, settings)
    assert (record.state, foreign.read_bytes()) == ("failed", b"precious")
    assert record.error == (
        "'a_desc-superresolution.nii.gz' exists already and is not of this batch; move it, or add --overwrite."
    )
    assert run_case(a_case, replace(settings, overwrite=True)).state == "done"


def test_names_that_differ_in_case_alone_or_in_odd_signs_have_their_own_records(tmp_path):
    store = RecordStore(tmp_path)
    names = ["a", "A", "a/b", "a-b", "..", "x" * 400, "ä"]
    assert len({store.path(name).name.casefold() for name in names}) == len(names)
    assert all(store.path(name).parent == store.folder for name in names)


def test_writing_leaves_the_old_file_when_it_fails(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": object()})
    with pytest.raises(UnicodeEncodeError):
        from SynthMRILib.cohort.files import write_text

        write_text(tmp_path / "a.json", "\udc80")
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_holds_one_batch_at_a_time_and_of_one_kind(settings):
    other = replace(settings, parameters={**settings.parameters, "seed": 1})
    with Manifest(settings), pytest.raises(InputError, match="Another batch is writing into 'out'"):
        Manifest(settings).__enter__()
    with pytest.raises(InputError, match="holds a batch with another parameters"):
        Manifest(other).__enter__()
    with Manifest(replace(other, overwrite=True)):
        assert json.loads((settings.output / "manifest" / "batch.json").read_text()) == other.identity()


def test_what_killed_processes_left_is_swept_and_nothing_else(a_case, settings):
    with Manifest(settings) as manifest:
        (settings.output / ".synthmri-abc").mkdir()
        (settings.output / ".synthmri-abc" / "a.nii.gz").write_bytes(b"half")
        (manifest.store.folder / ".synthmri-def").write_bytes(b"half")
        (settings.output / ".keep").write_bytes(b"mine")
        manifest.sweep([a_case])
    assert not list(settings.output.rglob(".synthmri-*")) and (settings.output / ".keep").exists()


@pytest.mark.parametrize(
    "values, error, words",
    [
        ({"method": "magic"}, InputError, "Unknown method 'magic'"),
        ({"method": "bspline", "factor": 3}, InputError, "Factor 3 is not available"),
        ({"method": "bspline", "colour": 3}, InputError, "Unknown parameter 'colour'"),
        ({"method": "network", "bundle": "nowhere"}, BundleError, "There is no bundle 'nowhere'"),
    ],
)
def test_settings_no_case_could_be_run_with_are_refused_at_once(tmp_path, values, error, words):
    bundle = values.pop("bundle", None)
    with pytest.raises(error, match=words):
        make_settings("super-resolution", values, output=tmp_path, bundle=bundle)


def test_a_task_with_several_inputs_needs_no_bundle_and_judges_each_line_of_a_list(tmp_path):
    settings = make_settings("synthetic-dir", {"registered": True}, output=tmp_path / "out")
    write_scan(tmp_path / "f.nii")
    (tmp_path / "list.csv").write_text("case,flair,t1\na,f.nii,\nb,f.nii,missing.nii\n")
    found = discover(tmp_path / "list.csv", get_task("synthetic-dir").roles, output=settings.output)
    records = [run_case(settings.keyed(case), settings) for case in found.cases]
    assert settings.bundle is None
    assert [record.state for record in records] == ["failed", "failed"]
    assert "FLAIR alone" in records[0].error and "There is no file or folder 'missing.nii'" in records[1].error
