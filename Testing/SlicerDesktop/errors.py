"""What the stand-in raises beyond AttributeError and TypeError."""

from __future__ import annotations


class NotInStandInError(NotImplementedError):
    """Slicer has this name, the stand-in does not play it yet: add it to the stand-in, never bend the product."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} exists in Slicer, but this stand-in does not play it yet. "
            "Add it under Testing/SlicerDesktop; do not change product code for it."
        )


class UnexpectedDialogError(AssertionError):
    """A modal dialog asked something that the test had not prepared an answer for."""
