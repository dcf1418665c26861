"""Captions that wait for their hours: why, and the button that has them written now."""

from __future__ import annotations

import datetime
import time
from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QCursor
from PySide6.QtWidgets import QMenu, QPushButton

from photosearch.domain import CAPTION_STAGES, Hold, Stage, StageProgress, Status
from photosearch.gui import icons, text

_HOURS = (1, 2, 4)
_MORNING_HOUR = 7
_STARTS_WITHIN_S = 15.0


def worked_on(status: Status) -> Stage | None:
    """Return the stage that the service said it is at, if any."""
    name = status.activity.partition(" ")[0]
    return Stage(name) if name in list(Stage) else None


def current_stage(status: Status) -> StageProgress | None:
    """Return the first stage that has photos waiting, but of crops the one that is worked on."""
    waiting = [stage for stage in status.stages if stage.waiting]
    if waiting and waiting[0].stage.rank > Stage.FULL.rank:
        at = worked_on(status)
        return next((stage for stage in waiting if stage.stage == at), waiting[0])
    return waiting[0] if waiting else None


def holds_shown(status: Status) -> tuple[Hold, ...]:
    """Return why captions wait, where there are any to write; a pause speaks for itself."""
    waiting = any(stage.waiting for stage in status.stages if stage.stage in CAPTION_STAGES)
    if status.paused or not waiting or worked_on(status) in CAPTION_STAGES:
        return ()
    return status.holds


def hours_until_morning(now: datetime.datetime) -> float:
    """Return the hours from `now`, a local time, to the next early morning."""
    morning = now.replace(hour=_MORNING_HOUR, minute=0, second=0, microsecond=0)
    if morning <= now:
        morning += datetime.timedelta(days=1)
    # By timestamps, for nights in which the clocks change.
    return (morning.timestamp() - now.timestamp()) / 3600


class RunNow:
    """Captioning that was asked for, whatever the schedule says."""

    def __init__(self) -> None:
        self._starts_by_s = 0.0
        self.until: float | None = None
        """Up to when, in Unix seconds; None if it is left to the schedule."""
        self.is_starting = False
        """Whether the service has not taken it up yet."""

    def ask(self, hours: float, status: Status | None) -> None:
        """Note that captions were asked for, for so many hours."""
        self.until = time.time() + hours * 3600
        self.is_starting = status is not None and bool(holds_shown(status))
        self._starts_by_s = time.monotonic() + _STARTS_WITHIN_S

    def end(self) -> None:
        """Leave it to the schedule again."""
        self.until = None
        self.is_starting = False

    def follow(self, status: Status) -> None:
        """See what became of it: it begins, it is over, or somebody wished otherwise since."""
        held = bool(holds_shown(status))
        if self.until is None:
            # It may have been asked for in another window, or on the command line.
            if status.run_until is not None and status.run_until > time.time() and not held:
                self.until = status.run_until
            return
        late = not self.is_starting or time.monotonic() > self._starts_by_s
        if status.paused or self.until <= time.time() or (held and late):
            self.end()
        elif not held:
            self.is_starting = False


class CaptionNowButton(QPushButton):
    """Offers to caption now while captions wait, and says until when while that goes on."""

    wanted = Signal(float)
    """For how many hours."""
    schedule_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._runs = False
        self.choices = QMenu(self)
        self.choices.aboutToShow.connect(self._fill)
        self.choices.aboutToHide.connect(self._look_for_mouse)
        self.setMenu(self.choices)
        self.setAutoDefault(False)
        # It comes and goes; whoever clicked it goes on where they were.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setIcon(icons.icon("down"))
        self.setIconSize(QSize(16, 16))
        # The arrow stands after the words.
        right_to_left = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        self.setLayoutDirection(
            Qt.LayoutDirection.LeftToRight if right_to_left else Qt.LayoutDirection.RightToLeft
        )
        self.choices.setLayoutDirection(
            Qt.LayoutDirection.RightToLeft if right_to_left else Qt.LayoutDirection.LeftToRight
        )
        self.hide()

    def show_state(self, status: Status, run: RunNow) -> None:
        """Appear where there is something to choose."""
        stage = current_stage(status)
        captions = stage is not None and stage.stage in CAPTION_STAGES
        self._runs = run.until is not None
        if run.until is None:
            self.setText(self.tr("Caption now"))
            self.setToolTip(self.tr("Write captions now, whatever the schedule says"))
        else:
            until = text.time_text(run.until)
            self.setText(self.tr("Captioning until %1").replace("%1", until))
            self.setToolTip(self.tr("Captions are written whatever the schedule says"))
        running = self._runs and captions and status.service_pid is not None
        self.setVisible(running or bool(holds_shown(status)))

    def _fill(self) -> None:
        self.choices.clear()
        for hours in _HOURS:
            action = self.choices.addAction(self.tr("For %Ln hour(s)", None, hours))
            action.triggered.connect(partial(self._choose, float(hours)))
        now = datetime.datetime.now()
        hours_left = hours_until_morning(now)
        morning = text.time_text(now.timestamp() + hours_left * 3600)
        action = self.choices.addAction(self.tr("Until %1").replace("%1", morning))
        action.triggered.connect(partial(self._choose, hours_left))
        if self._runs:
            self.choices.addSeparator()
            action = self.choices.addAction(self.tr("Follow the schedule again"))
            action.triggered.connect(lambda _checked=False: self.schedule_wanted.emit())

    def _look_for_mouse(self) -> None:
        # Qt does not notice that the mouse left the button for its menu.
        over = self.rect().contains(self.mapFromGlobal(QCursor.pos()))
        self.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, over)
        self.update()

    def _choose(self, hours: float, _checked: bool = False) -> None:
        self.wanted.emit(hours)
