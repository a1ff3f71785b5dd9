"""slicer.app.coreIOManager(): volumes and scenes, read and written by MRML's own storage nodes.

Only what slicer.util.loadVolume, loadScene, saveNode, saveScene and exportNode need for image volumes and scenes is
played; another file type raises.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from PySide6.QtCore import QObject, Signal

from ..errors import NotInStandInError
from ..widgets.completion import completed

_VOLUME_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_SCENE_ENDINGS = (".mrml", ".mrb")


def _ending(name: str, endings: tuple[str, ...]) -> str:
    return next((ending for ending in endings if name.lower().endswith(ending)), "")


@completed("qSlicerIOManager")
class IOManager(QObject):
    """Reads and writes nodes and scenes."""

    newFileLoaded = Signal(dict)
    fileSaved = Signal(dict)

    def fileType(self, file: str) -> str:
        if _ending(file, _SCENE_ENDINGS):
            return "SceneFile"
        return "VolumeFile" if _ending(file, _VOLUME_ENDINGS) else "NoFile"

    def fileWriterFileType(self, node: Any, _extension: str = "") -> str:
        return "VolumeFile" if node.IsA("vtkMRMLVolumeNode") else "NoFile"

    def extractKnownExtension(self, file: str, _node: Any) -> str:
        return _ending(file, _VOLUME_ENDINGS)

    def fileWriterExtensions(self, _node: Any) -> list[str]:
        return ["NRRD (.nrrd)", "NIfTI (.nii.gz)", "NIfTI (.nii)", "MetaImage (.mha)"]

    def loadNodes(self, kind: str, properties: dict, loaded: Any = None, messages: Any = None) -> bool:
        name = properties["fileName"]
        if kind == "SceneFile":
            return self.loadScene(name, properties.get("clear", False), messages)
        if kind != "VolumeFile":
            raise NotInStandInError(f"Loading files of type '{kind}'")
        node = self._load_volume(name, properties, messages)
        if node is None:
            return False
        if loaded is not None:
            loaded.AddItem(node)
        self.newFileLoaded.emit(dict(properties))
        return True

    def _load_volume(self, name: str, properties: dict, messages: Any) -> Any:
        scene, is_label = slicer.mrmlScene, bool(properties.get("labelmap"))
        node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode" if is_label else "vtkMRMLScalarVolumeNode")
        path = Path(name)
        node.SetName(
            scene.GenerateUniqueName(properties.get("name") or path.name[: -len(_ending(name, _VOLUME_ENDINGS))])
        )
        storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
        storage.SetFileName(name)
        node.SetAndObserveStorageNodeID(storage.GetID())
        if not path.exists() or not storage.ReadData(node):
            if messages is not None:
                messages.AddMessages(storage.GetUserMessages())
            scene.RemoveNode(storage)
            scene.RemoveNode(node)
            return None
        node.CreateDefaultDisplayNodes()
        if properties.get("show", True) and not is_label:
            selection = slicer.app.applicationLogic().GetSelectionNode()
            selection.SetActiveVolumeID(node.GetID())
            slicer.app.applicationLogic().PropagateVolumeSelection()
        return node

    def loadScene(self, name: str, clear: bool = True, _messages: Any = None) -> bool:
        scene = slicer.mrmlScene
        if name.lower().endswith(".mrb"):
            return bool(scene.ReadFromMRB(name, clear))
        scene.SetURL(name)
        return bool(scene.Connect() if clear else scene.Import())

    def saveNodes(self, kind: str, properties: dict, messages: Any = None, _scene: Any = None) -> bool:
        name = properties["fileName"]
        if kind == "SceneFile":
            return self.saveScene(name, None, messages)
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if kind != "VolumeFile":
            raise NotInStandInError(f"Saving files of type '{kind}'")
        storage = node.GetStorageNode() or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
        node.SetAndObserveStorageNodeID(storage.GetID())
        return self._write(node, storage, name, properties)

    def saveScene(self, name: str, _screenshot: Any = None, _messages: Any = None) -> bool:
        scene = slicer.mrmlScene
        if name.lower().endswith(".mrb"):
            return bool(scene.WriteToMRB(name, None))
        scene.SetURL(name)
        scene.SetRootDirectory(str(Path(name).parent))
        return bool(scene.Commit(name))

    def exportNodes(
        self, node_ids: list[str], names: list[str], common: dict, harden: bool = False, _messages: Any = None
    ) -> bool:
        if harden:
            raise NotInStandInError("Exporting with hardened transforms")
        done = True
        for node_id, name in zip(node_ids, names):
            storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
            storage.SetScene(slicer.mrmlScene)
            done = self._write(slicer.mrmlScene.GetNodeByID(node_id), storage, name, common) and done
        return done

    def _write(self, node: Any, storage: Any, name: str, properties: dict) -> bool:
        storage.SetFileName(name)
        storage.SetUseCompression(int(properties.get("useCompression", 1)))
        written = bool(storage.WriteData(node))
        if written:
            self.fileSaved.emit(dict(properties))
        return written
