"""The sidebar: the folders of the library, with counts and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import (
    QCoreApplication,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QKeySequence,
    QPainter,
    QPalette,
    QShortcut,
    QStandardItem,
    QStandardItemModel,
)
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
)

from photosearch.domain import Folder, display_path
from photosearch.gui import icons, text

WIDTH_PX = 232
_FOLDER_ROLE = Qt.ItemDataRole.UserRole
_LINE_PX = 32
_PROBLEM_PX = 18


def trouble(folder: Folder) -> str:
    """Return what is wrong with a folder, or nothing."""
    if folder.problem:
        return folder.problem
    offline = QCoreApplication.translate("folders", "Not connected; it comes back by itself")
    return "" if folder.online else offline


class _Row(QStyledItemDelegate):
    """Name and count; the problem below, if there is one."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        folder: Folder = index.data(_FOLDER_ROLE)
        return QSize(0, _LINE_PX + (_PROBLEM_PX + 4 if trouble(folder) else 0))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        folder: Folder = index.data(_FOLDER_ROLE)
        area: QRect = option.rect
        state = option.state
        colours: QPalette = option.palette
        metrics = option.fontMetrics
        role = QPalette.ColorRole
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colours.color(role.AlternateBase))
            painter.drawRoundedRect(area, 6, 6)
        line = QRect(area.left(), area.top(), area.width(), _LINE_PX)
        ink = colours.color(role.BrightText if trouble(folder) else role.PlaceholderText)
        mirrored = option.direction == Qt.LayoutDirection.RightToLeft
        icon_x = line.right() - 26 if mirrored else line.left() + 8
        icons.paint(
            painter,
            "warning" if trouble(folder) else "folder",
            QRectF(icon_x, line.center().y() - 8.5, 18, 18),
            ink,
        )
        inner = line.adjusted(10, 0, -34, 0) if mirrored else line.adjusted(34, 0, -10, 0)
        count = text.count_text(folder.photo_count)
        painter.setPen(colours.color(role.PlaceholderText))
        flag = Qt.AlignmentFlag
        painter.drawText(inner, flag.AlignVCenter | flag.AlignTrailing, count)
        room = inner.width() - metrics.horizontalAdvance(count) - 8
        name = metrics.elidedText(index.data(), Qt.TextElideMode.ElideMiddle, room)
        painter.setPen(colours.color(role.Text))
        painter.drawText(inner, flag.AlignVCenter | flag.AlignLeading, name)
        if trouble(folder):
            below = QRect(inner.left(), line.bottom() - 3, inner.width(), _PROBLEM_PX)
            painter.setPen(ink)
            problem = metrics.elidedText(
                trouble(folder), Qt.TextElideMode.ElideRight, below.width()
            )
            painter.drawText(below, flag.AlignVCenter | flag.AlignLeading, problem)
        painter.restore()


class FoldersPanel(QFrame):
    """Lists folders; adding, removing and showing are asked of the window."""

    add_wanted = Signal()
    remove_wanted = Signal(object)
    show_wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("sidebar")
        self.setFixedWidth(WIDTH_PX)
        self._folders: tuple[Folder, ...] = ()
        self._model = QStandardItemModel(self)
        heading = QLabel(self.tr("Folders"))
        heading.setProperty("role", "heading")
        self.add_button = QToolButton()
        self.add_button.setIcon(icons.icon("add"))
        self.add_button.setIconSize(QSize(18, 18))
        self.add_button.setToolTip(self.tr("Add a folder with photos"))
        self.add_button.setAccessibleName(self.tr("Add a folder"))
        self.add_button.clicked.connect(self.add_wanted)
        self.list = QListView()
        self.list.setAccessibleName(self.tr("Folders"))
        self.list.setModel(self._model)
        self.list.setItemDelegate(_Row(self.list))
        self.list.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMouseTracking(True)
        self.list.viewport().setAutoFillBackground(False)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._open_menu)
        head = QHBoxLayout()
        head.setContentsMargins(8, 0, 0, 0)
        head.addWidget(heading, 1)
        head.addWidget(self.add_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 12, 8, 8)
        column.setSpacing(8)
        column.addLayout(head)
        column.addWidget(self.list, 1)
        delete = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.list)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(self._remove_current)

    def folders(self) -> tuple[Folder, ...]:
        """Return the folders shown."""
        return self._folders

    def show_folders(self, folders: Sequence[Folder]) -> None:
        """Show `folders`, keeping the mark where it was."""
        if tuple(folders) == self._folders:
            return
        current = self._current()
        self._folders = tuple(folders)
        self._model.clear()
        for folder in folders:
            item = QStandardItem(display_path(folder.path.name or folder.path))
            item.setData(folder, _FOLDER_ROLE)
            tip = text.folder_text(folder.path)
            if trouble(folder):
                tip += f" – {trouble(folder)}"
            item.setToolTip(text.plain_tooltip(tip))
            photos = self.tr("%Ln photo(s)", None, folder.photo_count)
            item.setAccessibleDescription(f"{photos} {trouble(folder)}".strip())
            self._model.appendRow(item)
            if current is not None and current.id == folder.id:
                self.list.setCurrentIndex(item.index())

    def _current(self) -> Folder | None:
        index = self.list.currentIndex()
        return index.data(_FOLDER_ROLE) if index.isValid() else None

    def _remove_current(self) -> None:
        folder = self._current()
        if folder is not None:
            self.remove_wanted.emit(folder)

    def _open_menu(self, point: QPoint) -> None:
        index = self.list.indexAt(point)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if index.isValid():
            folder = index.data(_FOLDER_ROLE)
            menu.addAction(self.tr("Show in file manager"), lambda: self.show_wanted.emit(folder))
            menu.addAction(self.tr("Remove…"), lambda: self.remove_wanted.emit(folder))
            menu.addSeparator()
        menu.addAction(self.tr("Add a folder…"), self.add_wanted.emit)
        menu.popup(self.list.viewport().mapToGlobal(point))
