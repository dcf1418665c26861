"""The search bar: chips and the text that is being typed, in one field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit, QSizePolicy, QToolButton

from photosearch.domain import Clause, Query, TermCount
from photosearch.gui import icons
from photosearch.gui.chip import HEIGHT_PX, Chip
from photosearch.gui.clause_text import completion_clause, liked_photos
from photosearch.gui.completions import Completions
from photosearch.gui.draft import completed, is_brief, read_draft
from photosearch.gui.flow_box import FlowBox

_LEAST_PX = 64
_CURSOR_PX = 16


class _Field(QLineEdit):
    """The text field among the chips: wants a line of its own when its text needs one."""

    def sizeHint(self) -> QSize:
        wanted = self.fontMetrics().horizontalAdvance(self.text()) + _CURSOR_PX
        return QSize(max(wanted, _LEAST_PX), HEIGHT_PX)

    def minimumSizeHint(self) -> QSize:
        return QSize(_LEAST_PX, HEIGHT_PX)


class SearchBar(QFrame):
    """Holds the query: `clauses()` as chips, `draft()` as typed. Knows no library."""

    changed = Signal(bool)
    """The query is another; True when the chips changed, False when only the text did."""
    entered = Signal(str)
    """Enter, or a comma after few words: this text is to become chips."""
    completion_wanted = Signal(str, str)
    """The word that is being typed, or nothing; and the last two words, if they are plain ones."""
    name_wanted = Signal(int)
    """A photo whose name is not known is to be shown by it: call `set_name`."""
    help_wanted = Signal()
    left = Signal()
    """The user goes on to the results."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("searchBar")
        self._chips: list[Chip] = []
        self._field = _Field()
        self._field.setAccessibleName(self.tr("Search"))
        self._field.setFrame(False)
        self._field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._field.setAttribute(Qt.WidgetAttribute.WA_MacShowFocusRect, False)
        self._field.installEventFilter(self)
        self._field.textEdited.connect(self._on_typed)
        self.setFocusProxy(self._field)
        self._completions: Completions | None = None

        glass = QLabel()
        glass.setFixedSize(20, HEIGHT_PX)
        self._glass = glass
        self._paint_glass()
        self.names: dict[str, str] = {}
        """Names of photos by id, as far as they were wanted."""
        self._clear = self._button("close", self.tr("Clear the search"))
        self._clear.clicked.connect(self.clear)
        self.help_button = self._button("help", self.tr("What you can type here (F1)"))
        self.help_button.clicked.connect(self.help_wanted)
        self._flow = FlowBox(spacing=6)
        self._flow.add(self._field)
        self._field.textChanged.connect(self._flow.refresh)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 7, 8, 7)
        row.setSpacing(6)
        row.addWidget(glass, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._flow, 1)
        for button in (self._clear, self.help_button):
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self._show_state()

    def _button(self, icon: str, name: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(icons.icon(icon))
        button.setFixedSize(HEIGHT_PX, HEIGHT_PX)
        button.setToolTip(name)
        button.setAccessibleName(name)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def clauses(self) -> tuple[Clause, ...]:
        """Return the chips' clauses."""
        return tuple(chip.clause for chip in self._chips)

    def draft(self) -> str:
        """Return the text that is not a chip yet."""
        return self._field.text()

    def set_clauses(self, clauses: Sequence[Clause], draft: str = "") -> None:
        """Replace the whole query."""
        self._rebuild(clauses)
        self._field.setText(draft)
        self._field.setCursorPosition(len(draft))
        self._tell(True)

    def add(self, clauses: Sequence[Clause], typed: str = "") -> None:
        """Append clauses as chips in place of the text `typed` at the start of the draft.

        A clause takes the place of its opposite.
        """
        held = list(self.clauses())
        for clause in clauses:
            held = [c for c in held if c not in (clause, clause.opposite())] + [clause]
        if typed and self._field.text().startswith(typed):
            self._field.setText(self._field.text()[len(typed) :].lstrip(", "))
        self._rebuild(held)
        self._tell(True)

    def remove(self, clause: Clause) -> None:
        """Take a chip away."""
        self._rebuild([c for c in self.clauses() if c != clause])
        self._field.setFocus()
        self._tell(True)

    def clear(self) -> None:
        """Empty the query."""
        self.set_clauses(())
        self._field.setFocus()

    def set_name(self, photo_id: int, name: str) -> None:
        """Show the photo by its name wherever the query speaks of it."""
        self.names[str(photo_id)] = name
        for chip in self._chips:
            if str(photo_id) in liked_photos(chip.clause):
                chip.set_names(self.names)
        self._flow.refresh()

    def edit_all(self) -> None:
        """Turn all chips into text."""
        draft = f"{Query(self.clauses())} {self._closed_draft()}".strip()
        self.set_clauses((), draft)
        self._field.setFocus()

    def put(self, typed: str) -> None:
        """Put text behind what is typed already."""
        draft = f"{self._closed_draft()} {typed}".strip()
        self.set_clauses(self.clauses(), draft)
        self._field.setFocus()

    def type_ahead(self, typed: str) -> None:
        """Take over text that was typed elsewhere in the window."""
        self._field.setFocus()
        self._field.end(False)
        self._field.insert(typed)
        self._on_typed()

    def step_back(self) -> bool:
        """Clear the next thing that Esc clears; return whether there was one."""
        if self._completions is not None and self._completions.isVisible():
            self._completions.hide()
        elif self._field.text():
            self._field.clear()
            self._tell(False)
        elif self._chips:
            self.remove(self._chips[-1].clause)
        else:
            return False
        return True

    def offer(self, terms: Sequence[TermCount]) -> None:
        """Show completions of the word that is being typed."""
        if self._completions is None:
            self._completions = Completions(self.window())
            self._completions.chosen.connect(self._complete)
        self._completions.offer(terms if self._field.hasFocus() else (), self._field)

    def _want_completions(self) -> None:
        draft = read_draft(self._field.text()[: self._field.cursorPosition()])
        self.completion_wanted.emit(draft.word, draft.pair)

    def _complete(self, word: str) -> None:
        cursor = self._field.cursorPosition()
        draft = read_draft(self._field.text()[:cursor])
        within_quotes = draft.quoted and not draft.valued
        whole = word if within_quotes else str(completion_clause(word))
        typed, cursor = completed(self._field.text(), cursor, whole)
        self._field.setText(typed)
        self._field.setCursorPosition(cursor)
        self._hide_completions()
        if read_draft(typed).is_open:
            self._tell(False)
        else:
            self._enter()

    def _closed_draft(self) -> str:
        """Return the draft such that what follows it does not fall into its quotes."""
        draft = read_draft(self._field.text())
        return draft.text + '"' * draft.quoted + ")" * draft.depth

    def _enter(self) -> None:
        self._hide_completions()
        if self._field.text().strip():
            self.entered.emit(self._field.text())
        else:
            self.left.emit()

    def _hide_completions(self) -> None:
        self.completion_wanted.emit("", "")
        if self._completions is not None:
            self._completions.hide()

    def _on_typed(self, _typed: str = "") -> None:
        typed = self._field.text()
        before = typed.rstrip(", ")
        if typed.endswith(",") and is_brief(before) and not read_draft(typed).is_open:
            self._field.setText(before)
            if self._field.text():
                self._enter()
            return
        self._tell(False)
        self._want_completions()

    def _tell(self, chips_changed: bool) -> None:
        self._show_state()
        if chips_changed:
            self._hide_completions()
        self.changed.emit(chips_changed)

    def _show_state(self) -> None:
        empty = not self._chips and not self._field.text()
        self._clear.setVisible(not empty)
        hint = self.tr("Search by what is in the photo, such as dog beach")
        self._field.setPlaceholderText("" if self._chips else hint)

    def _rebuild(self, clauses: Iterable[Clause]) -> None:
        clauses = tuple(clauses)
        if clauses == self.clauses():
            return
        for chip in self._chips:
            self._flow.remove(chip)
        self._chips = []
        for clause in clauses:
            chip = Chip(clause, removable=True, names=self.names)
            for photo_id in liked_photos(clause):
                if photo_id not in self.names:
                    self.name_wanted.emit(int(photo_id))
            chip.removed.connect(self.remove)
            chip.chosen.connect(self._on_chip)
            chip.edit_wanted.connect(self._edit)
            chip.installEventFilter(self)
            self._flow.insert(len(self._chips), chip)
            self._chips.append(chip)
        self.updateGeometry()

    def _on_chip(self, clause: Clause, _turn: bool) -> None:
        held = list(self.clauses())
        at = held.index(clause)
        held[at] = clause.opposite()
        self._rebuild(dict.fromkeys(held))
        self._chips[min(at, len(self._chips) - 1)].setFocus()
        self._tell(True)

    def _edit(self, clause: Clause) -> None:
        draft = f"{self._closed_draft()} {clause}".strip()
        self.set_clauses([c for c in self.clauses() if c != clause], draft)
        self._field.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QFocusEvent) and watched is self._field:
            self.setProperty("active", self._field.hasFocus())
            self.style().polish(self)
            if event.lostFocus():
                self._hide_completions()
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if watched is self._field:
                return self._on_field_key(event)
            if isinstance(watched, Chip):
                return self._on_chip_key(watched, event)
        return super().eventFilter(watched, event)

    def _on_field_key(self, event: QKeyEvent) -> bool:
        key, listed = event.key(), self._completions
        listing = listed is not None and listed.isVisible()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            word = listed.current_word() if listed is not None else ""
            if word:
                self._complete(word)
            else:
                self._enter()
        elif key == Qt.Key.Key_Tab and listing and listed is not None and listed.words():
            self._complete(listed.current_word() or listed.words()[0])
        elif key == Qt.Key.Key_Down and listing and listed is not None:
            listed.step(1)
        elif key == Qt.Key.Key_Up and listing and listed is not None:
            listed.step(-1)
        elif key == Qt.Key.Key_Down:
            self.left.emit()
        elif key == Qt.Key.Key_Escape:
            if not self.step_back():
                self.left.emit()
        elif key == Qt.Key.Key_Backspace and not self._field.text() and self._chips:
            self._edit(self._chips[-1].clause)
        elif (
            key == Qt.Key.Key_Left
            and self._chips
            and self._field.cursorPosition() == 0
            and not event.modifiers()
        ):
            self._chips[-1].setFocus()
        else:
            return False
        return True

    def _on_chip_key(self, chip: Chip, event: QKeyEvent) -> bool:
        at = self._chips.index(chip)
        if event.key() == Qt.Key.Key_Left:
            self._chips[max(0, at - 1)].setFocus()
        elif event.key() == Qt.Key.Key_Right:
            following = self._chips[at + 1 :]
            (following[0] if following else self._field).setFocus()
        elif event.key() == Qt.Key.Key_Escape:
            self._field.setFocus()
        else:
            return False
        return True

    def _paint_glass(self) -> None:
        ink = self.palette().color(QPalette.ColorRole.PlaceholderText)
        self._glass.setPixmap(icons.pixmap("search", QSize(20, 20), ink, self.devicePixelRatioF()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._field.setFocus()

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange:
            self._paint_glass()
        super().changeEvent(event)
