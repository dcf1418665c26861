"""Light and dark: the palette, the style sheet, and what follows the system."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication


class Appearance(StrEnum):
    """What the user chose."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Colours:
    """The colours of one appearance. Text has a contrast of 4.5 or more on what it stands on."""

    window: str
    surface: str
    raised: str
    hover: str
    border: str
    text: str
    quiet: str
    faint: str
    accent: str
    on_accent: str
    warning: str


LIGHT = Colours(
    window="#f7f7f8",
    surface="#ffffff",
    raised="#ececef",
    hover="#e2e2e7",
    border="#d9d9de",
    text="#1b1b1f",
    quiet="#5b5c66",
    faint="#9a9ba5",
    accent="#2f5fd0",
    on_accent="#ffffff",
    warning="#a3480b",
)
DARK = Colours(
    window="#161618",
    surface="#1e1e21",
    raised="#2a2a2f",
    hover="#35353b",
    border="#38383e",
    text="#f1f1f3",
    quiet="#a9aab4",
    faint="#6d6e78",
    accent="#8fb0ff",
    on_accent="#10131c",
    warning="#f2a765",
)

_SHEET = """
QMainWindow, QDialog {{ background: {window}; }}
QToolTip {{ background: {raised}; color: {text}; border: 1px solid {border}; padding: 4px 6px; }}
QMenuBar {{ background: {window}; padding: 2px 8px; }}
QMenuBar::item {{ padding: 4px 8px; border-radius: 4px; background: transparent; }}
QMenuBar::item:selected {{ background: {hover}; }}
QMenu {{ background: {surface}; border: 1px solid {border}; padding: 4px; }}
QMenu::item {{ padding: 6px 24px 6px 24px; border-radius: 4px; }}
QMenu::item:selected {{ background: {hover}; color: {text}; }}
QMenu::item:disabled {{ color: {faint}; }}
QMenu::separator {{ height: 1px; background: {border}; margin: 4px 8px; }}
QPushButton {{ background: {raised}; border: 1px solid {border}; border-radius: 6px;
  padding: 7px 16px; min-height: 16px; }}
QPushButton:hover {{ background: {hover}; }}
QPushButton:focus {{ border: 1px solid {accent}; }}
QPushButton:disabled {{ color: {faint}; }}
QPushButton[quiet="true"] {{ background: transparent; border-color: transparent;
  padding: 4px 8px; }}
QPushButton[quiet="true"]:hover {{ background: {hover}; }}
QPushButton[quiet="true"]:focus {{ border-color: {accent}; }}
QPushButton[link="true"] {{ background: transparent; border-color: transparent; color: {accent};
  padding: 4px 6px; text-align: left; }}
QPushButton[link="true"]:hover {{ background: {hover}; }}
QPushButton[link="true"]:focus {{ border-color: {accent}; }}
QPushButton[primary="true"] {{ background: {accent}; color: {on_accent}; border-color: {accent};
  font-weight: 600; }}
QPushButton[primary="true"]:focus {{ border: 2px solid {text}; padding: 6px 15px; }}
QPushButton::menu-indicator {{ image: none; width: 0; }}
QToolButton {{ background: transparent; border: 1px solid transparent; border-radius: 6px;
  padding: 5px; }}
QToolButton:hover {{ background: {hover}; }}
QToolButton:checked {{ background: {raised}; }}
QToolButton:focus {{ border-color: {accent}; }}
QToolButton::menu-indicator {{ image: none; }}
QProgressBar {{ background: {raised}; border: none; border-radius: 2px; max-height: 4px;
  min-height: 4px; }}
QProgressBar::chunk {{ background: {accent}; border-radius: 2px; }}
QListView, QTableView, QTreeView {{ background: {surface}; border: 1px solid {border};
  border-radius: 6px; outline: none; }}
QHeaderView::section {{ background: {surface}; color: {quiet}; border: none;
  border-bottom: 1px solid {border}; padding: 6px 11px; }}
QTableView::item {{ padding: 4px 8px; border-bottom: 1px solid {raised}; }}
QTableView::item:selected, QListView::item:selected {{ background: {hover}; color: {text}; }}
QScrollBar:vertical {{ background: transparent; width: 12px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {faint}; border-radius: 4px; min-height: 40px;
  margin: 2px; }}
QScrollBar::handle:vertical:disabled {{ background: transparent; }}
QScrollBar:horizontal {{ background: transparent; height: 12px; margin: 0; }}
QScrollBar::handle:horizontal {{ background: {faint}; border-radius: 4px; min-width: 40px;
  margin: 2px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QScrollArea {{ background: transparent; border: none; }}
QSplitter::handle {{ background: {border}; }}
#searchBar {{ background: {surface}; border: 1px solid {border}; border-radius: 10px; }}
#searchBar[active="true"] {{ border: 1px solid {accent}; }}
#searchBar QLineEdit {{ background: transparent; border: none; padding: 4px 0; }}
#completions {{ background: {surface}; border: 1px solid {border}; border-radius: 8px;
  padding: 4px; }}
#results {{ background: {window}; border: none; border-radius: 0; }}
#sidebar, #sidePanel {{ background: {surface}; }}
#sidebar {{ border-right: 1px solid {border}; }}
#sidePanel {{ border-left: 1px solid {border}; }}
#sidebar QListView {{ border: none; background: transparent; }}
#viewerBar {{ background: {surface}; border-bottom: 1px solid {border}; }}
#statusPanel {{ background: {surface}; border-top: 1px solid {border}; }}
#messageBar {{ background: {raised}; border-bottom: 1px solid {border}; }}
QLabel[role="quiet"] {{ color: {quiet}; }}
QLabel[role="heading"] {{ font-weight: 600; }}
QLabel[role="title"] {{ font-size: 22px; font-weight: 600; }}
QLabel[role="warning"] {{ color: {warning}; }}
"""


