"""Figures of quality, each with its definition."""
