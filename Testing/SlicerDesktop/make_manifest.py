"""Write manifest.json.gz, the names of Slicer's Python layer that the stand-in is held to.

Run by hand when a newer manifest of Slicer's API is at hand:

    python make_manifest.py path/to/slicer_api.json

Only what the stand-in reads is kept: classes with their properties, signals, slots, methods and enums, the names of
the `qt` module, layouts and module names. The output is the same for the same input, byte for byte.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

KEPT_SECTIONS = (
    "Qt", "application", "classes", "gui_connectors", "layouts", "modules", "pythonqt", "qt_namespace", "sample_data",
    "vtk_names",
)  # fmt: skip
DROPPED_CLASS_KEYS = ("header", "protected_slots", "protected_slots_qt5_only", "protected_slots_qt6_only")


def compact(manifest: dict) -> dict:
    """The part of the full manifest that the stand-in reads."""
    kept = {name: manifest[name] for name in KEPT_SECTIONS}
    kept["classes"] = {
        name: {key: value for key, value in description.items() if key not in DROPPED_CLASS_KEYS}
        for name, description in manifest["classes"].items()
    }
    kept["about"] = {
        "slicer_version": manifest["about"]["slicer_version"],
        "sources": manifest["about"]["sources"],
        "util_functions": sorted(manifest["python"]["slicer.util"]["all"]),
        "packaging_functions": manifest["python"]["slicer.packaging"]["functions"],
    }
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="the full manifest, slicer_api.json")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("manifest.json.gz"))
    arguments = parser.parse_args()
    manifest = compact(json.loads(arguments.source.read_text(encoding="utf-8")))
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    with arguments.output.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write(text.encode("utf-8"))


if __name__ == "__main__":
    main()
