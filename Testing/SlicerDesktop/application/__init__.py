"""slicer.app and what it gives access to; importing the package registers the classes."""

from . import app, io_manager, layout, scripted_modules, views

__all__ = ["app", "io_manager", "layout", "scripted_modules", "views"]
