"""What Slicer installs: every file of a module is listed, the panels are complete, the extension describes itself."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import list_module_files
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = [folder.name for folder in list_module_files.module_folders()]
PANELS = {name: ROOT / name / "Resources" / "UI" / f"{name}.ui" for name in MODULES}
CONTROLS = {
    "QComboBox",
    "QSpinBox",
    "QDoubleSpinBox",
    "QCheckBox",
    "QPushButton",
    "QPlainTextEdit",
    "QLineEdit",
    "QListWidget",
    "QTableWidget",
    "QTabWidget",
    "QTextBrowser",
    "ctkPathLineEdit",
    "ctkSliderWidget",
    "qMRMLNodeComboBox",
}


def widgets_of(panel: Path) -> dict[str, ET.Element]:
    return {widget.get("name"): widget for widget in ET.parse(panel).iter("widget")}


def value_of(widget: ET.Element, name: str) -> str:
    found = widget.find(f"./property[@name='{name}']")
    return "" if found is None else "".join(found.itertext()).strip()


def test_there_are_modules():
    assert {"SynthMRI", "SynthMRIUncertainty", "SynthMRIReaderStudy"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_every_file_of_a_module_is_listed_and_every_listed_file_exists(name: str):
    assert list_module_files.differences(ROOT / name) == []


def test_a_file_that_is_not_listed_is_found_and_can_be_added(tmp_path: Path):
    folder = tmp_path / "SynthMRIUncertainty"
    shutil.copytree(ROOT / folder.name, folder)
    (folder / "SomethingLib").mkdir()
    (folder / "SomethingLib" / "new.py").write_text('"""New."""\n', encoding="utf-8")
    (folder / "SomethingLib" / "table.json").write_text("{}\n", encoding="utf-8")
    assert len(list_module_files.differences(folder)) == 2
    list_module_files.rewrite(folder)
    assert list_module_files.differences(folder) == []
    (folder / "SomethingLib" / "new.py").unlink()
    assert "does not exist" in list_module_files.differences(folder)[0]


def test_libraries_of_all_modules_have_different_names():
    libraries = [path.name for name in MODULES for path in (ROOT / name).iterdir() if path.name.endswith("Lib")]
    assert len(libraries) == len(set(libraries)), "Slicer puts all modules into one folder"


def test_the_extension_describes_itself_as_the_index_asks():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    values = dict(re.findall(r'^set\((EXTENSION_\w+) "([^"]*)"\)', text, re.MULTILINE))
    needed = {"HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS"}
    assert all(values.get(f"EXTENSION_{name}") for name in needed)
    assert "project(SynthMRI)" in text and 'EXTENSION_DEPENDS "PyTorch"' in text
    assert "not for diagnosis" in values["EXTENSION_DESCRIPTION"]
    for name in ("EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"):
        assert re.fullmatch(r"https://raw\.githubusercontent\.com/\S+\.png", values[name])
    assert re.search(r"add_subdirectory\(SynthMRI\)[\s\S]*## NEXT_MODULE", text)


@pytest.mark.parametrize("name", MODULES)
def test_icons_are_png_of_128_pixels(name: str):
    icons = [ROOT / name / "Resources" / "Icons" / f"{name}.png", ROOT / "SynthMRI.png"]
    for icon in icons:
        data = icon.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (128, 128)


@pytest.mark.parametrize("name", MODULES)
def test_every_control_of_a_panel_has_a_tooltip_and_a_name_for_screen_readers(name: str):
    for widget_name, widget in widgets_of(PANELS[name]).items():
        if widget.get("class") in CONTROLS:
            assert value_of(widget, "toolTip"), f"{widget_name} has no tooltip"
            assert value_of(widget, "accessibleName") or value_of(widget, "text"), f"{widget_name} has no name"


@pytest.mark.parametrize("name", MODULES)
def test_the_label_of_every_choice_names_it_as_its_buddy(name: str):
    widgets = widgets_of(PANELS[name])
    buddies = {value_of(widget, "buddy") for widget in widgets.values()} - {""}
    assert buddies <= set(widgets)
    bound = {n for n, w in widgets.items() if value_of(w, "SlicerParameterName")}
    assert bound <= buddies, "a choice without label"


@pytest.mark.parametrize("name", MODULES)
def test_the_tab_key_reaches_every_control(name: str):
    tree = ET.parse(PANELS[name])
    stops = [stop.text for stop in tree.iter("tabstop")]
    controls = {n for n, w in widgets_of(PANELS[name]).items() if w.get("class") in CONTROLS}
    assert set(stops) == controls and len(stops) == len(set(stops))


@pytest.mark.parametrize("name", MODULES)
def test_every_node_selector_gets_the_scene(name: str):
    tree = ET.parse(PANELS[name])
    connected = {connection.findtext("receiver") for connection in tree.iter("connection")}
    selectors = {n for n, w in widgets_of(PANELS[name]).items() if w.get("class") == "qMRMLNodeComboBox"}
    assert connected == selectors


@pytest.mark.parametrize("name", MODULES)
def test_panels_have_no_styling_of_their_own_and_say_what_they_are_for(name: str):
    text = PANELS[name].read_text(encoding="utf-8")
    assert not re.search(r'name="(styleSheet|palette|font)"', text)
    assert "Research use only. Synthetic. Not for diagnosis." in text
