"""The module SampleData as far as other modules use it: what they register is recorded, nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer

from .errors import NotInStandInError


@dataclass(frozen=True)
class SampleDataSource:
    """One registered sample."""

    sampleName: str
    sampleDescription: str
    uris: list[str]
    fileNames: list[str]
    nodeNames: list[str]
    checksums: list[str | None]
    loadFileTypes: list[str | None]
    thumbnailFileName: str | None


def _listed(value: Any, count: int) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * count


class SampleDataLogic:
    """Registers samples."""

    @staticmethod
    def registerCustomSampleDataCategory(category: str, title: str) -> None:
        """Give a category a title."""
        _titles()[category] = title

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        customDownloader: Any = None,  # noqa: ARG004
        thumbnailFileName: str | None = None,
        loadFileTypes: Any = None,
        loadFiles: Any = None,  # noqa: ARG004
        loadFileProperties: dict | None = None,  # noqa: ARG004
        checksums: Any = None,
        loadFileType: Any = None,
    ) -> None:
        """Register a sample."""
        addresses = _listed(uris, 1)
        source = SampleDataSource(
            sampleName,
            sampleName,
            addresses,
            _listed(fileNames, len(addresses)),
            _listed(nodeNames, len(addresses)),
            _listed(checksums, len(addresses)),
            _listed(loadFileTypes or loadFileType, len(addresses)),
            thumbnailFileName,
        )
        if len({len(addresses), len(source.fileNames), len(source.nodeNames), len(source.checksums)}) > 1:
            raise ValueError(f"The sample '{sampleName}' has lists of different lengths.")
        known = registered().setdefault(category, [])
        if source not in known:
            known.append(source)

    def __getattr__(self, name: str) -> Any:
        raise NotInStandInError(f"'SampleData.SampleDataLogic.{name}'")


def registered() -> dict[str, list[SampleDataSource]]:
    """All registered samples by category, as in `slicer.modules.sampleDataSources`."""
    return vars(slicer.modules).setdefault("sampleDataSources", {})


def _titles() -> dict[str, str]:
    return vars(slicer.modules).setdefault("sampleDataCategoryTitles", {})


def forget() -> None:
    """Forget what was registered."""
    registered().clear()
    _titles().clear()
