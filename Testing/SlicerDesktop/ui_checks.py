"""Checks of a .ui file against Slicer's manifest before it is loaded.

Qt skips what it does not know in a .ui file without a word; here it is an error that names the file's widget.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from . import enums, manifest
from .errors import NotInStandInError
from .implementations import player

_LAYOUT_PROPERTIES = {"leftMargin", "topMargin", "rightMargin", "bottomMargin", "margin"}
_FORM_PROPERTIES = {("Line", "orientation"), ("QLabel", "buddy")}  # Qt's loader sets these by a function
_KIND_OF_TAG = {
    "string": ("QString", "QChar", "QVariant", "QKeySequence", "QDate", "QTime", "QUrl", "QByteArray"),
    "cstring": ("QString", "QByteArray", "QVariant"),
    "stringlist": ("QStringList", "QVariant"),
    "bool": ("bool", "QVariant"),
    "number": ("int", "uint", "double", "float", "qlonglong", "QVariant", "WId"),
    "double": ("double", "float", "QVariant"),
    "url": ("QUrl", "QVariant"),
    "color": ("QColor", "QBrush", "QVariant"),
    "font": ("QFont", "QVariant"),
    "size": ("QSize", "QVariant"),
    "rect": ("QRect", "QVariant"),
    "point": ("QPoint", "QVariant"),
    "sizepolicy": ("QSizePolicy",),
    "iconset": ("QIcon", "QVariant"),
    "pixmap": ("QPixmap", "QIcon", "QVariant"),
    "locale": ("QLocale",),
    "palette": ("QPalette",),
    "cursorShape": ("QCursor",),
    "cursor": ("QCursor",),
    "date": ("QDate",),
    "time": ("QTime",),
    "datetime": ("QDateTime",),
}


def check_tree(root: ET.Element) -> None:
    """Check classes, properties and names of a whole .ui file; AttributeError or TypeError for the first fault."""
    _check_scopes(root)
    names: set[str] = set()
    for element in root.iter():
        if element.tag not in ("widget", "layout", "spacer", "action"):
            continue
        name = element.get("name", "")
        if name and name in names:
            raise AttributeError(f".ui file: the object name '{name}' is used twice.")
        names.add(name)
        class_name = {"spacer": "Spacer", "action": "QAction"}.get(element.tag) or element.get("class", "")
        if class_name != "Spacer":
            _check_class(class_name, name)
            for entry in element.findall("property"):
                check_property(class_name, name, entry, is_layout=element.tag == "layout")


def _check_scopes(root: ET.Element) -> None:
    """Enum values as Qt 5 reads them: 'QFrame::Box', not 'QFrame::Shape::Box'."""
    for element in [*root.iter("enum"), *root.iter("set")]:
        for part in (element.text or "").split("|"):
            words = part.strip().split("::")
            if len(words) > 2:
                short = f"{words[0]}::{words[-1]}"
                raise AttributeError(f".ui file: '{part.strip()}' is read by Qt 6 only; write '{short}'.")


def _check_class(class_name: str, name: str) -> None:
    description = manifest.classes().get(class_name)
    if class_name == "Line":
        return
    if description is None:
        raise AttributeError(f".ui file: '{name}' is of class '{class_name}', which Slicer does not have.")
    if not class_name.startswith("Q") and not description.get("designer_plugin"):
        raise AttributeError(
            f".ui file: '{name}' is of class '{class_name}', which has no Qt Designer plugin: "
            "Slicer's loadUI would make a plain base widget. Make it in Python instead."
        )
    if player(class_name) is None:
        raise NotInStandInError(f"The class '{class_name}' ('{name}' of the .ui file)")


def check_property(class_name: str, name: str, entry: ET.Element, *, is_layout: bool) -> None:
    """Check one <property>: it exists, can be written, and takes that kind of value."""
    prop = entry.get("name", "")
    if entry.get("stdset") == "0" or prop.startswith("Slicer") or (is_layout and prop in _LAYOUT_PROPERTIES):
        return
    lookup = "QFrame" if class_name == "Line" else class_name
    if (class_name, prop) in _FORM_PROPERTIES:
        return
    member = manifest.members(lookup).get(prop)
    where = f".ui file: '{name}'"
    if member is None or member.kind != "property":
        raise AttributeError(f"{where}: {manifest.why_absent(lookup, prop)} (property '{prop}')")
    if not member.writable:
        raise AttributeError(f"{where}: the property '{class_name}.{prop}' is read only.")
    value = next(iter(entry), None)
    if value is None:
        raise TypeError(f"{where}: the property '{prop}' has no value.")
    _check_value(where, member, value)


def _check_value(where: str, member: manifest.Member, value: ET.Element) -> None:
    described = f"the property '{member.owner}.{member.name}' of type {member.type}"
    keys = _enum_keys(member)
    if value.tag in ("enum", "set"):
        if keys is None:
            raise TypeError(f"{where}: {described} is no enum, but has an <{value.tag}> value.")
        for part in (value.text or "").split("|"):
            words = part.strip().split("::")
            if words[-1] not in keys:
                raise AttributeError(f"{where}: {described} has no value '{part.strip()}'.")
        return
    allowed = _KIND_OF_TAG.get(value.tag)
    if allowed is None:
        raise TypeError(f"{where}: {described} has an unknown kind of value <{value.tag}>.")
    if member.type not in allowed and not (keys is not None and value.tag == "number"):
        raise TypeError(f"{where}: {described} does not take a <{value.tag}>.")


def _enum_keys(member: manifest.Member) -> tuple[str, ...] | None:
    class_name, _, enum_name = member.type.rpartition("::")
    _, keys = enums.declared_keys(class_name or member.owner, enum_name)
    return keys or None
