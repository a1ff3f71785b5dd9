"""Questions about types and their annotations."""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any

import slicer


def splitAnnotations(possiblyAnnotatedType: Any) -> tuple[Any, list[Any]]:
    """The type and its annotations, none for a plain type."""
    if typing.get_origin(possiblyAnnotatedType) is Annotated:
        plain, *annotations = typing.get_args(possiblyAnnotatedType)
        return plain, annotations
    return possiblyAnnotatedType, []


def unannotatedType(possiblyAnnotatedType: Any) -> Any:
    """The type without annotations."""
    return splitAnnotations(possiblyAnnotatedType)[0]


def findFirstAnnotation(annotationsList: list[Any], annotationType: type) -> Any:
    """The first annotation of that type, or None."""
    return next((each for each in annotationsList if isinstance(each, annotationType)), None)


def splitPossiblyDottedName(possiblyDottedName: str) -> tuple[str, str | None]:
    """'a.b.c' -> ('a', 'b.c'); 'a' -> ('a', None)."""
    top, dot, rest = possiblyDottedName.partition(".")
    return top, rest if dot else None


def isUnion(datatype: Any) -> bool:
    """Whether it is Union[...], Optional[...] or A | B."""
    return typing.get_origin(datatype) in (typing.Union, types.UnionType)


def isNodeType(datatype: Any) -> bool:
    """Whether it is a class of MRML nodes."""
    return isinstance(datatype, type) and issubclass(datatype, slicer.vtkMRMLNode)


def isNodeOrUnionOfNodes(datatype: Any) -> bool:
    """Whether it is a class of MRML nodes, or a union of such classes and None."""
    plain = unannotatedType(datatype)
    if not isUnion(plain):
        return isNodeType(plain)
    return all(isNodeType(unannotatedType(part)) or part is type(None) for part in typing.get_args(plain))


def getNodeTypes(datatype: Any) -> tuple[str, ...]:
    """Names of the node classes of such a type."""
    plain = unannotatedType(datatype)
    if not isNodeOrUnionOfNodes(plain):
        raise TypeError(f"{datatype} is not a type of nodes.")
    parts = typing.get_args(plain) if isUnion(plain) else (plain,)
    return tuple(unannotatedType(part)().GetClassName() for part in parts if part is not type(None))
