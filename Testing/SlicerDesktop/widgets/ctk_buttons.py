"""CTK's buttons and small widgets: collapsible sections, check boxes, combo box, message box, color button."""

from __future__ import annotations

from PySide6.QtCore import Property, QEvent, QObject, QRect, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QGroupBox,
    QMessageBox,
    QPushButton,
    QStyle,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QWidget,
)

from .completion import completed


@completed("ctkCollapsibleButton")
class CollapsibleButton(QAbstractButton):
    """A section with a title bar; collapsing hides what is in it, and remembers what was hidden before."""

    contentsCollapsed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._wished: dict[QObject, bool] = {}
        self._switching = False
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self._apply)
        self._reserve_title()

    def _title_height(self) -> int:
        return self.fontMetrics().height() + 8

    def _reserve_title(self) -> None:
        self.setContentsMargins(0, self._title_height(), 0, 0)

    def _get_collapsed(self) -> bool:
        return not self.isChecked()

    def _set_collapsed(self, collapsed: bool) -> None:
        self.setChecked(not collapsed)

    collapsed = Property(bool, _get_collapsed, _set_collapsed)

    def _contents(self) -> list[QWidget]:
        return [child for child in self.children() if isinstance(child, QWidget)]

    def _apply(self, opened: bool) -> None:
        self._switching = True
        for child in self._contents():
            if opened:
                child.setVisible(self._wished.pop(child, True))
            else:
                self._wished[child] = not child.isHidden()
                self._force_hidden(child)
        self._switching = False
        self.updateGeometry()
        self.contentsCollapsed.emit(not opened)

    @staticmethod
    def _force_hidden(child: QWidget) -> None:
        """Hide a widget so that Qt still tells when someone hides it on purpose."""
        child.hide()
        child.setAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)

    def childEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.ChildAdded and event.child().isWidgetType():
            event.child().installEventFilter(self)
        super().childEvent(event)

    def eventFilter(self, child: QObject, event: QEvent) -> bool:
        shown = event.type() == QEvent.Type.ShowToParent
        if (shown or event.type() == QEvent.Type.HideToParent) and not self._switching and self._get_collapsed():
            self._wished[child] = shown
            if shown:
                self._switching = True
                self._force_hidden(child)
                self._switching = False
        return super().eventFilter(child, event)

    def sizeHint(self) -> QSize:
        title = QSize(self.fontMetrics().horizontalAdvance(self.text()) + 32, self._title_height())
        if self.layout() is None or self._get_collapsed():
            return title
        return self.layout().totalSizeHint().expandedTo(title)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self._title_height() if self._get_collapsed() else self.sizeHint().height())

    def hitButton(self, position: object) -> bool:
        return position.y() < self._title_height()

    def paintEvent(self, _event: QEvent) -> None:
        painter, option = QPainter(self), QStyleOptionButton()
        option.initFrom(self)
        option.rect = QRect(0, 0, self.width(), self._title_height())
        option.state |= QStyle.StateFlag.State_On if self.isChecked() else QStyle.StateFlag.State_Off
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_PanelButtonCommand, option, painter, self)
        arrow = QStyle.PrimitiveElement.PE_IndicatorArrowDown
        option.rect = QRect(4, 4, self._title_height() - 8, self._title_height() - 8)
        self.style().drawPrimitive(
            arrow if self.isChecked() else QStyle.PrimitiveElement.PE_IndicatorArrowRight, option, painter, self
        )
        text = QRect(self._title_height() + 2, 0, self.width(), self._title_height())
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self.text())


@completed("ctkCollapsibleGroupBox")
class CollapsibleGroupBox(QGroupBox):
    """A group box that folds its content away."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self._apply)

    def _apply(self, opened: bool) -> None:
        for child in self.children():
            if isinstance(child, QWidget):
                child.setVisible(opened)

    collapsed = Property(bool, lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value))


@completed("ctkCheckBox")
class CheckBox(QCheckBox):
    """A check box that may carry an icon."""


@completed("ctkPushButton")
class PushButton(QPushButton):
    """A push button."""


@completed("ctkCheckablePushButton")
class CheckablePushButton(PushButton):
    """A push button with a check box in it."""


@completed("ctkComboBox")
class ComboBox(QComboBox):
    """A combo box that shows a text of its own while nothing is selected."""

    def _get_user_data(self) -> str:
        return str(self.currentData() or "")

    @Slot(str)
    def setCurrentUserDataAsString(self, text: str) -> None:
        self.setCurrentIndex(self.findData(text))

    def initStyleOption(self, option: QStyleOptionComboBox) -> None:
        super().initStyleOption(option)
        if self.currentIndex() < 0:
            option.currentText = self.property("defaultText")

    currentUserDataAsString = Property(str, _get_user_data, setCurrentUserDataAsString)


@completed("ctkMessageBox")
class MessageBox(QMessageBox):
    """A message box that can offer not to be shown again."""

    @Slot(bool)
    def setDontShowAgain(self, chosen: bool) -> None:
        self.setProperty("dontShowAgain", chosen)


@completed("ctkColorPickerButton")
class ColorPickerButton(QPushButton):
    """A button that shows and picks a color."""

    colorChanged = Signal(QColor)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._color = QColor(Qt.GlobalColor.black)

    def _get_color(self) -> QColor:
        return self._color

    @Slot(QColor)
    def setColor(self, color: QColor) -> None:
        if color != self._color:
            self._color = QColor(color)
            self.colorChanged.emit(self._color)

    color = Property(QColor, _get_color, setColor)
