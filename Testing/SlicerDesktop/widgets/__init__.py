"""The widgets of CTK and Slicer that the stand-in plays; importing the package registers them."""

from . import ctk_buttons, ctk_numbers, ctk_paths, mrml_numbers, mrml_widgets, node_combo_box

__all__ = ["ctk_buttons", "ctk_numbers", "ctk_paths", "mrml_numbers", "mrml_widgets", "node_combo_box"]
