"""A head MR volume to try the modules with, listed by Slicer's Sample Data module.

It is Slicer's own MRHead, donated by the person it shows for use without restrictions, so nothing new is hosted.
"""

from __future__ import annotations

from slicer.i18n import tr as _

CATEGORY = "SynthMRI"
SAMPLE = "SynthMRIHead"
CHECKSUM = "SHA256:cc211f0dfd9a05ca3841ce1141b292898b2dd2d3f08286affadf823a7e58df93"
URL = f"https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/{CHECKSUM.partition(':')[2]}"


def register_sample_data() -> None:
    """Add the sample to the Sample Data module; nothing happens where that module is not loaded."""
    try:
        import SampleData
    except ImportError:
        return
    logic = SampleData.SampleDataLogic
    if hasattr(logic, "registerCustomSampleDataCategory"):
        logic.registerCustomSampleDataCategory(CATEGORY, title=_("SynthMRI"))
    logic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE,
        uris=URL,
        fileNames="MR-head.nrrd",
        nodeNames="MRHead",
        checksums=CHECKSUM,
    )
