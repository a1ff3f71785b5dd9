"""What a slice view draws, for tests and pictures: a real render window without a screen, made when first asked for.

As in Slicer, the slice logic's image is drawn by an image mapper in the first renderer, and displayable managers add
crosshair, color legend, markups and the rest. Slicer's interactor style hands the mouse on to them.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

#: What Slicer's slice views have of their own, and what its modules add.
MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
)


class Drawing:
    """Draws one slice view.

    Args:
        logic: slice logic of the view.
        annotation: what is written at its corners and edges.
    """

    def __init__(self, logic: Any, annotation: vtk.vtkCornerAnnotation) -> None:
        self._logic = logic
        self.window, self.renderer = vtk.vtkRenderWindow(), vtk.vtkRenderer()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*logic.GetSliceNode().GetDimensions()[:2])
        self.window.AddRenderer(self.renderer)
        self._mapper, slice_actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        slice_actor.SetMapper(self._mapper)
        slice_actor.GetProperty().SetDisplayLocationToBackground()
        self._slice_actor = slice_actor
        self.renderer.AddViewProp(slice_actor)
        self.renderer.AddViewProp(annotation)
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._managers = self._make_managers()
        self.style = slicer.vtkMRMLSliceViewInteractorStyle()
        self.style.SetDisplayableManagers(self._managers)
        self.style.SetSliceLogic(logic)
        self.style.SetInteractor(self.interactor)

    def render(self) -> vtk.vtkImageData:
        """Draw, and return the pixels (RGB, rows from the bottom)."""
        width, height, _depth = self._logic.GetSliceNode().GetDimensions()
        self.window.SetSize(width, height)
        self._logic.UpdatePipeline()
        connection = self._logic.GetImageDataConnection()
        self._slice_actor.SetVisibility(connection is not None)
        self._mapper.SetInputConnection(connection)
        self.window.Render()
        reader = vtk.vtkWindowToImageFilter()
        reader.SetInput(self.window)
        reader.ReadFrontBufferOff()
        reader.Update()
        return reader.GetOutput()

    def _make_managers(self) -> Any:
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for name in MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        managers = factory.InstantiateDisplayableManagers(self.renderer)
        managers.SetMRMLDisplayableNode(self._logic.GetSliceNode())
        return managers
