"""Developer mode: "Reload" must take up changes of the libraries too, not only of the module's own file."""

from __future__ import annotations

import sys

LIBRARIES = ("SynthMRILib", "SynthMRIModuleLib", "SynthMRIReaderStudyLib")


def forget_libraries() -> None:
    """End the child, take the marks away and drop the libraries, so that the next import reads them anew."""
    from .engine import close_shared_client
    from .synthetic_mark import remove_mark

    close_shared_client()
    remove_mark()
    for name in list(sys.modules):
        if name.partition(".")[0] in LIBRARIES:
            del sys.modules[name]
