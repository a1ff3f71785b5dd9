"""The part of a panel that installs models from a folder, an archive or the web, and deletes them again.

A download runs in a thread that knows neither Qt nor MRML; a timer of the panel looks after it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .bundle_choice import AUTOMATIC

POLL_INTERVAL_MS = 100


class Download:
    """One download in the background."""

    def __init__(self, url: str, sha256: str) -> None:
        self.fraction, self.error, self.bundle = 0.0, None, None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(url, sha256), name="synthmri-download", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def cancel(self) -> None:
        """Stop at the next block."""
        self._stop.set()

    def _run(self, url: str, sha256: str) -> None:
        from SynthMRILib.bundle_store import download_bundle

        try:
            self.bundle = download_bundle(url, sha256, progress=self._on_progress, cancelled=self._stop.is_set)
        except Exception as error:  # told by the panel, in its own thread
            self.error = error

    def _on_progress(self, fraction: float) -> None:
        self.fraction = fraction


class ModelsPanel:
    """Connects the widgets of the section "Install models".

    Args:
        ui: widgets by name: modelPathLineEdit, addModelButton, modelUrlLineEdit, modelHashLineEdit,
            downloadModelButton, deleteModelButton, modelsStatusLabel.
        selected: tells the name of the model that is selected in the panel.
        on_changed: called when there are more or fewer models.
    """

    def __init__(self, ui: Any, *, selected: Callable[[], str], on_changed: Callable[[], None]) -> None:
        self._ui, self._selected, self._on_changed = ui, selected, on_changed
        self._download: Download | None = None
        self._download_text = ui.downloadModelButton.text
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_INTERVAL_MS)
        self._timer.connect("timeout()", self._poll)
        ui.modelPathLineEdit.connect("currentPathChanged(QString)", self.update)
        ui.modelUrlLineEdit.connect("textChanged(QString)", self.update)
        ui.modelHashLineEdit.connect("textChanged(QString)", self.update)
        ui.addModelButton.connect("clicked()", self._on_add)
        ui.downloadModelButton.connect("clicked()", self._on_download)
        ui.deleteModelButton.connect("clicked()", self._on_delete)
        self._say("")

    def update(self, _text: str = "") -> None:
        """Enable what can be done now."""
        ui, closed = self._ui, reason_closed()
        ui.addModelButton.enabled = bool(ui.modelPathLineEdit.currentPath) and not closed
        complete = bool(ui.modelUrlLineEdit.text and ui.modelHashLineEdit.text) and not closed
        ui.downloadModelButton.enabled = complete or self._download is not None
        ui.deleteModelButton.enabled = self._selected() != AUTOMATIC and not closed
        if closed:
            self._say(closed)

    def close(self) -> None:
        """The panel is about to go."""
        self._timer.stop()
        if self._download is not None:
            self._download.cancel()

    def _on_add(self) -> None:
        from SynthMRILib.bundle_store import add_bundle
        from SynthMRILib.errors import SynthMRIError

        with slicer.util.tryWithErrorDisplay(_("Failed to add the model."), waitCursor=True):
            try:
                bundle = add_bundle(self._ui.modelPathLineEdit.currentPath)
            except SynthMRIError as error:
                self._say(str(error))
                return
            self._added(bundle)

    def _on_download(self) -> None:
        if self._download is not None:
            self._download.cancel()
            return
        self._download = Download(self._ui.modelUrlLineEdit.text, self._ui.modelHashLineEdit.text)
        self._ui.downloadModelButton.text = _("Cancel")
        self._say(_("Downloading..."))
        self._timer.start()

    def _poll(self) -> None:
        download = self._download
        if download.running:
            self._say(_("Downloading: {percent} %").format(percent=round(100 * download.fraction)))
            return
        self._timer.stop()
        self._download = None
        self._ui.downloadModelButton.text = self._download_text
        if download.error is None:
            self._added(download.bundle)
        else:
            self._say(str(download.error))
        self.update()

    def _on_delete(self) -> None:
        from SynthMRILib.bundle_store import bundle_to_delete, delete_bundle
        from SynthMRILib.errors import SynthMRIError

        name = self._selected()
        question = _("Delete the model '{name}' from this computer?").format(name=name)
        if not slicer.util.confirmOkCancelDisplay(question, windowTitle=_("Delete model")):
            return
        try:
            delete_bundle(bundle_to_delete(name))
        except SynthMRIError as error:
            self._say(str(error))
            return
        self._say(_("'{name}' was deleted.").format(name=name))
        self._on_changed()

    def _added(self, bundle: Any) -> None:
        self._say(_("'{title}' was added. Select it above.").format(title=bundle.title))
        self._on_changed()

    def _say(self, message: str) -> None:
        self._ui.modelsStatusLabel.text = message
        self._ui.modelsStatusLabel.visible = bool(message)


def reason_closed() -> str:
    """Why no models can be installed here; empty when they can."""
    if os.environ.get("SYNTHMRI_MODELS"):
        return _("The models of this computer are chosen by its administrator (SYNTHMRI_MODELS).")
    return ""
