"""Thick slices: brought to a finer grid, and what a network has to know about them."""
