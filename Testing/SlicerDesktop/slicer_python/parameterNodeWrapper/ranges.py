"""A pair of numbers, the lower one first."""

from __future__ import annotations

from .packs import parameterPack


@parameterPack
class FloatRange:
    """A range of numbers."""

    _minimum: float
    _maximum: float

    def __init__(self, minimum: float = 0, maximum: float = 0) -> None:
        self.setRange(minimum, maximum)

    @staticmethod
    def checkRange(minimum: float, maximum: float) -> None:
        """Raise ValueError when the ends are in the wrong order."""
        if not minimum <= maximum:
            raise ValueError(f"A range needs minimum <= maximum, but {minimum} > {maximum}.")

    @property
    def minimum(self) -> float:
        """The lower end."""
        return self._minimum

    @minimum.setter
    def minimum(self, value: float) -> None:
        self.checkRange(value, self.maximum)
        self._minimum = value

    @property
    def maximum(self) -> float:
        """The upper end."""
        return self._maximum

    @maximum.setter
    def maximum(self, value: float) -> None:
        self.checkRange(self.minimum, value)
        self._maximum = value

    def setRange(self, minimum: float, maximum: float) -> None:
        """Set both ends."""
        self.checkRange(minimum, maximum)
        self._minimum, self._maximum = minimum, maximum
