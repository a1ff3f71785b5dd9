"""What sister modules, scripts and macros rely on. A change here breaks code outside this file: change it on purpose.

SynthMRIUncertainty is a module of its own, which Slicer may load, reload or leave out apart from SynthMRI; both use the
parts below. Scripts of users call the logics; scenes of users hold the attributes and the names of parameters.
"""

from __future__ import annotations

import importlib
import inspect

import pytest
from module_support import READER_STUDY, SUPER_RESOLUTION, UNCERTAINTY

#: Part -> names and arguments that other modules use.
PARTS = {
    "module_widget.ParameterNodeWidget": [
        "setup", "showPanel", "enter", "exit", "cleanup", "onReload", "setParameterNode", "initializeParameterNode",
        "updatePanel", "closeParts",
    ],
    "module_logic.TaskLogic": [
        "task", "running", "check", "ensureDependencies", "startRun", "waitForRun", "poll", "cancel", "close",
        "outputNames", "isAcquired",
    ],
    "run.Callbacks": ["on_progress", "on_log", "on_finished", "on_error"],
    "run_panel.RunPanel": ["show", "close"],
    "bundle_selector.BundleSelector": ["show", "selected"],
    "overlay_panel.OverlayPanel": ["offer", "busy"],
    "trust_panel.TrustPanel": ["offer", "busy"],
    "judged_task.JudgedTask": ["show"],
    "choices.Task": ["SUPER_RESOLUTION", "SYNTHETIC_DIR"],
    "side_marks.SideMarks": ["follow", "stop"],
    "overlay.Overlay": ["show", "shows", "adjust", "hide"],
}  # fmt: skip
FUNCTIONS = {
    "overlay.is_uncertainty": ["node"],
    "result_nodes.is_synthetic": ["node"],
    "result_nodes.is_result": ["node"],
    "input_choice.fill_roles": ["parameter_node", "fields"],
    "map_match.pair_to_show": ["image", "uncertainty"],
    "result_nodes.source_of": ["node"],
    "result_nodes.provenance_of": ["node"],
    "node_volume.volume_from_node": ["node", "labels_allowed"],
    "node_volume.reason_not_usable": ["node", "labels_allowed"],
    "node_volume.write_volume": ["volume", "node"],
    "result_nodes.remove_result_node": ["node"],
    "dependencies.is_installed": ["requirement"],
}
#: Attributes and roles that scenes of users hold.
STORED = {
    "SYNTHETIC_ATTRIBUTE": "SynthMRI.Synthetic",
    "OUTPUT_ATTRIBUTE": "SynthMRI.Output",
    "TASK_ATTRIBUTE": "SynthMRI.Task",
    "INTENDED_USE_ATTRIBUTE": "SynthMRI.IntendedUse",
    "PROVENANCE_ATTRIBUTE": "SynthMRI.Provenance",
    "SOURCE_REFERENCE": "SynthMRI.Source",
}
#: Parameters that scenes of users hold, and the members of their enumerations, which are stored by name.
PARAMETERS = {
    "SynthMRI": {
        "task", "inputVolume", "flairVolume", "t1Volume", "t2Volume", "maskVolume", "motionVolume", "outputVolume",
        "method", "thickMethod", "denoisingMethod", "dirMethod", "motionMethod",
        "bundle", "thickBundle", "denoisingBundle", "dirBundle", "motionBundle",
        "sharpness", "residual", "keepAcquired", "voxelSize", "sliceDistance", "sliceGap", "sliceProfile",
        "strength", "noise", "preset", "formula", "t1Factor",
        "smoothing", "forceCorrection", "registered", "biasCorrection",
        "device", "precision", "tile", "seed",
        "compareWhenDone", "compareMode", "blend", "split", "showDifference", "showUncertainty",
    },
    "SynthMRIUncertainty": {
        "task", "inputVolume", "flairVolume", "t1Volume", "t2Volume", "maskVolume", "bundle", "passes", "augment",
        "consistency", "imageVolume", "uncertaintyVolume", "threshold", "opacity", "contour", "segmentationVolume",
        "lesionVolume", "lesionPoints",
    },
    "SynthMRIReaderStudy": {"studyFolder", "reader"},
}  # fmt: skip
MEMBERS = {
    "Task": {
        "SUPER_RESOLUTION": "super-resolution",
        "THICK_SLICES": "through-plane",
        "DENOISING": "denoising",
        "SYNTHETIC_DIR": "synthetic-dir",
        "MOTION_CORRECTION": "motion-correction",
    },
    "Profile": {"GAUSSIAN": "gaussian", "BOX": "box"},
    "Preset": {"STANDARD": "standard", "LOW_FIELD": "low-field"},
    "Formula": {
        "AUTOMATIC": "auto",
        "FLAIR_MINUS_T1": "flair-minus-t1",
        "FLAIR_TIMES_T2": "flair-times-t2",
    },
    "CompareMode": {"SIDE_BY_SIDE": "side by side", "SWIPE": "swipe", "BLINK": "blink", "BLEND": "blend"},
    "Method": {"NETWORK": "network", "BSPLINE": "bspline"},
    "Device": {"AUTOMATIC": "auto", "CPU": "cpu", "CUDA": "cuda", "MPS": "mps"},
    "Precision": {"AUTOMATIC": "auto", "FLOAT32": "float32", "BFLOAT16": "bfloat16", "FLOAT16": "float16"},
}


