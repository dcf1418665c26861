"""The side panel of the viewer: captions, tags, words and facts of one photo."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from PySide6.QtCore import QLocale, Qt, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFrame, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from photosearch.domain import Clause, Photo, display_path
from photosearch.gui import text
from photosearch.gui.background import Background
from photosearch.gui.chip import Chip
from photosearch.gui.flow_box import FlowBox
from photosearch.gui.photo_story import MarkedCaption, PhotoStory
from photosearch.gui.theme import tinted
from photosearch.gui.words_panel import WordsPanel

WIDTH_PX = 352
_SHOWN_SCORE = 0.1


class _Section(QWidget):
    """A heading with content below."""

    def __init__(self, title: str) -> None:
        super().__init__()
        heading = QLabel(title)
        heading.setProperty("role", "heading")
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(8)
        self.column.addWidget(heading)


def _label(words: str, *, quiet: bool = False, rich: bool = False) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.RichText if rich else Qt.TextFormat.PlainText)
    label.setText(words)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if quiet:
        label.setProperty("role", "quiet")
    return label


def _breakable(path: str) -> str:
    return path.replace("/", "/\u200b").replace("_", "_\u200b").replace("\\", "\\\u200b")


class PhotoPanel(QScrollArea):
    """Shows a `PhotoStory`; words in it become chips on a click."""

    chosen = Signal(object, bool)
    hovered = Signal(str)
    """A word under the mouse, or nothing."""

    def __init__(self, background: Background) -> None:
        super().__init__()
        self.setObjectName("sidePanel")
        self.setAccessibleName(self.tr("About this photo"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedWidth(WIDTH_PX)
        self.words = WordsPanel(background)
        self.words.chosen.connect(self.chosen)
        self.words.hovered.connect(self.hovered)
        self._words_section = _Section(self.tr("Words of this photo"))
        self._words_section.column.addWidget(self.words)
        self._before: list[QWidget] = []
        self._after: list[QWidget] = []
        page = QWidget()
        page.setObjectName("sidePage")
        self._column = QVBoxLayout(page)
        self._column.setContentsMargins(16, 16, 16, 24)
        self._column.setSpacing(24)
        self._column.addWidget(self._words_section)
        self._column.addStretch(1)
        self.setWidget(page)
        self.viewport().setAutoFillBackground(False)
        page.setAutoFillBackground(False)
        self.clear()

    def clear(self) -> None:
        """Show nothing."""
        for widget in (*self._before, *self._after):
            self._column.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self._before, self._after = [], []
        self._words_section.hide()

    def show_story(self, story: PhotoStory) -> None:
        """Show what is known of a photo."""
        at = self.verticalScrollBar().value()
        self.clear()
        for section in (self._why(story), self._tags(story), self._captions(story)):
            if section is not None:
                self._column.insertWidget(len(self._before), section)
                self._before.append(section)
        if not story.details.words:
            nothing = _label(
                # What was looked at in vain leaves a caption without words.
                self.tr("No words: nothing was made out in this photo.")
                if story.details.captions
                else self.tr("No words yet: this photo waits to be looked at."),
                quiet=True,
            )
            self._column.insertWidget(len(self._before), nothing)
            self._before.append(nothing)
        self.words.set_words(story.details.words)
        self._words_section.setVisible(bool(story.details.words))
        facts = self._facts(story.details.photo)
        self._column.insertWidget(len(self._before) + 1, facts)
        self._after.append(facts)
        self.verticalScrollBar().setValue(at)

    def _why(self, story: PhotoStory) -> QWidget | None:
        lines = list(story.why)
        if story.related:
            lines.insert(0, self.tr("Without these words, but like photos that have them."))
        if not lines:
            return None
        section = _Section(self.tr("Why it was found"))
        section.column.setSpacing(4)
        for line in lines:
            section.column.addWidget(_label(line))
        return section

    def _tags(self, story: PhotoStory) -> QWidget | None:
        if not story.tags:
            return None
        section = _Section(self.tr("Seen at first glance"))
        flow = FlowBox(spacing=6)
        for tag in story.tags:
            if tag.score < _SHOWN_SCORE and not tag.matches:
                continue
            percent = QLocale().toString(round(tag.score * 100)) + QLocale().percent()
            chip = Chip(Clause(tag.word), count_text=percent, strong=tag.matches)
            views = ", ".join(text.view_text(view) for view in tag.views)
            chip.setToolTip(text.plain_tooltip(self.tr("Seen in: %1").replace("%1", views)))
            chip.chosen.connect(self._choose)
            flow.add(chip)
        section.column.addWidget(flow)
        return section

    def _choose(self, clause: Clause, exclude: bool) -> None:
        self.chosen.emit(clause.opposite() if exclude else clause, exclude)

    def _captions(self, story: PhotoStory) -> QWidget | None:
        if not story.captions:
            return None
        section = _Section(self.tr("Captions"))
        for view, answers in groupby(story.captions, key=lambda marked: marked.caption.view):
            section.column.addWidget(self._view(view, list(answers)))
        return section

    def _view(self, view: str, answers: Sequence[MarkedCaption]) -> QWidget:
        block = QWidget()
        column = QVBoxLayout(block)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(2)
        heading = _label(text.view_text(view), quiet=True)
        models = dict.fromkeys(marked.caption.model for marked in answers)
        heading.setToolTip(text.plain_tooltip("\n".join(models)))
        column.addWidget(heading)
        for number, marked in enumerate(answers):
            if number:
                column.addSpacing(4)
            column.addWidget(self._answer(marked))
        return block

    def _answer(self, marked: MarkedCaption) -> QLabel:
        colours = self.palette()
        words = text.marked_html(
            marked.caption.text,
            list(marked.spans),
            colours.color(QPalette.ColorRole.Text).name(),
            tinted(colours).name(),
        )
        return _label(words, rich=True)

    def _facts(self, photo: Photo) -> QWidget:
        section = _Section(self.tr("Details"))
        locale = QLocale()
        size = f"{locale.toString(photo.width)} × {locale.toString(photo.height)}"
        facts = [
            (self.tr("Date"), text.taken_text(photo.taken_at)),
            (self.tr("Place"), display_path(photo.place)),
            (self.tr("Rating"), "★" * photo.stars),
            (self.tr("Camera"), photo.camera),
            (self.tr("Size"), f"{size} · {photo.format}"),
            *((self.tr("File"), _breakable(display_path(path))) for path in photo.paths),
        ]
        for name, value in facts:
            if value:
                block = QWidget()
                column = QVBoxLayout(block)
                column.setContentsMargins(0, 0, 0, 0)
                column.setSpacing(2)
                column.addWidget(_label(name, quiet=True))
                column.addWidget(_label(value))
                section.column.addWidget(block)
        return section
