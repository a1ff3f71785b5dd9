"""The parameters that a class declares by its annotations."""

from __future__ import annotations

import logging
import typing
from dataclasses import dataclass
from typing import Any

from .codecs import Codec
from .collections_codecs import codec_for
from .default import Default


@dataclass(frozen=True)
class ParameterInfo:
    """One declared parameter."""

    basename: str
    codec: Codec
    default: Default
    unalteredType: Any


def read_parameters(declaring: type) -> dict[str, ParameterInfo]:
    """The annotated names of a class with their codecs and defaults."""
    found = {}
    for name, annotated in typing.get_type_hints(declaring, include_extras=True).items():
        try:
            codec, others = codec_for(annotated)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{declaring.__name__}.{name}: {error}") from error
        defaults = [each for each in others if isinstance(each, Default)]
        unused = [each for each in others if not isinstance(each, Default)]
        if unused:
            logging.getLogger(__name__).warning("Unused annotations: %s", unused)
        if hasattr(declaring, name):
            default = Default(getattr(declaring, name))
        else:
            default = defaults[0] if defaults else Default(codec.default())
        found[name] = ParameterInfo(name, codec, default, annotated)
    return found
