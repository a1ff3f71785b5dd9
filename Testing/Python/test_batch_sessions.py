"""`synthmri batch synthetic-dir` over a BIDS data set: the contrasts of a session become one result."""

from __future__ import annotations

import json

import pytest
from dir_phantom import simulated_phantom
from SynthMRILib import cli
from SynthMRILib.volume_io import read_volume, write_volume

SUFFIXES = {"flair": "FLAIR", "t1": "T1w", "t2": "T2w"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two sessions of simulated brains, the second without anything to combine FLAIR with."""
    root = tmp_path_factory.mktemp("bids") / "study"
    phantom = simulated_phantom()
    for session, contrasts in (("ses-1", ("flair", "t1", "t2")), ("ses-2", ("flair",))):
        folder = root / "sub-01" / session / "anat"
        folder.mkdir(parents=True)
        for contrast in contrasts:
            file = folder / f"sub-01_{session}_{SUFFIXES[contrast]}.nii.gz"
            write_volume(phantom.volumes[contrast], file, synthetic=False)
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.10.0"}))
    return root


def test_a_session_becomes_one_synthetic_dir_on_the_grid_of_its_flair(study, tmp_path, capsys):
    words = ["--set", "method=arithmetic", "--set", "registered=true"]
    command = ["batch", "synthetic-dir", "--input", str(study), "--output", str(tmp_path / "out"), *words]
    assert cli.main(command) == 0
    told = capsys.readouterr().out
    assert told.startswith("1 cases: 1 done") and "nothing to combine it with" in told
    made = tmp_path / "out" / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_desc-syntheticdir_DIR.nii.gz"
    flair = read_volume(study / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_FLAIR.nii.gz")
    assert read_volume(made).grid.matches(flair.grid)
    provenance = json.loads(made.with_name(made.name.replace(".nii.gz", ".json")).read_text())
    assert set(provenance["inputs"]) == {"flair", "t1", "t2"}
    assert "**/*_DIR.*" in (tmp_path / "out" / ".bidsignore").read_text().splitlines()
