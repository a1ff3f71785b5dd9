"""Where a synthetic volume is least to be trusted, as places a reader can be taken to."""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from .node_volume import volume_from_node


@dataclass(frozen=True)
class Region:
    """One cluster of high uncertainty.

    Args:
        sentence: where and how much, for a reader.
        position: of its peak, RAS [mm] in the world, that is with the volume's parent transform.
    """

    sentence: str
    position: tuple[float, float, float]


def least_trusted_regions(
    image: slicer.vtkMRMLScalarVolumeNode, uncertainty: slicer.vtkMRMLScalarVolumeNode
) -> list[Region]:
    """The largest clusters of high uncertainty, largest first. Both nodes lie on the same grid."""
    from SynthMRILib.uncertainty.findings import find_clusters

    clusters = find_clusters(volume_from_node(uncertainty), volume_from_node(image))
    return [Region(cluster.sentence(), _in_world(image, cluster.position_ras)) for cluster in clusters]


def _in_world(node: slicer.vtkMRMLScalarVolumeNode, position: tuple[float, float, float]) -> tuple[float, float, float]:
    transform = node.GetParentTransformNode()
    if transform is None:
        return position
    import vtk

    to_world = vtk.vtkGeneralTransform()
    transform.GetTransformToWorld(to_world)
    return tuple(to_world.TransformPoint(position))
