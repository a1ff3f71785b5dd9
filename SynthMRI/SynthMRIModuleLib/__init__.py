"""What the SynthMRI panels share: the way between MRML nodes and the engine, one run, display, and dependencies.

Knows Slicer and MRML; the engine (`SynthMRILib`) does not. Engine modules are imported where they are used, so that
Slicer starts as fast with the extension as without it.
"""
