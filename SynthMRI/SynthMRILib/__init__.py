"""The SynthMRI engine: enhancement and synthesis of brain MR volumes.

Free of Slicer, Qt and VTK, so that the same code serves the panels, the command line and training.
Importing this package, its tasks, bundles and the parent side of its jobs never imports torch.
"""

__version__ = "0.1.0"

INTENDED_USE = "Synthetic volume. Research use only, not for diagnosis."

#: The mark on every synthetic volume: exported headers, corner annotation. Fits the 79 characters NIfTI allows.
SYNTHETIC_NOTICE = "SYNTHETIC - not for diagnosis"
