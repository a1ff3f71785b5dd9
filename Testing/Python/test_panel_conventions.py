"""Slicer's conventions, held by every module: names for screen readers, keyboard order, translation, US English."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from module_support import READER_STUDY, SUPER_RESOLUTION, UNCERTAINTY, head_node
from test_module_lists import CONTROLS, MODULES, PANELS, ROOT, widgets_of

MODULE_FILES = {path.stem: path for path in (SUPER_RESOLUTION, UNCERTAINTY, READER_STUDY)}
SOURCES = [
    path
    for name in MODULES
    for path in sorted((ROOT / name).rglob("*.py"))
    if "SynthMRILib" not in path.parts  # the engine knows no panel; its sentences are English
]
#: Properties and methods whose text a user reads.
SHOWN_PROPERTIES = {
    *("text", "toolTip", "title", "windowTitle", "placeholderText", "suffix", "specialValueText", "accessibleName"),
    *("helpText", "acknowledgementText"),
}
SHOWING_CALLS = {
    *("setText", "setToolTip", "setTitle", "addItem", "addTab", "setTabToolTip", "appendPlainText", "show_status"),
    *("confirmOkCancelDisplay", "confirmYesNoDisplay", "tryWithErrorDisplay", "SetTitle", "SetXAxisTitle"),
    *("SetYAxisTitle", "SetTitleText", "InputError", "ResourceError", "Cancelled", "QLabel", "QPushButton"),
}
STYLING = {"setStyleSheet", "styleSheet", "setPalette", "setFont"}
#: Boxes that need a click and ask nothing.
POPUPS = {"infoDisplay", "warningDisplay", "messageBox", "delayDisplay", "QMessageBox"}
BRITISH = re.compile(
    r"\b(colou?rs?(?<=our)|colours?\w*|grey\w*|cent(?:re|res|red)|\w+(?:metre|litre)s?|behaviou?r(?<=our)\w*|neighbour\w*|"
    r"favour\w*|\w+(?:lyse|lysed|lysing)|\w+[lrntm]is(?:e|es|ed|ing|ation)|labell\w+|modell\w+|travell\w+|cancelling|"
    r"catalogue\w*|licence|programme)\b",
    re.IGNORECASE,
)
#: Words that end like British ones and are not.
SAME_EVERYWHERE = {"noise", "otherwise", "precise", "raise", "rise", "promise", "compromise", "premise", "exercise"}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def name_of(node: ast.AST) -> str:
    """Last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def has_words(node: ast.AST) -> bool:
    """True for a literal, or an f-string, that holds a word."""
    if isinstance(node, ast.JoinedStr):
        return any(has_words(part) for part in node.values)
    return (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(re.search(r"[A-Za-z]{3}", node.value))
    )


def shown_values(tree: ast.Module) -> Iterator[ast.AST]:
    """Everything that is given to a user to read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Attribute) and target.attr in SHOWN_PROPERTIES for target in node.targets
        ):
            yield node.value
        elif isinstance(node, ast.Call) and name_of(node.func) in SHOWING_CALLS and node.args:
            yield node.args[0]


def parts_of(value: ast.AST) -> Iterator[ast.AST]:
    """The alternatives that an expression may give: of `a if x else b`, `a or b`, and `(a, b)`."""
    if isinstance(value, ast.IfExp):
        yield from [*parts_of(value.body), *parts_of(value.orelse)]
    elif isinstance(value, ast.BoolOp):
        yield from (part for one in value.values for part in parts_of(one))
    elif isinstance(value, ast.Tuple):
        yield from (part for one in value.elts for part in parts_of(one))
    else:
        yield value


def translated(tree: ast.Module) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node.func) == "_" and node.args)


def test_whatever_a_user_reads_can_be_translated():
    found = [
        f"{path.relative_to(ROOT)}:{part.lineno}"
        for path, tree in trees()
        for value in shown_values(tree)
        for part in parts_of(value)
        if has_words(part)
    ]
    assert not found, "these texts do not go through _()"


def test_texts_are_put_together_after_they_were_translated():
    """`_(f"...")` would look for a translation of every possible text, and find none."""
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path, tree in trees()
        for call in translated(tree)
        if not (isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str))
    ]
    assert not found


def test_the_audit_finds_what_it_looks_for():
    bad = ast.parse('label.text = "Done" if x else ""\nraise InputError(f"No {x} there")\nlabel.text = _("Done")\n')
    assert sorted(p.lineno for value in shown_values(bad) for p in parts_of(value) if has_words(p)) == [1, 2]
    british = "colour grey centre millimetre analyse optimised labelled licence initialisation neighbouring"
    assert len(BRITISH.findall(british)) == 10
    assert not words_of_british("Color, gray, center of the noise; precise otherwise. Analyze, optimize, labeled.")


def words_of_british(text: str) -> list[str]:
    return [word for word in BRITISH.findall(text) if word.lower() not in SAME_EVERYWHERE]


def test_users_read_us_english():
    texts = {
        f"{path.name}:{call.lineno}": str(call.args[0].value) for path, tree in trees() for call in translated(tree)
    }
    for name, panel in PANELS.items():
        texts |= {f"{name}.ui {n}": e.text or "" for n, e in enumerate(ET.parse(panel).iter("string"))}
    assert len(texts) > 300
    assert not {where: found for where, text in texts.items() if (found := words_of_british(text))}


def test_there_is_no_styling_and_no_message_box_in_the_code():
    for path, tree in trees():
        for node in ast.walk(tree):
            name = name_of(node) if isinstance(node, ast.Attribute) else ""
            assert name not in STYLING, f"{path}:{node.lineno}"
            # The self-tests of the modules show what Slicer's own show.
            assert name not in POPUPS or name == "delayDisplay", f"{path}:{node.lineno}"


@pytest.mark.parametrize("name", MODULES)
def test_the_tab_key_goes_through_a_panel_as_it_is_read(name):
    tree = ET.parse(PANELS[name])
    read = [widget.get("name") for widget in tree.iter("widget") if widget.get("class") in CONTROLS]
    assert [stop.text for stop in tree.iter("tabstop")] == read


@pytest.mark.parametrize("name", MODULES)
def test_rows_of_a_form_stand_where_they_are_read(name):
    """The order in the file is that of the rows, so that the test above is about what is seen."""
    for layout in ET.parse(PANELS[name]).iter("layout"):
        places = [(int(i.get("row")), int(i.get("column", 0))) for i in layout.findall("item") if i.get("row")]
        assert places == sorted(places) and len(places) == len(set(places)), layout.get("name")


@pytest.mark.parametrize("name", MODULES)
def test_every_control_of_an_open_panel_tells_what_it_is(slicer_desktop, name):
    """Those that the code makes, too; a caption, a label that is its buddy, or a name for screen readers."""
    from PySide6 import QtWidgets

    for path in MODULE_FILES.values():
        slicer_desktop.load_module(path)
    head_node()
    panel = slicer_desktop.open_module(name)
    slicer_desktop.process_events()
    root = panel.parent.qt_object()
    buddies = {label.buddy() for label in root.findChildren(QtWidgets.QLabel) if label.buddy() is not None}
    kinds = (QtWidgets.QAbstractButton, QtWidgets.QComboBox, QtWidgets.QAbstractSpinBox, QtWidgets.QAbstractItemView)
    named = [w for kind in kinds for w in root.findChildren(kind) if w.objectName() in widgets_of(PANELS[name])]
    assert len(named) > 8
    for widget in named:
        caption = widget.accessibleName() or getattr(widget, "text", lambda: "")() or widget in buddies
        assert caption and widget.toolTip(), widget.objectName()
