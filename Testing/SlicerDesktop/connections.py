"""Signals and slots as PythonQt connects them.

A callable gets as many of the signal's values as it has positional parameters (defaults count), all of them when it
takes *args or is not a plain function or method. A signature that the class does not have is an AttributeError here,
where Slicer would only print a line. An exception in a callback does not stop Qt; it is kept in `callback_errors`, and
the test fixture fails the test for it.
"""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore

from . import manifest
from .conversion import convert, to_python
from .errors import NotInStandInError

callback_errors: list[BaseException] = []
_FOREIGN_POINTER = re.compile(r"\b(?:vtk|qMRML|qSlicer|ctk)\w+\*")


def report(error: BaseException) -> None:
    """Keep an exception that Qt cannot carry, and print it as Slicer's console would."""
    callback_errors.append(error)
    traceback.print_exception(error, file=sys.stderr)


def accepted_count(function: Callable, available: int) -> int:
    """How many of a signal's `available` values PythonQt passes to `function`."""
    plain = function.__func__ if inspect.ismethod(function) else function
    if not inspect.isfunction(plain) or plain.__code__.co_flags & inspect.CO_VARARGS:
        return available
    return min(available, plain.__code__.co_argcount - inspect.ismethod(function))


def normalized(text: str) -> str:
    """A signal or slot signature without spaces, const and references."""
    if "(" not in text or not text.rstrip().endswith(")"):
        raise TypeError(f"'{text}' is not a signature: write the argument types, such as 'clicked(bool)'.")
    return bytes(QtCore.QMetaObject.normalizedSignature(text.strip()).data()).decode()


def find_signal(class_name: str, text: str) -> str:
    """The manifest's spelling of a signal signature; AttributeError when the class does not have it."""
    known, wanted = manifest.signals(class_name), normalized(text)
    if wanted in known:
        return wanted
    name = wanted.split("(")[0]
    same_name = [signature for signature in known if signature.split("(")[0] == name]
    if same_name:
        raise AttributeError(f"Slicer's '{class_name}' has no signal '{wanted}', but {' and '.join(same_name)}.")
    raise AttributeError(f"'{class_name}' has no signal '{wanted}'. {manifest.why_absent(class_name, name)}")


def find_slot(class_name: str, text: str) -> str:
    """The manifest's spelling of a slot signature; AttributeError when the class does not have it."""
    known, wanted = manifest.slots(class_name), normalized(text)
    if wanted in known:
        return wanted
    raise AttributeError(
        f"'{class_name}' has no slot '{wanted}'. {manifest.why_absent(class_name, wanted.split('(')[0])}"
    )


def qt_signature(qt_object: QtCore.QObject, signature: str, class_name: str, *, slot: bool = False) -> str:
    """The same signature as the object that plays the class declares it (MRML pointers travel as Python objects)."""
    meta = qt_object.metaObject()
    index_of = meta.indexOfSlot if slot else meta.indexOfSignal
    for candidate in (signature, _FOREIGN_POINTER.sub("PyObject", signature)):
        if index_of(candidate) >= 0:
            return candidate
    raise NotInStandInError(f"The {'slot' if slot else 'signal'} '{class_name}.{signature}'")


class Connection:
    """One Python callable behind one signal."""

    def __init__(self, qt_object: QtCore.QObject, class_name: str, signature: str, function: Callable) -> None:
        self.signature, self.function = signature, function
        declared = qt_signature(qt_object, signature, class_name)
        self._handle = QtCore.QObject.connect(qt_object, QtCore.SIGNAL(declared), self._call)

    def _call(self, *values: Any) -> None:
        try:
            count = accepted_count(self.function, len(values))
            self.function(*(to_python(value) for value in values[:count]))
        except Exception as error:  # Qt cannot carry exceptions
            report(error)

    def break_off(self) -> None:
        """Disconnect for good."""
        QtCore.QObject.disconnect(self._handle)