def palette(colours: Colours) -> QPalette:
    """Return the palette; widgets that paint themselves take all their colours from it."""
    result = QPalette()
    role = QPalette.ColorRole
    for which, colour in (
        (role.Window, colours.window),
        (role.WindowText, colours.text),
        (role.Base, colours.surface),
        (role.AlternateBase, colours.raised),
        (role.Text, colours.text),
        (role.PlaceholderText, colours.quiet),
        (role.Button, colours.raised),
        (role.ButtonText, colours.text),
        (role.BrightText, colours.warning),
        (role.Highlight, colours.accent),
        (role.HighlightedText, colours.on_accent),
        (role.Accent, colours.accent),
        (role.Link, colours.accent),
        (role.LinkVisited, colours.accent),
        (role.Light, colours.surface),
        (role.Midlight, colours.hover),
        (role.Mid, colours.border),
        (role.Dark, colours.faint),
        (role.Shadow, colours.border),
        (role.ToolTipBase, colours.raised),
        (role.ToolTipText, colours.text),
    ):
        result.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, which, QColor(colours.faint))
    return result


def tinted(colours: QPalette, share: float = 0.28) -> QColor:
    """Return the base colour with some of the accent in it: what marks words in a text."""
    base = colours.color(QPalette.ColorRole.Base)
    accent = colours.color(QPalette.ColorRole.Accent)
    mixed = (
        round(b + (a - b) * share)
        for b, a in zip(base.getRgb()[:3], accent.getRgb()[:3], strict=True)  # type: ignore[index]
    )
    return QColor(*mixed)


def is_dark(colours: QPalette) -> bool:
    """Return whether `colours` are those of a dark appearance."""
    return colours.color(QPalette.ColorRole.Window).lightness() < 128


class Theme(QObject):
    """Dresses the application, now and whenever the system changes its mind."""

    def __init__(self, app: QApplication, appearance: Appearance = Appearance.SYSTEM) -> None:
        super().__init__(app)
        self._app = app
        self._appearance = appearance
        app.setStyle("Fusion")
        if not QFontDatabase.families():
            self._bring_a_font()
        app.styleHints().colorSchemeChanged.connect(self._dress)
        self.choose(appearance)

    @property
    def appearance(self) -> Appearance:
        """What was chosen last."""
        return self._appearance

    def choose(self, appearance: Appearance) -> None:
        """Follow the system, or stay light or dark."""
        self._appearance = appearance
        self._app.styleHints().setColorScheme(
            {
                Appearance.SYSTEM: Qt.ColorScheme.Unknown,
                Appearance.LIGHT: Qt.ColorScheme.Light,
                Appearance.DARK: Qt.ColorScheme.Dark,
            }[appearance]
        )
        self._dress()

    def _dress(self) -> None:
        dark = self._appearance == Appearance.DARK or (
            self._appearance == Appearance.SYSTEM
            and self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark
        )
        colours = DARK if dark else LIGHT
        self._app.setPalette(palette(colours))
        self._app.setStyleSheet(
            _SHEET.format(**{name: getattr(colours, name) for name in Colours.__slots__})
        )

    def _bring_a_font(self) -> None:
        # Bare containers have no fonts at all, and Qt brings none.
        from photosearch.clouds import font_path  # noqa: PLC0415 - only where needed

        number = QFontDatabase.addApplicationFont(str(font_path()))
        for family in QFontDatabase.applicationFontFamilies(number)[:1]:
            self._app.setFont(QFont(family, 10))
