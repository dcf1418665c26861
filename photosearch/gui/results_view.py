"""The grid of thumbnails: only what is on screen is ever laid out, loaded or painted."""

from __future__ import annotations

from PySide6.QtCore import (
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QContextMenuEvent,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QRegion,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QRubberBand,
    QStyle,
    QStyleOptionViewItem,
)

from photosearch.gui.grid_dividers import paint_dividers
from photosearch.gui.grid_geometry import GridGeometry
from photosearch.gui.grid_keys import target_row
from photosearch.gui.grid_selection import GridSelection
from photosearch.gui.kept_place import Place
from photosearch.gui.photo_drag import drag_photos
from photosearch.gui.results_delegate import ResultsDelegate
from photosearch.gui.results_model import ResultsModel
from photosearch.gui.thumbnails import RADIUS_PX, Look, Thumbnails

SIZES_PX = (88, 112, 144, 184, 232, 296, 376)
_DEFAULT_SIZE = 3
_Index = QModelIndex | QPersistentModelIndex
_Flag = QItemSelectionModel.SelectionFlag
_KEYS = Qt.Key
_PREFETCH_PX = 400


class ResultsView(QAbstractItemView):
    """Cells of one size: full matches, below a divider partial ones, below another related ones."""

    opened = Signal(int)
    """A row was clicked, or Enter was pressed on it."""
    menu_wanted = Signal(QPoint)
    tip_wanted = Signal(int, QPoint)
    """The mouse rests on a row, at a place of the screen."""
    typed = Signal(str)
    """Text typed here, which belongs into the search field."""
    escaped = Signal()
    zoomed = Signal(int)

    def __init__(self, model: ResultsModel, thumbnails: Thumbnails) -> None:
        super().__init__()
        self.setObjectName("results")
        self.setAccessibleName(self.tr("Photos"))
        self._results = model
        self._thumbnails = thumbnails
        self._cells = ResultsDelegate(thumbnails)
        self._size = _DEFAULT_SIZE
        self._fill = True
        self._names = False
        self._geometry = GridGeometry(1, (0,), SIZES_PX[_DEFAULT_SIZE])
        self._press: tuple[QPoint, int] | None = None
        self._wheel = 0
        self._band: QRubberBand | None = None
        self._place: Place | None = None
        self.setModel(model)
        self._chosen = GridSelection(self.selectionModel())
        self.setItemDelegate(self._cells)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_Hover)
        thumbnails.arrived.connect(self.viewport().update)
        model.modelReset.connect(self._on_reset)
        model.about_to_refresh.connect(self._remember)
        model.refreshed.connect(self._restore)

    # What is shown

    @property
    def zoom(self) -> int:
        """Step in `SIZES_PX`."""
        return self._size

    def set_zoom(self, step: int) -> None:
        """Make cells larger or smaller; what is at the top stays there."""
        step = max(0, min(step, len(SIZES_PX) - 1))
        if step != self._size:
            self._size = step
            self._relayout()
            self.zoomed.emit(step)

    def set_fill(self, fill: bool) -> None:
        """Crop pictures to their square, or show them whole."""
        self._fill = fill
        self._relayout()

    def set_names(self, names: bool) -> None:
        """Show file names below the pictures."""
        self._names = names
        self._relayout()

    def selected_rows(self) -> list[int]:
        """Return the selected rows in order; the current row if none is selected."""
        return self._chosen.rows()

    def go_to(self, row: int) -> None:
        """Make `row` current and bring it into view."""
        index = self.model().index(row, 0)
        if index.isValid():
            self._chosen.only(row)
            self.scrollTo(index)

    # Geometry

    def visualRect(self, index: _Index) -> QRect:
        if not index.isValid():
            return QRect()
        return self._geometry.rect(index.row()).translated(0, -self.verticalOffset())

    def indexAt(self, point: QPoint) -> QModelIndex:
        row = self._geometry.row_at(point.x(), point.y() + self.verticalOffset())
        return self.model().index(row, 0) if row >= 0 else QModelIndex()

    def scrollTo(
        self,
        index: _Index,
        hint: QAbstractItemView.ScrollHint = QAbstractItemView.ScrollHint.EnsureVisible,
    ) -> None:
        rect = self.visualRect(index)
        bar, height = self.verticalScrollBar(), self.viewport().height()
        if hint == QAbstractItemView.ScrollHint.PositionAtTop or rect.top() < 0:
            bar.setValue(bar.value() + rect.top() - 8)
        elif rect.bottom() > height:
            bar.setValue(bar.value() + rect.bottom() - height + 8)

    def horizontalOffset(self) -> int:
        return 0

    def verticalOffset(self) -> int:
        return self.verticalScrollBar().value()

    def isIndexHidden(self, index: _Index) -> bool:
        return False

    def visible_rows(self) -> range:
        """Return the rows on screen."""
        top = self.verticalOffset()
        return self._geometry.rows_between(top, top + self.viewport().height())

    def moveCursor(
        self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        return self.currentIndex()

    def setSelection(self, rect: QRect, command: QItemSelectionModel.SelectionFlag) -> None:
        """Do nothing: the mouse and key handlers below select by rows."""

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:
        return QRegion(self.viewport().rect())

    def updateGeometries(self) -> None:
        self._measure()
        super().updateGeometries()

    def _measure(self) -> None:
        model = self._results
        self._geometry = GridGeometry(
            width=self.viewport().width(),
            counts=model.counts,
            target=SIZES_PX[self._size],
            caption=self.fontMetrics().height() + 8 if self._names else 0,
            mirrored=self.layoutDirection() == Qt.LayoutDirection.RightToLeft,
        )
        height = self.viewport().height()
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, self._geometry.height - height))
        bar.setPageStep(height)
        bar.setSingleStep(48)
        # Always there, so that cells keep their width; invisible when there is nothing to scroll.
        bar.setEnabled(bar.maximum() > 0)
        ratio = self.devicePixelRatioF()
        self._cells.look = Look(round(self._geometry.side * ratio), RADIUS_PX * ratio, self._fill)
        self._cells.caption_px = self._geometry.caption

    def _relayout(self) -> None:
        rows = self.visible_rows()
        first = rows.start if rows else 0
        at_top = self.verticalOffset() == 0
        offset = self._geometry.rect(first).top() - self.verticalOffset()
        self._measure()
        top = 0 if at_top else self._geometry.rect(first).top() - min(offset, 8)
        self.verticalScrollBar().setValue(top)
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        if event.oldSize().width() != event.size().width():
            self._relayout()
        super().resizeEvent(event)
        self.updateGeometries()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        self.viewport().update()

    # The result changes

    def _on_reset(self) -> None:
        self._chosen.anchor = 0
        self._measure()
        self.verticalScrollBar().setValue(0)
        self.viewport().update()

    def _remember(self) -> None:
        self._place = Place.of(self, self._results)

    def _restore(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            self._measure()
            self._chosen.anchor = place.restore(self, self._results, self._chosen.anchor)
            self.viewport().update()

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        top = self.verticalOffset()
        hovered = self.indexAt(self.viewport().mapFromGlobal(self.cursor().pos())).row()
        hovering = self.viewport().underMouse()
        current = self.currentIndex().row() if self.hasFocus() else -1
        selection = self.selectionModel()
        self._cells.misses = []
        model = self.model()
        for row in self.visible_rows():
            index = model.index(row, 0)
            option.rect = self.visualRect(index)
            state = QStyle.StateFlag.State_Enabled
            if selection.isSelected(index):
                state |= QStyle.StateFlag.State_Selected
            if row == current:
                state |= QStyle.StateFlag.State_HasFocus
            if hovering and row == hovered:
                state |= QStyle.StateFlag.State_MouseOver
            option.state = state
            self._cells.paint(painter, option, index)
        paint_dividers(painter, self._geometry, self._results.counts, top, self.palette())
        painter.end()
        height = self.viewport().height()
        self._results.ensure(
            self._geometry.rows_between(max(0, top - _PREFETCH_PX), top + height + _PREFETCH_PX)
        )
        self._thumbnails.want(self._cells.misses, self._cells.look)

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        row = self.indexAt(point).row()
        if event.button() == Qt.MouseButton.RightButton:
            if row >= 0 and row not in self.selected_rows():
                self.go_to(row)
            return
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        self._press = (point, row)
        if row < 0 and not event.modifiers():
            self.clearSelection()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self.viewport().update()
        if self._press is None:
            return
        start, row = self._press
        point = event.position().toPoint()
        if (point - start).manhattanLength() < QApplication.startDragDistance():
            return
        if row >= 0:
            self._press = None
            if row not in self.selected_rows():
                self.go_to(row)
            self.startDrag(Qt.DropAction.CopyAction)
            return
        if self._band is None:
            self._band = QRubberBand(QRubberBand.Shape.Rectangle, self.viewport())
        area = QRect(start, point).normalized()
        self._band.setGeometry(area)
        self._band.show()
        top = self.verticalOffset()
        rows = self._geometry.rows_between(area.top() + top, area.bottom() + top)
        model = self.model()
        self._chosen.these(
            row for row in rows if self.visualRect(model.index(row, 0)).intersects(area)
        )

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or self._press is None:
            return
        _, row = self._press
        self._press = None
        if self._band is not None:
            self._band.deleteLater()
            self._band = None
        elif row >= 0 and row == self.indexAt(event.position().toPoint()).row():
            if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                self._chosen.toggle(row)
            elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self._select_to(row)
            else:
                self.go_to(row)
                self.opened.emit(row)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        self.viewport().update()
        super().leaveEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if not self.selected_rows():
            return
        place = event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            center = self.visualRect(self.currentIndex()).center()
            place = self.viewport().mapToGlobal(center)
        self.menu_wanted.emit(place)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            row = self.indexAt(event.pos()).row()
            if row >= 0:
                self.tip_wanted.emit(row, event.globalPos())
            return True
        return super().viewportEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self._wheel += event.angleDelta().y()
            steps = int(self._wheel / 120)
            self._wheel -= steps * 120
            self.set_zoom(self._size + steps)
            event.accept()
        else:
            super().wheelEvent(event)

    def startDrag(self, actions: Qt.DropAction) -> None:
        drag_photos(self, self._results, self._thumbnails)

    def _select_to(self, row: int) -> None:
        self._chosen.up_to(row)
        self.scrollTo(self.model().index(row, 0))

    # Keys

    def keyPressEvent(self, event: QKeyEvent) -> None:
        target = target_row(
            event, self._geometry, self.currentIndex().row(), self.visible_rows(),
            max(1, self.viewport().height() // self._geometry.pitch),
        )  # fmt: skip
        control = event.modifiers() & Qt.KeyboardModifier.ControlModifier
        if target is not None:
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self._select_to(target)
            else:
                self.go_to(target)
        elif event.key() in (_KEYS.Key_Return, _KEYS.Key_Enter, _KEYS.Key_Space):
            if self.currentIndex().isValid():
                self.opened.emit(self.currentIndex().row())
        elif event.key() == _KEYS.Key_Escape:
            if self.selectionModel().hasSelection():
                self.clearSelection()
            else:
                self.escaped.emit()
        elif control and event.key() == _KEYS.Key_A:
            # Related photos were not asked for.
            self._chosen.these(range(self._results.found_total))
        elif event.text().isprintable() and event.text().strip() and not control:
            self.typed.emit(event.text())
        else:
            event.ignore()

    def changeEvent(self, event: QEvent) -> None:
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.LayoutDirectionChange):
            self._relayout()
        super().changeEvent(event)
