"""Which nodes a node selector offers, following qMRMLSortFilterProxyModel."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import slicer
from shiboken6 import Shiboken


@dataclass
class NodeFilter:
    """Types, attributes and visibility that a node must have to be offered."""

    types: list[str] = field(default_factory=list)
    hidden_types: list[str] = field(default_factory=list)
    show_hidden: bool = False
    show_children: bool = True
    attributes: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def accepts(self, node: Any) -> bool:
        """Whether the node is offered."""
        if node.GetHideFromEditors() and not self.show_hidden:
            return False
        return not self.types or any(self._fits_type(node, type_name) for type_name in self.types)

    def _fits_type(self, node: Any, type_name: str) -> bool:
        if not node.IsA(type_name) or (not self.show_children and node.GetClassName() != type_name):
            return False
        if self.show_children and any(node.IsA(hidden) for hidden in self.hidden_types):
            return False
        if type_name not in self.attributes:
            return True
        name, wanted = self.attributes[type_name]
        value = node.GetAttribute(name)
        return value is not None and wanted in (None, value)

    def nodes(self, scene: Any) -> list[Any]:
        """The offered nodes in the order of the scene."""
        if scene is None:
            return []
        nodes = (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
        return [node for node in nodes if self.accepts(node)]


class SceneWatch:
    """Calls a widget's method when nodes come, go or change; stops by itself once the widget is gone."""

    def __init__(self, widget: Any, on_scene: Callable[[str], None], on_node: Callable[[], None]) -> None:
        self._widget = weakref.ref(widget)
        self._on_scene, self._on_node = weakref.WeakMethod(on_scene), weakref.WeakMethod(on_node)
        self._scene: Any = None
        self._scene_tags: list[int] = []
        self._node_tags: dict[str, tuple[Any, int]] = {}

    def _alive(self) -> bool:
        widget = self._widget()
        if widget is None or not Shiboken.isValid(widget):
            self.watch(None)
            return False
        return True

    def watch(self, scene: Any) -> None:
        """Watch another scene, or none."""
        for tag in self._scene_tags:
            self._scene.RemoveObserver(tag)
        for node, tag in self._node_tags.values():
            node.RemoveObserver(tag)
        self._scene, self._scene_tags, self._node_tags = scene, [], {}
        if scene is not None:
            kinds = slicer.vtkMRMLScene
            for event in (kinds.NodeAddedEvent, kinds.NodeRemovedEvent, kinds.EndBatchProcessEvent):
                self._scene_tags.append(scene.AddObserver(event, self._scene_event))

    def watch_nodes(self, nodes: list[Any]) -> None:
        """Watch these nodes for changes, such as a new name."""
        wanted = {node.GetID(): node for node in nodes}
        for identifier in [key for key in self._node_tags if key not in wanted]:
            node, tag = self._node_tags.pop(identifier)
            node.RemoveObserver(tag)
        for identifier, node in wanted.items():
            if identifier not in self._node_tags:
                self._node_tags[identifier] = node, node.AddObserver("ModifiedEvent", self._node_event)

    def _scene_event(self, _scene: Any, event: str) -> None:
        if self._alive() and not self._scene.IsBatchProcessing():
            self._on_scene()(event)

    def _node_event(self, *_: Any) -> None:
        if self._alive() and not self._scene.IsBatchProcessing():
            self._on_node()()