class BoundSignal:
    """`button.clicked`: the signal's first declared overload, ready to connect, disconnect or emit."""

    def __init__(self, proxy: Any, member: manifest.Member) -> None:
        self._proxy, self._member = proxy, member
        first = member.signatures[0]
        self._signature = f"{member.name}({','.join(first.types)})"

    def connect(self, function: Callable) -> bool:
        """Call `function` whenever the signal fires."""
        return connect(self._proxy, self._signature, function)

    def disconnect(self, function: Callable | None = None) -> bool:
        """Stop calling `function`, or everything when none is given; whether there was something to stop."""
        return disconnect(self._proxy, self._signature, function)

    def emit(self, *values: Any) -> None:
        """Fire the signal."""
        types = self._member.signatures[0].types
        if len(values) != len(types):
            raise TypeError(f"The signal {self._signature} takes {len(types)} values, {len(values)} were given.")
        qt_object = self._proxy.qt_object()
        qt_signature(qt_object, self._signature, type(self._proxy).__name__)
        converted = [convert(v, t, self._member.owner, strict=False) for v, t in zip(values, types)]
        bound = getattr(qt_object, self._member.name)
        if len(self._member.signatures) > 1:
            bound = bound[self._signature[len(self._member.name) + 1 : -1]] if types else bound
        bound.emit(*converted)

    def __getattr__(self, name: str) -> Any:
        if name in manifest.load()["pythonqt"]["signal_attributes"]:
            raise NotInStandInError(f"The signal attribute '{name}'")
        raise AttributeError(
            f"A signal has no '{name}': it offers connect, disconnect and emit, no overload selection."
        )

    def __call__(self, *values: Any) -> None:
        self.emit(*values)


def connect(proxy: Any, signature: str, function: Callable) -> bool:
    """Connect a signal of `proxy`, given by its full signature, with a Python callable."""
    if not callable(function):
        raise TypeError(f"'{signature}' can only be connected with a callable, not with {function!r}.")
    found = find_signal(proxy.slicer_class_name, signature)
    connection = Connection(proxy.qt_object(), proxy.slicer_class_name, found, function)
    proxy.record().connections.append(connection)
    return True


def disconnect_all(proxy: Any) -> None:
    """Break every connection that Python made with signals of `proxy`."""
    for connection in proxy.record().connections:
        connection.break_off()
    proxy.record().connections.clear()


def disconnect(proxy: Any, signature: str, function: Callable | None = None) -> bool:
    """Undo `connect`; whether there was such a connection."""
    found = find_signal(proxy.slicer_class_name, signature)
    kept, broken = [], []
    for connection in proxy.record().connections:
        matches = connection.signature == found and (function is None or connection.function == function)
        (broken if matches else kept).append(connection)
    proxy.record().connections[:] = kept
    for connection in broken:
        connection.break_off()
    return bool(broken)


def arguments_fit(signal: manifest.Signature, slot: manifest.Signature) -> bool:
    """Whether a slot can take what a signal passes: its arguments are the signal's first ones."""
    return slot.types == signal.types[: len(slot.types)]


def connect_objects(sender: Any, signal_text: str, receiver: Any, slot_text: str) -> bool:
    """Connect a signal with a slot of another Qt object, both given by their signatures."""
    sender_class, receiver_class = sender.slicer_class_name, receiver.slicer_class_name
    signal = find_signal(sender_class, signal_text)
    known_signals = manifest.signals(receiver_class)
    slot = normalized(slot_text) if normalized(slot_text) in known_signals else find_slot(receiver_class, slot_text)
    taken = (known_signals | manifest.slots(receiver_class))[slot]
    if not arguments_fit(manifest.signals(sender_class)[signal], taken):
        raise TypeError(f"The slot '{slot}' cannot take what the signal '{signal}' passes.")
    source, target = sender.qt_object(), receiver.qt_object()
    declared = qt_signature(source, signal, sender_class)
    function = getattr(target, slot.split("(")[0])
    if "PyObject" in declared or slot in known_signals:
        count = len(taken.types)
        call = function.emit if slot in known_signals else function
        return bool(QtCore.QObject.connect(source, QtCore.SIGNAL(declared), lambda *values: call(*values[:count])))
    target_slot = qt_signature(target, slot, receiver_class, slot=True)
    return bool(QtCore.QObject.connect(source, QtCore.SIGNAL(declared), target, QtCore.SLOT(target_slot)))
