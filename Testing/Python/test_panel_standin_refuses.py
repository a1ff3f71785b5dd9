"""What Slicer's Python would refuse, or drop without a word, raises in the stand-in; what PythonQt allows works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

UI = Path(__file__).parent / "panel_example" / "Resources" / "UI" / "StandinExample.ui"

# what is tried, error, part of the message
REFUSED = [
    ("qt.QSpinBox().value()", TypeError, "not callable"),
    ("qt.QPushButton('a').text()", TypeError, "not callable"),
    ("qt.QPushButton('a').setTxt('b')", AttributeError, "setText"),
    ("qt.QPushButton('a').setText('b', 'c')", TypeError, "2 arguments"),
    ("qt.QPushButton('a').setText(text='b')", TypeError, "no keyword"),
    ("qt.QPushButton('a').setText(None)", TypeError, "do not fit"),
    ("qt.QPushButton(1, 2, 3, 4)", TypeError, "QPushButton"),
    ("qt.QPushButon()", AttributeError, "QPushButton"),
    ("qt.QPushButton().setAttribute('x', 1, 2)", TypeError, "3 arguments"),
    ("setattr(qt.QPushButton(), 'enable', True)", AttributeError, "enable"),
    ("setattr(qt.QPushButton(), 'click', print)", AttributeError, "method"),
    ("setattr(qt.QPushButton(), 'clicked', print)", AttributeError, "signal"),
    ("setattr(qt.QSpinBox(), 'value', 'five')", TypeError, "value"),
    ("setattr(qt.QLabel(), 'text', ['a'])", TypeError, "text"),
    ("setattr(qt.QSpinBox(), 'cleanText', 'a')", AttributeError, "read only"),
    ("qt.QPushButton().clicked(1, 2)", TypeError, "takes 1"),
    ("qt.QPushButton().connect('klicked(bool)', print)", AttributeError, "clicked"),
    ("qt.QPushButton().connect('clicked(int)', print)", AttributeError, "clicked(bool)"),
    ("qt.QPushButton().connect('clicked', print)", TypeError, "argument types"),
    ("qt.QPushButton().clicked.connect('print')", TypeError, "callable"),
    ("qt.QComboBox().currentIndexChanged[int]", TypeError, "subscript"),
    ("qt.QComboBox().connect('currentIndexChanged(QString)', print)", AttributeError, "currentIndexChanged(int)"),
    ("qt.Qt.AlignLeeft", AttributeError, "AlignLeeft"),
    ("qt.QMessageBox.StandardButton.Okay", AttributeError, "Okay"),
    ("slicer.qSlicerCoreApplication()", TypeError, "cannot"),
    ("ctk.ctkSliderWidget().setRange(0, 1)", AttributeError, "C++ only"),
    ("ctk.ctkCollapsibleButton().setCollapsed(True)", AttributeError, "C++ only"),
    ("ctk.ctkColapsibleButton()", AttributeError, "ctkCollapsibleButton"),
    ("slicer.qMRMLNodeComboBox().setNodeTypes(['vtkMRMLNode'])", AttributeError, "C++ only"),
    ("slicer.qMRMLNodeComboBox().setMRMLScene(qt.QLabel())", TypeError, "do not fit"),
    ("slicer.qMRMLNodeCombobox()", AttributeError, "qMRMLNodeComboBox"),
    ("slicer.util.confirmOKCancelDisplay('a')", AttributeError, "confirmOKCancelDisplay"),
    ("slicer.util.settingsValue('a')", TypeError, "default"),
    ("slicer.arrayFromVolume", AttributeError, "arrayFromVolume"),
    ("slicer.app.layoutManager().sliceWiget('Red')", AttributeError, "sliceWidget"),
    ("slicer.app.mainWindow()", AttributeError, "C++ only"),
    ("slicer.app.applicationName()", TypeError, "not callable"),
    ("slicer.modules.synthmri", AttributeError, "no module of that name"),
    ("slicer.packaging.pip_ensure('numpy', ask=True)", TypeError, "ask"),
    ("slicer.mrmlScene.GetNodeById('a')", AttributeError, "GetNodeById"),
]


@pytest.mark.parametrize(("tried", "error", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_slicer_refuses_raises(slicer_desktop: Any, tried: str, error: type, message: str) -> None:  # noqa: ARG001
    import ctk
    import qt
    import slicer

    with pytest.raises(error) as raised:
        eval(tried, {"qt": qt, "ctk": ctk, "slicer": slicer})
    assert message in str(raised.value)


# what is replaced in the example's form, by what, part of the message
FAULTS = [
    ('name="text"><string>Apply', 'name="txt"><string>Apply', "txt"),
    ('name="noneEnabled"', 'name="noneEnable"', "noneEnable"),
    ('class="QSpinBox"', 'class="QSpinnBox"', "QSpinnBox"),
    ('class="qMRMLNodeComboBox" name', 'class="qMRMLNodeCombobox" name', "qMRMLNodeCombobox"),
    ('class="QSpinBox"', 'class="ctkMessageBox"', "no Qt Designer plugin"),
    ('name="passesSpinBox"', 'name="applyButton"', "used twice"),
    ("<bool>true</bool></property>\n     <layout", "<string>yes</string></property>\n     <layout", "does not take"),
    ("ctkPathLineEdit::Dirs|", "ctkPathLineEdit::Folders|", "Folders"),
    ("Qt::Vertical", "Qt::Orientation::Vertical", "Qt 6 only"),
    ("mrmlSceneChanged(vtkMRMLScene*)", "mrmlSceneChange(vtkMRMLScene*)", "mrmlSceneChange"),
    ("setMRMLScene(vtkMRMLScene*)", "setMrmlScene(vtkMRMLScene*)", "setMrmlScene"),
    ("<slot>setMRMLScene(vtkMRMLScene*)", "<slot>setCurrentNodeID(QString)", "cannot take"),
    ("<receiver>inputSelector", "<receiver>inputSelecter", "inputSelecter"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), FAULTS, ids=[row[1][:40] for row in FAULTS])
def test_a_fault_in_a_form_raises(slicer_desktop: Any, tmp_path: Path, old: str, new: str, message: str) -> None:  # noqa: ARG001
    import slicer

    text = UI.read_text(encoding="utf-8")
    assert old in text
    broken = tmp_path / "Broken.ui"
    broken.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises((AttributeError, TypeError)) as raised:
        slicer.util.loadUI(str(broken))
    assert message in str(raised.value)


def test_a_parameter_name_that_the_module_lacks_raises(slicer_desktop: Any, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(UI.parents[2], tmp_path / "module")
    form = tmp_path / "module" / "Resources" / "UI" / UI.name
    form.write_text(form.read_text(encoding="utf-8").replace("<string>passes<", "<string>pases<"), encoding="utf-8")
    slicer_desktop.load_module(tmp_path / "module" / "StandinExample.py")
    with pytest.raises(ValueError, match="pases"):
        slicer_desktop.open_module("StandinExample")


def test_a_callback_gets_as_many_values_as_it_takes(slicer_desktop: Any) -> None:  # noqa: ARG001
    import qt

    button, heard = qt.QPushButton("a"), []
    button.checkable = True
    button.connect("clicked(bool)", lambda: heard.append("none"))
    button.clicked.connect(lambda on: heard.append(on))
    button.clicked.connect(lambda *values: heard.append(values))
    button.connect("clicked()", lambda name="given": heard.append(name))
    button.click()
    assert heard == ["none", True, (True,), "given"]


def test_a_callback_can_be_taken_back(slicer_desktop: Any) -> None:  # noqa: ARG001
    import qt

    timer, heard = qt.QTimer(), []
    timer.timeout.connect(heard.append)
    assert timer.disconnect("timeout()", heard.append)
    assert not timer.timeout.disconnect(heard.append)
    timer.timeout()
    assert heard == []


def test_objects_answer_as_pythonqt_lets_them(slicer_desktop: Any) -> None:  # noqa: ARG001
    import qt

    window = qt.QWidget()
    layout = qt.QFormLayout(window)
    label, line = qt.QLabel("a"), qt.QLineEdit()
    layout.addRow(label, line)
    line.name = "theLine"
    assert (line.objectName, window.theLine) == ("theLine", line)
    assert line.parent() is window
    assert isinstance(window.children(), tuple)
    assert window.findChildren(qt.QLineEdit) == window.findChildren("QLineEdit") == (line,)
    assert (label.className(), label.inherits("QWidget"), label.isWidgetType()) == ("QLabel", True, True)
    line.setProperty("remark", 3)
    assert (line.remark, line.property("remark"), line.property("none")) == (3, 3, None)
    line.remark = 4
    assert line.property("remark") == 4
    assert not hasattr(line, "remarc")
    assert window.layout() == layout
    assert (window.sizeHint.width() > 0, window.size.width() > 0) == (True, True)


def test_enum_values_are_numbers(slicer_desktop: Any) -> None:  # noqa: ARG001
    import qt

    box = qt.QMessageBox()
    box.standardButtons = qt.QMessageBox.Ok | qt.QMessageBox.Cancel
    assert int(box.standardButtons) == 0x400 + 0x400000
    assert qt.QMessageBox.StandardButton.Ok == qt.QMessageBox.Ok == 0x400
    check = qt.QCheckBox("a")
    check.setCheckState(qt.Qt.Checked)
    assert (check.checked, check.checkState() == qt.Qt.Checked) == (True, True)
    label = qt.QLabel("a")
    label.alignment = qt.Qt.AlignRight | qt.Qt.AlignTop
    assert label.alignment == qt.Qt.AlignRight | qt.Qt.AlignTop


def test_numbers_are_converted_as_pythonqt_does(slicer_desktop: Any) -> None:  # noqa: ARG001
    import qt

    spin, label = qt.QSpinBox(), qt.QLabel()
    spin.value = 3.9
    label.text = 5
    spin.setMaximum(50.0)
    assert (spin.value, label.text, spin.maximum) == (3, "5", 50)


def test_a_python_class_overrides_what_qt_calls(slicer_desktop: Any) -> None:
    import qt

    class Filter(qt.QObject):
        """Counts key presses."""

        def __init__(self, parent: Any) -> None:
            super().__init__(parent)
            self.seen = 0

        def eventFilter(self, watched: Any, event: Any) -> bool:
            self.seen += watched.name == "line" and event.type() == qt.QEvent.FocusIn
            return False

    class Panel(qt.QWidget):
        """Knows when it was shown."""

        shown = 0

        def showEvent(self, event: Any) -> None:
            self.shown += 1
            super().showEvent(event)

    panel = Panel()
    line = qt.QLineEdit(panel)
    line.name = "line"
    spy = Filter(panel)
    line.installEventFilter(spy)
    panel.show()
    qt.QApplication.sendEvent(line, qt.QFocusEvent(qt.QEvent.FocusIn))
    slicer_desktop.process_events()
    assert (panel.shown, spy.seen >= 1, panel.visible) == (1, True, True)


def test_a_deleted_object_says_so(slicer_desktop: Any) -> None:
    import qt

    label = qt.QLabel("a")
    label.deleteLater()
    slicer_desktop.reset()
    assert not label
    with pytest.raises(ValueError, match="destroyed"):
        label.text = "b"


def test_a_timer_without_owner_goes_with_its_last_name(slicer_desktop: Any) -> None:
    import qt

    heard: list[int] = []

    def start() -> None:
        timer = qt.QTimer()
        timer.timeout.connect(lambda: heard.append(1))
        timer.start(1)

    start()
    qt.QTimer.singleShot(5, lambda: heard.append(2))
    assert slicer_desktop.wait_until(lambda: bool(heard), timeout=2)
    slicer_desktop.process_events(20)
    assert heard == [2]
