"""The extension as Slicer installs it: exactly the files that CMake lists, in one folder, away from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import list_module_files
import pytest
from module_support import ROOT

#: Run from the installed tree, in a process that knows nothing of the checkout.
LOOK = """
import json, sys
import SynthMRILib, SynthMRILib.bundles as bundles
from SynthMRILib.tasks import get_task, task_names
[get_task(name) for name in task_names()]
json.dump({"library": SynthMRILib.__file__, "models": [str(p) for p in bundles.search_paths()],
           "bundles": [b.name for b in bundles.find_bundles()], "torch": "torch" in sys.modules}, sys.stdout)
"""
RUN = """
import json, sys
import numpy as np
from SynthMRILib.jobs.client import JobClient
from SynthMRILib.volume import Grid, Volume
k, j, i = np.indices((16, 18, 20))
volume = Volume(100 + i + 2 * j + 3 * k, Grid.from_spacing((16, 18, 20), (1, 1, 1)))
with JobClient() as client:
    job = client.submit("super-resolution", {"input": volume}, bundle=None, parameters={"method": "bspline"})
    output = job.wait(timeout=120).outputs["output"]
json.dump({"shape": output.shape, "spacing": output.spacing}, sys.stdout)
"""
PANEL = """
import sys
from pathlib import Path
tree, testing = Path(sys.argv[1]), sys.argv[2]
sys.path[:0] = [testing]
from SlicerDesktop.desktop import install
desktop = install()
import slicer
for name in ("SynthMRI", "SynthMRIUncertainty", "SynthMRIReaderStudy"):
    desktop.load_module(tree / f"{name}.py")
    panel = desktop.open_module(name)
    assert Path(panel.resourcePath(f"UI/{name}.ui")).is_relative_to(tree)
    desktop.leave_module(name)
import SynthMRIModuleLib, SynthMRIReaderStudyLib, SynthMRILib
libraries = (SynthMRIModuleLib, SynthMRIReaderStudyLib, SynthMRILib)
assert all(Path(m.__file__).is_relative_to(tree) for m in libraries)
from SynthMRIModuleLib.dependencies import read_requirements
assert read_requirements()
desktop.reset()
print("fine")
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """lib/Slicer-x.y/qt-scripted-modules with what CMake would install there, models included."""
    folder = tmp_path_factory.mktemp("Slicer") / "lib" / "Slicer-5.13" / "qt-scripted-modules"
    for module in list_module_files.module_folders():
        for variable in list_module_files.files_there_are(module):
            for name in list_module_files.files_listed(module, variable):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                assert not (folder / name).exists(), f"two modules install {name}"
                shutil.copy(module / name, folder / name)
    models = ROOT / "Resources" / "Models"
    (folder / "Resources" / "Models").mkdir(exist_ok=True)
    if models.is_dir():
        shutil.copytree(models, folder / "Resources" / "Models", dirs_exist_ok=True)
    return folder


def python(code: str, *arguments: str, tree: Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SYNTHMRI_MODELS")}
    environment |= {"PYTHONPATH": str(tree), "HOME": str(cwd), "QT_QPA_PLATFORM": "offscreen"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_engine_of_an_installed_extension_is_whole_and_finds_its_models(tree: Path, tmp_path: Path):
    found = json.loads(python(LOOK, tree=tree, cwd=tmp_path))
    assert Path(found["library"]).is_relative_to(tree)
    assert found["models"][0] == str(tree / "Resources" / "Models")
    shipped = {path.parent.parent.name for path in (ROOT / "Resources" / "Models").glob("*/configs/metadata.json")}
    assert shipped <= set(found["bundles"])
    assert not found["torch"], "tasks and bundles are known without torch"


def test_a_run_from_an_installed_extension_gives_a_volume(tree: Path, tmp_path: Path):
    done = json.loads(python(RUN, tree=tree, cwd=tmp_path))
    assert done == {"shape": [32, 36, 40], "spacing": [0.5, 0.5, 0.5]}


def test_the_panels_of_an_installed_extension_open(tree: Path, tmp_path: Path):
    printed = python(PANEL, str(tree), str(ROOT / "Testing"), tree=tree, cwd=tmp_path)
    assert printed.strip().endswith("fine")


def test_a_file_that_is_not_listed_is_missed(tree: Path, tmp_path: Path):
    """The tests above can fail: without one file of the engine they do."""
    broken = tmp_path / "broken"
    shutil.copytree(tree, broken)
    (broken / "SynthMRILib" / "volume.py").unlink()
    with pytest.raises(AssertionError, match=r"No module named 'SynthMRILib\.volume'"):
        python(RUN, tree=broken, cwd=tmp_path)
