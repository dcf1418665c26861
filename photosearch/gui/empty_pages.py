"""What stands in place of an empty grid, and when: no folder, no photos yet, nothing found."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QObject, Signal

from photosearch.domain import Field, Query, Stage, Status
from photosearch.gui import text
from photosearch.gui.folders_panel import trouble
from photosearch.gui.states import StatePage


class EmptyPages(QObject):
    """The pages, and which of them tells why there is nothing to see."""

    add_folder_wanted = Signal()
    dropped = Signal(object)
    """A `Clause` of the query that finds nothing is to go."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.nothing = StatePage("search")
        self.no_folder = StatePage("photo")
        self.indexing = StatePage("photo")
        self.indexing.progress.show()
        self.waiting = StatePage("photo")
        self.waiting.progress.show()

    def all(self) -> tuple[StatePage, ...]:
        """Return the pages."""
        return (self.nothing, self.no_folder, self.indexing, self.waiting)

    def page_for(self, status: Status, query: Query, names: Mapping[str, str]) -> StatePage:
        """Return the page that says why `query` has no result; `names` as for chips."""
        if query:
            self._say_nothing_found(status, query, names)
            return self.nothing
        if not status.folders:
            self._invite()
            return self.no_folder
        # The service finds files before it has jobs for them.
        if status.activity or any(stage.waiting for stage in status.stages):
            self._say_indexing(status)
            return self.indexing
        self._say_no_photos(status)
        return self.no_folder

    def page_while_waiting(self) -> StatePage:
        """Return the page for a search that takes long to answer at all."""
        self.waiting.say(
            self.tr("Getting the search ready"),
            self.tr("The search index is being rebuilt. That happens once after an update."),
        )
        return self.waiting

    def _invite(self) -> None:
        self.no_folder.say(
            self.tr("Find any photo by what is in it"),
            self.tr(
                "Add a folder with photos, or drop one here. photosearch looks at them on this "
                "computer only, and never changes them."
            ),
        )
        self.no_folder.offer([(self.tr("Add a folder…"), self.add_folder_wanted.emit)])

    def _say_no_photos(self, status: Status) -> None:
        problems = [
            f"{text.folder_text(folder.path)}: {trouble(folder)}"
            for folder in status.folders
            if trouble(folder)
        ]
        names = ", ".join(text.folder_text(folder.path) for folder in status.folders)
        looked = self.tr("There is no picture file in %1.").replace("%1", names)
        self.no_folder.say(self.tr("No photos here yet"), "\n".join(problems) or looked)
        self.no_folder.offer([(self.tr("Add another folder…"), self.add_folder_wanted.emit)])

    def _say_indexing(self, status: Status) -> None:
        found = self.tr("%Ln photo(s) found so far", None, status.file_count)
        hint = self.tr("The first ones show in a moment, and can be searched soon after.")
        self.indexing.say(self.tr("Looking at your photos"), f"{found}. {hint}")

    def _say_nothing_found(self, status: Status, query: Query, names: Mapping[str, str]) -> None:
        only = query.clauses[0].field if len(query.clauses) == 1 else None
        if len(query.clauses) > 1:
            body = self.tr("Drop a word to find more:")
        elif only is Field.LIKE:
            body = self.tr("No other photo has words of this one.")
        elif only not in (None, Field.ABOUT):
            body = self.tr("No photo is known to fit.")
        else:
            body = self.tr("Try another word, or a more general one, such as dog for poodle.")
        tags = next((stage for stage in status.stages if stage.stage == Stage.TAGS), None)
        if tags is not None and tags.waiting:
            body = (
                self.tr("Photos are still being looked at: %1 of %2 have words so far.")
                .replace("%1", text.count_text(tags.done))
                .replace("%2", text.count_text(tags.done + tags.waiting + tags.failed))
                + "\n"
                + body
            )
        self.nothing.say(self.tr("Nothing found"), body)
        self.nothing.offer_chips(query.clauses, self.dropped.emit, names)
