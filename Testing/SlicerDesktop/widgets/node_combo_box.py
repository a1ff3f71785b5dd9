"""qMRMLNodeComboBox: choose, add, rename or delete a node of the scene.

The rows are those of Slicer's widget: None, the nodes that fit, the actions; what is selected when rows come and go is
left to QComboBox, as in Slicer.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Property, Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from .. import dialogs
from .completion import completed
from .ctk_buttons import ComboBox
from .node_filter import NodeFilter, SceneWatch

_ID = Qt.ItemDataRole.UserRole
_ACTION = Qt.ItemDataRole.UserRole + 1


def _choice(holder: str, attribute: str, python_type: Any) -> Property:
    """A property that decides which rows there are, kept in the widget itself ("") or in one of its parts."""

    def owner(self: NodeComboBox) -> Any:
        return getattr(self, holder) if holder else self

    def write(self: NodeComboBox, value: Any) -> None:
        kept = [text for text in value if text] if isinstance(value, (list, tuple)) else value
        if kept != getattr(owner(self), attribute):
            setattr(owner(self), attribute, kept)
            self._refresh()

    return Property(python_type, lambda self: getattr(owner(self), attribute), write)


class _NodeRows(QWidget):
    """The rows of the selector and what is selected among them."""

    currentNodeChanged = Signal((object,), (bool,))
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._filter = NodeFilter()
        self._watch = SceneWatch(self, self._on_scene_event, self._refresh)
        self._labels: dict[str, str] = {}
        self._user_actions: list[QAction] = []
        self._none_enabled = self._edit_enabled = self._rename_enabled = self._quiet = False
        self._add_enabled = self._remove_enabled = True
        self._none_display, self._requested_id = "None", ""
        self._combo = ComboBox()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._combo)
        self._combo.currentTextChanged.connect(self._announce)
        self._combo.activated.connect(self._activate)
        self.setEnabled(False)

    def nodeTypeLabel(self, type_name: str) -> str:
        if type_name in self._labels:
            return self._labels[type_name]
        return (self._scene.GetTypeDisplayNameByClassName(type_name) if self._scene else "") or "node"

    def _action_rows(self) -> list[tuple[str, str, str]]:
        types = self._filter.types
        label = self.nodeTypeLabel(types[0] if len(types) == 1 else "")
        rows = [("Rename current " + label, "", "RENAME")] if self._rename_enabled else []
        rows += [("Edit current " + label, "", "EDIT")] if self._edit_enabled else []
        for name in types if self._add_enabled else ():
            rows.append((f"Create new {self.nodeTypeLabel(name)}", "", f"CREATE/{name}"))
            if self._rename_enabled:
                rows.append((f"Create new {self.nodeTypeLabel(name)} as...", "", f"CREATE_AS/{name}"))
        rows += [("Delete current " + label, "", "DELETE")] if self._remove_enabled else []
        return rows + [(action.text(), "", f"USER/{action.text()}") for action in self._user_actions]

    def _wanted_rows(self) -> list[tuple[str, str, str]]:
        if self._scene is None:
            return []
        rows = [(self._none_display, "", "")] if self._none_enabled else []
        rows += [(node.GetName() or "", node.GetID(), "") for node in self._filter.nodes(self._scene)]
        return rows + self._action_rows()

    def _key(self, index: int) -> tuple[str, str]:
        return self._combo.itemData(index, _ID) or "", self._combo.itemData(index, _ACTION) or ""

    def _refresh(self) -> None:
        """Make the rows what they should be, touching only those that differ."""
        wanted = self._wanted_rows()
        keys = [row[1:] for row in wanted]
        for index in reversed(range(self._combo.count())):
            if self._key(index) not in keys:
                self._combo.removeItem(index)
        for index, (text, identifier, action) in enumerate(wanted):
            if index >= self._combo.count() or self._key(index) != (identifier, action):
                self._combo.insertItem(index, text, identifier)
                self._combo.setItemData(index, action, _ACTION)
            elif self._combo.itemText(index) != text:
                self._combo.setItemText(index, text)
        types = self._filter.types
        self._combo.setProperty("defaultText", f"Select a {self.nodeTypeLabel(types[0] if types else '')}")
        self._watch.watch_nodes(self._filter.nodes(self._scene))

    def _announce(self, *_: Any) -> None:
        if self._quiet:
            return
        index = self._combo.currentIndex()
        if index >= 0 and self._key(index)[1]:
            nodes = self._filter.nodes(self._scene)
            self.setCurrentNodeID(nodes[-1].GetID() if nodes else "")
            return
        node = self.currentNode()
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def _activate(self, index: int) -> None:
        if self._key(index)[1]:
            self._run_action(self._key(index)[1])
        else:
            self.nodeActivated.emit(self.currentNode())

    def _on_scene_event(self, event: str) -> None:
        before = {self._combo.itemData(index, _ID) for index in range(self._combo.count())}
        self._refresh()
        for node in self._filter.nodes(self._scene) if event == "NodeAddedEvent" else ():
            if node.GetID() not in before:
                self.nodeAdded.emit(node)

    def mrmlScene(self) -> Any:
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        wished = self._current_id() if self.nodeCount() else self._requested_id
        self._scene, self._quiet = scene, True
        self._watch.watch(scene)
        self._refresh()
        first = self._filter.nodes(scene)[:1] if not self._none_enabled else []
        self._combo.setCurrentIndex(-1)
        self._quiet = False
        self.setCurrentNodeID(wished or (first[0].GetID() if first else ""))
        self._requested_id = "" if scene is not None else wished
        self.setEnabled(scene is not None)

    def _current_id(self) -> str:
        return self._combo.itemData(self._combo.currentIndex(), _ID) or ""

    def currentNode(self) -> Any:
        identifier = self._current_id()
        return self._scene.GetNodeByID(identifier) if identifier and self._scene else None

    @Slot(object)
    def setCurrentNode(self, node: Any) -> None:
        identifier = node if isinstance(node, str) else node.GetID() if node is not None else ""
        self.setCurrentNodeID(identifier or "")

    @Slot(str)
    def setCurrentNodeID(self, identifier: str) -> None:
        if self._scene is None:
            self._requested_id = identifier
            return
        index = self._combo.findData(identifier, _ID) if identifier else -1
        self._combo.setCurrentIndex(index if index >= 0 else (0 if self._none_enabled else -1))

    @Slot(int)
    def setCurrentNodeIndex(self, index: int) -> None:
        self._combo.setCurrentIndex((index if index < self.nodeCount() else -1) + self._none_enabled)

    def nodeCount(self) -> int:
        return len(self._filter.nodes(self._scene))

    def nodeFromIndex(self, index: int) -> Any:
        nodes = self._filter.nodes(self._scene)
        return nodes[index] if 0 <= index < len(nodes) else None

    def currentNodeId(self) -> str:
        return self._current_id()


@completed("qMRMLNodeComboBox")
class NodeComboBox(_NodeRows):
    """A combo box of MRML nodes."""

    nodeAddedByUser = Signal(object)
    nodeAddedByUserAction = Signal(object)
    currentNodeRenamed = Signal(str)
    nodeAboutToBeEdited = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._base_names: dict[str, str] = {}
        self._select_created = True

    def _run_action(self, action: str) -> None:
        command, _, detail = action.partition("/")
        if command in ("CREATE", "CREATE_AS"):
            name = str(dialogs.answer("input", "New name:") or "") if command == "CREATE_AS" else ""
            node = self.addNode(detail)
            if name:
                node.SetName(name)
            self.setCurrentNode(node)
            self.nodeAddedByUserAction.emit(node)
        elif command == "USER":
            next(each for each in self._user_actions if each.text() == detail).trigger()
        else:
            {"DELETE": self.removeCurrentNode, "EDIT": self.editCurrentNode, "RENAME": self.renameCurrentNode}[
                command
            ]()

    @Slot(str, result=object)
    def addNode(self, type_name: str = "") -> Any:
        name = type_name or (self._filter.types or [""])[0]
        if self._scene is None or name not in self._filter.types:
            return None
        node = self._scene.CreateNodeByClass(name)
        node.UnRegister(None)
        base = self._base_names.get(name) or (None if node.GetName() else node.GetDefaultNodeNamePrefix())
        if base:
            node.SetName(self._scene.GetUniqueNameByString(base))
        for attribute, value in self._filter.attributes.values():
            node.SetAttribute(attribute, value or "")
        added = self._scene.AddNode(node)
        if self._select_created:
            self.setCurrentNode(added)
        self.nodeAddedByUser.emit(added)
        return added

    @Slot()
    def removeCurrentNode(self) -> None:
        self._scene.RemoveNode(self.currentNode())

    @Slot()
    def renameCurrentNode(self) -> None:
        name = str(dialogs.answer("input", "New name:") or "") if self.currentNode() else ""
        if name:
            self.currentNode().SetName(name)
            self.currentNodeRenamed.emit(name)

    @Slot()
    def editCurrentNode(self) -> None:
        self.nodeAboutToBeEdited.emit(self.currentNode())

    def addAttribute(self, type_name: str, attribute: str, value: Any = None) -> None:
        if type_name in self._filter.types:
            self._filter.attributes[type_name] = (attribute, None if value is None else str(value))
            self._refresh()

    def removeAttribute(self, type_name: str, attribute: str) -> None:
        if self._filter.attributes.get(type_name, ("",))[0] == attribute:
            del self._filter.attributes[type_name]
            self._refresh()

    def setNodeTypeLabel(self, label: str, type_name: str) -> None:
        self._labels[type_name] = label
        self._refresh()

    def addMenuAction(self, action: QAction) -> None:
        self._user_actions.append(action)
        self._refresh()

    def _set_base_name(self, name: str) -> None:
        self._base_names.update(dict.fromkeys(self._filter.types, name))

    nodeTypes = _choice("_filter", "types", "QStringList")
    hideChildNodeTypes = _choice("_filter", "hidden_types", "QStringList")
    showHidden = _choice("_filter", "show_hidden", bool)
    showChildNodeTypes = _choice("_filter", "show_children", bool)
    noneEnabled = _choice("", "_none_enabled", bool)
    noneDisplay = _choice("", "_none_display", str)
    addEnabled = _choice("", "_add_enabled", bool)
    removeEnabled = _choice("", "_remove_enabled", bool)
    editEnabled = _choice("", "_edit_enabled", bool)
    renameEnabled = _choice("", "_rename_enabled", bool)
    selectNodeUponCreation = _choice("", "_select_created", bool)
    currentNodeID = Property(str, _NodeRows._current_id, _NodeRows.setCurrentNodeID)
    baseName = Property(str, lambda self: next(iter(self._base_names.values()), ""), _set_base_name)
    sizeAdjustPolicy = Property(
        QComboBox.SizeAdjustPolicy, lambda s: s._combo.sizeAdjustPolicy(), lambda s, v: s._combo.setSizeAdjustPolicy(v)
    )
