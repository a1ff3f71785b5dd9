"""A stand-in for Slicer's desktop, so that panels of scripted modules run in pytest without Slicer.

Qt is PySide6 without a screen, MRML is the real one of the package slicer-core; this package plays what lies between:
the rules of PythonQt, the widgets of CTK and MRML, slicer.app, slicer.modules and Slicer's Python files. A name that
Slicer does not have raises. README.md says how to use it and what it does not play.
"""