def part(path: str):
    module, name = path.split(".")
    return getattr(importlib.import_module(f"SynthMRIModuleLib.{module}"), name)


@pytest.fixture(autouse=True)
def modules(slicer_desktop):
    for path in (SUPER_RESOLUTION, UNCERTAINTY, READER_STUDY):
        slicer_desktop.load_module(path)


@pytest.mark.parametrize("path, names", PARTS.items())
def test_parts_offer_what_modules_use(path, names):
    offered = set(dir(part(path))) | set(getattr(part(path), "__dataclass_fields__", ()))
    assert set(names) <= offered


@pytest.mark.parametrize("path, arguments", FUNCTIONS.items())
def test_functions_take_what_modules_give(path, arguments):
    assert list(inspect.signature(part(path)).parameters) == arguments


@pytest.mark.parametrize("name", ["SynthMRI", "SynthMRIUncertainty"])
def test_logics_are_called_as_scripts_call_them(name):
    logic = getattr(importlib.import_module(name), f"{name}Logic")
    request = ["self", "inputNode", "bundle", "parameters", "task"]
    assert list(inspect.signature(logic.process).parameters) == request
    assert list(inspect.signature(logic.start).parameters) == [
        *request, "onProgress", "onLog", "onFinished", "onError",
    ]  # fmt: skip
    assert list(inspect.signature(logic.check).parameters) == request


def test_what_scenes_hold_keeps_its_names():
    from SynthMRIModuleLib import choices, result_nodes

    assert {name: getattr(result_nodes, name) for name in STORED} == STORED
    for name, members in MEMBERS.items():
        assert {member.name: member.value for member in getattr(choices, name)} == members


@pytest.mark.parametrize("name, parameters", PARAMETERS.items())
def test_parameters_keep_their_names(name, parameters):
    assert set(getattr(importlib.import_module(name), f"{name}ParameterNode").allParameters) == parameters


@pytest.mark.parametrize("module", [UNCERTAINTY, READER_STUDY], ids=lambda path: path.stem)
def test_sister_modules_use_no_other_part_than_those_above(module):
    used = {
        line.split("SynthMRIModuleLib.")[1].split()[0]
        for file in [module, *module.parent.glob("*Lib/*.py")]
        for line in file.read_text(encoding="utf-8").splitlines()
        if "from SynthMRIModuleLib." in line
    }
    assert used <= {path.split(".")[0] for path in (*PARTS, *FUNCTIONS)}
