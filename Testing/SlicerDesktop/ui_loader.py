"""Load a .ui file as slicer.util.loadUI does, with CTK's and Slicer's widgets played by this package.

The XML is checked against the manifest first. Properties of CTK and Slicer classes and the connections are applied
here, because Qt's loader knows neither their enums nor MRML arguments; everything else is left to Qt's own loader.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import enums, manifest
from .connections import connect_objects
from .implementations import player
from .proxies import proxy_for
from .ui_checks import check_tree


class _Loader(QtUiTools.QUiLoader):
    """Qt's loader, with the classes that this package plays."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[QtWidgets.QWidget] = []

    def createWidget(self, class_name: str, parent: QtWidgets.QWidget | None = None, name: str = ""):
        if class_name == "Line" or class_name.startswith("Q"):
            return super().createWidget(class_name, parent, name)
        widget = player(class_name)(parent)
        widget.setObjectName(name)
        self.made.append(widget)
        return widget


def _is_foreign(class_name: str | None) -> bool:
    return class_name is not None and not class_name.startswith("Q") and class_name != "Line"


def _take_foreign_properties(root: ET.Element) -> list[tuple[str, str, ET.Element]]:
    """Remove from the tree, and return, the properties that classes of CTK and Slicer add to Qt's."""
    taken = []
    for element in root.iter("widget"):
        class_name = element.get("class", "")
        for entry in element.findall("property") if _is_foreign(class_name) else ():
            member = manifest.members(class_name).get(entry.get("name", ""))
            if member is not None and entry.get("stdset") != "0" and not member.owner.startswith("Q"):
                element.remove(entry)
                taken.append((element.get("name", ""), class_name, entry))
    return taken


def _value_of(member: manifest.Member, value: ET.Element) -> object:
    text = value.text or ""
    if value.tag == "stringlist":
        return [item.text or "" for item in value.findall("string")]
    if value.tag == "bool":
        return text.strip() == "true"
    if value.tag == "number" or value.tag == "double":
        return float(text) if member.type in ("double", "float") else int(float(text))
    if value.tag in ("enum", "set"):
        scope, _, enum_name = member.type.rpartition("::")
        total = 0
        for part in text.split("|"):
            total |= int(enums.find_value(scope or member.owner, enum_name, part.strip().split("::")[-1]))
        return total
    return text


def _take_connections(root: ET.Element) -> list[ET.Element]:
    found = []
    for section in root.findall("connections"):
        found += section.findall("connection")
        root.remove(section)
    return found


def _connect(widget: QtWidgets.QWidget, connection: ET.Element) -> None:
    def end(tag: str) -> object:
        name = connection.findtext(tag, "")
        if widget.objectName() == name:
            return proxy_for(widget)
        found = widget.findChild(QtCore.QObject, name)
        if found is None:
            raise AttributeError(f".ui file: a connection names '{name}', but there is no such object.")
        return proxy_for(found)

    sender, receiver = end("sender"), end("receiver")
    connect_objects(sender, connection.findtext("signal", ""), receiver, connection.findtext("slot", ""))


def load(device: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> object:
    """The proxy of the form's root widget; raises on whatever Slicer would refuse or silently drop."""
    root = ET.fromstring(bytes(device.readAll().data()))
    check_tree(root)
    connections = _take_connections(root)
    foreign = _take_foreign_properties(root)
    buffer = QtCore.QBuffer()
    buffer.setData(ET.tostring(root))
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    loader = _Loader()
    widget = loader.load(buffer, parent)
    if widget is None:
        raise RuntimeError(f"Qt could not load the form: {loader.errorString()}")
    widget.made_by_loader = loader.made
    for name, class_name, entry in foreign:
        target = widget if widget.objectName() == name else widget.findChild(QtWidgets.QWidget, name)
        member = manifest.members(class_name)[entry.get("name", "")]
        setattr(proxy_for(target), member.name, _value_of(member, next(iter(entry))))
    for connection in connections:
        _connect(widget, connection)
    return proxy_for(widget)
