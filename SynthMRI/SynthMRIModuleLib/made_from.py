"""What a result was made from, as the scene holds it now, and whether that is still what it was.

The provenance of a result holds the SHA-256 of the voxels and geometry of its inputs, and the frame where the input was
a sequence. Finding out takes a while for a large volume, so it is for a thread.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from .frames import browser_of, frame_number
from .node_volume import NodeVoxels, ijk_to_ras, voxels_on_node
from .result_nodes import provenance_of, source_of

if TYPE_CHECKING:
    from SynthMRILib.volume import Volume

#: Entry of the provenance: number of the frame, from 1, where the input was a sequence.
FRAME = "frame"


@dataclass(frozen=True, eq=False)
class Acquired:
    """What a thread needs to know of the acquired volume of a result.

    Args:
        name: of its node.
        voxels: of the node, or of the frame that the result was made from.
        hashes: SHA-256 of what the result was made from, one for each input; empty where it does not say.
        key: changes whenever the voxels or their place do.
    """

    name: str
    voxels: NodeVoxels
    hashes: frozenset[str]
    key: Hashable

    def volume(self) -> Volume:
        """The volume. Raises InputError where it is not what the result was made from."""
        from SynthMRILib.errors import InputError

        volume = self.voxels.volume()
        reason = self._reason(volume)
        if reason:
            raise InputError(reason)
        return volume

    def reason_changed(self) -> str:
        """That it is not what the result was made from, in one sentence; empty when it is, or nothing tells."""
        return self._reason(self.voxels.volume()) if self.hashes else ""

    def _reason(self, volume: Volume) -> str:
        from SynthMRILib.provenance import volume_sha256

        if not self.hashes or volume_sha256(volume) in self.hashes:
            return ""
        return _("'{name}' has changed since the result was made from it, so the two cannot be compared.").format(
            name=self.name
        )


def acquired_of(result: slicer.vtkMRMLScalarVolumeNode) -> Acquired:
    """What a result was made from; of a sequence its frame, whichever is shown. Raises InputError without voxels."""
    source, provenance = source_of(result), provenance_of(result)
    node = _frame_node(source, provenance) or source
    hashes = (facts.get("sha256") for facts in (provenance.get("inputs") or {}).values())
    key = (source.GetID(), node.GetImageData() and node.GetImageData().GetMTime(), ijk_to_ras(node).tobytes())
    return Acquired(source.GetName(), voxels_on_node(node), frozenset(filter(None, hashes)), key)


def reason_other_frame(result: slicer.vtkMRMLScalarVolumeNode) -> str:
    """That the views show another frame than the one a result was made from, in one sentence; empty otherwise."""
    source, made_from = source_of(result), provenance_of(result).get(FRAME)
    shown = frame_number(source) if made_from is not None else None
    if shown is None or shown == made_from:
        return ""
    return _(
        "The result was made from frame {made}, but '{name}' shows frame {shown}. Difference and charts are those of "
        "frame {made}; turn Compare off and on to go there."
    ).format(made=made_from, name=source.GetName(), shown=shown)


def show_frame(result: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Have a sequence show the frame that a result was made from."""
    browser, made_from = browser_of(source_of(result)), provenance_of(result).get(FRAME)
    if browser is not None and made_from is not None and 1 <= made_from <= browser.GetNumberOfItems():
        browser.SetSelectedItemNumber(made_from - 1)


def _frame_node(source: slicer.vtkMRMLNode, provenance: dict[str, Any]) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The node that a sequence keeps the frame in; None for a volume that is no sequence any more."""
    browser, made_from = browser_of(source), provenance.get(FRAME)
    sequence = browser.GetSequenceNode(source) if browser is not None and made_from is not None else None
    if sequence is None or not 1 <= made_from <= sequence.GetNumberOfDataNodes():
        return None
    return sequence.GetNthDataNode(made_from - 1)
