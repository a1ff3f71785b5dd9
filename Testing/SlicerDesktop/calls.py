"""Calls of Qt methods from Slicer's Python: the arguments must fit a signature that the manifest lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import implementations, manifest
from .conversion import Unconvertible, convert, to_python
from .errors import NotInStandInError

special_calls: dict[tuple[str, str], Callable] = {}
_PYTHON_NAMES = {"raise": "raise_", "print": "print_", "exec": "exec"}


def special(class_name: str, *names: str) -> Callable[[Callable], Callable]:
    """Register a function that plays methods of a class: it gets the proxy (None for static calls) and arguments."""

    def register(function: Callable) -> Callable:
        for name in names:
            special_calls[class_name, name] = function
        return function

    return register


def _find_special(class_name: str, name: str) -> Callable | None:
    for owner in manifest.lineage(class_name):
        if (owner, name) in special_calls:
            return special_calls[owner, name]
    return None


def _describe(class_name: str, name: str, signatures: list[manifest.Signature]) -> str:
    return f"'{class_name}.{name}' in Slicer: {' or '.join(str(signature) for signature in signatures)}"


def _conversions(signatures: list[manifest.Signature], owner: str, arguments: tuple) -> list[list]:
    """The arguments as each fitting overload wants them: strict matches first, then lenient ones."""
    found = []
    for strict in (True, False):
        for signature in signatures:
            if not signature.accepts(len(arguments)):
                continue
            try:
                found.append([convert(v, t, owner, strict=strict) for v, t in zip(arguments, signature.types)])
            except Unconvertible:
                continue
    return found


def _try_each(function: Callable, attempts: list[list], description: str, before: tuple = ()) -> Any:
    """Call `function` with the first set of arguments that PySide6 takes."""
    refusal: TypeError | None = None
    for attempt in attempts:
        try:
            return function(*before, *attempt)
        except TypeError as error:
            if "called with wrong argument" not in str(error):
                raise
            refusal = error
    raise TypeError(f"Wrong arguments. {description}.") from refusal


def _check_arguments(member: manifest.Member, class_name: str, arguments: tuple, keywords: dict) -> list[list]:
    description = _describe(class_name, member.name, member.signatures)
    if keywords:
        raise TypeError(f"Slots take no keyword arguments ({', '.join(keywords)}). {description}.")
    if not any(signature.accepts(len(arguments)) for signature in member.signatures):
        raise TypeError(f"{len(arguments)} arguments were given. {description}.")
    attempts = _conversions(member.signatures, member.owner, arguments)
    if not attempts:
        given = ", ".join(type(argument).__name__ for argument in arguments)
        raise TypeError(f"Arguments of type ({given}) do not fit. {description}.")
    return attempts


class BoundMethod:
    """A method of one object."""

    def __init__(self, member: manifest.Member, proxy: Any) -> None:
        self.member, self.proxy = member, proxy

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        member, proxy = self.member, self.proxy
        special_call = _find_special(proxy.slicer_class_name, member.name)
        if special_call is not None and not keywords:
            return special_call(proxy, *arguments)
        attempts = _check_arguments(member, proxy.slicer_class_name, arguments, keywords)
        qt_object = proxy.qt_object()
        name = _PYTHON_NAMES.get(member.name, member.name)
        plain_class = getattr(type(qt_object), "plain_class", None)
        owner = qt_object if plain_class is None or name not in vars(type(qt_object)) else plain_class
        if not hasattr(owner, name):
            raise NotInStandInError(f"The method '{proxy.slicer_class_name}.{name}'")
        before = () if owner is qt_object else (qt_object,)
        description = _describe(proxy.slicer_class_name, member.name, member.signatures)
        return to_python(_try_each(getattr(owner, name), attempts, description, before))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoundMethod) and (other.member, other.proxy) == (self.member, self.proxy)

    def __hash__(self) -> int:
        return hash((self.member.name, self.proxy))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"'{self.member.owner}.{self.member.name}' is a method: call it before asking for '{name}'."
        )


class UnboundMethod:
    """A method asked of the class: a static call, or a call with the object as first argument."""

    def __init__(self, member: manifest.Member, owner: type) -> None:
        self.member, self.owner = member, owner

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        class_name = self.owner.slicer_class_name
        if self.member.kind != "static":
            if not arguments or not isinstance(arguments[0], self.owner):
                raise TypeError(f"'{class_name}.{self.member.name}' needs an object of the class as first argument.")
            return BoundMethod(self.member, arguments[0])(*arguments[1:], **keywords)
        special_call = _find_special(class_name, self.member.name)
        if special_call is not None and not keywords:
            return special_call(None, *arguments)
        attempts = _check_arguments(self.member, class_name, arguments, keywords)
        function = getattr(implementations.player(class_name), self.member.name, None)
        if function is None:
            raise NotInStandInError(f"The static method '{class_name}.{self.member.name}'")
        return to_python(_try_each(function, attempts, _describe(class_name, self.member.name, self.member.signatures)))


def construct(player: type, class_name: str, arguments: tuple) -> Any:
    """Make the object that plays `class_name`, if Slicer's Python can make one with these arguments."""
    listed = manifest.classes()[class_name]["constructor"]
    texts = [f"{class_name}{listed}"] if isinstance(listed, str) else listed
    signatures = [manifest.parse_signature(text) for text in texts]
    member = manifest.Member("method", class_name, class_name, signatures)
    attempts = _check_arguments(member, class_name, arguments, {})
    return _try_each(player, attempts, _describe(class_name, class_name, signatures))
