"""Adds the shipped bundles to an installation: `pip install .` puts them where `SynthMRILib.bundles` looks for them.

All else is in pyproject.toml. An editable installation reads the bundles of the checkout, so it gets no copy.
"""

import sys
from pathlib import Path

from setuptools import setup

MODELS = Path("Resources/Models")


def bundle_files() -> list[tuple[str, list[str]]]:
    """Target folder and files of every folder below MODELS."""
    folders = sorted({file.parent for file in MODELS.rglob("*") if file.is_file()})
    return [
        (
            f"share/synthmri/Models/{folder.relative_to(MODELS).as_posix()}",
            [str(f) for f in folder.iterdir() if f.is_file()],
        )
        for folder in folders
    ]


setup(data_files=[] if "editable_wheel" in sys.argv else bundle_files())
