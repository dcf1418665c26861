"""The library as its users see it: folders and words in, photos out. The door for GUI and CLI."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from photosearch.caption_lines import add_lines
from photosearch.captioners import find_captioners
from photosearch.captioning.model_store import ModelStore
from photosearch.captioning.models import KnownModel, ServerModel
from photosearch.domain import (
    Caption,
    Failure,
    Folder,
    Hold,
    Imported,
    JobKind,
    PhotoDetails,
    PlanCost,
    Query,
    SearchResults,
    Stage,
    Status,
    TermCount,
    display_path,
)
from photosearch.errors import (
    FolderError,
    UnavailableError,
    UsageError,
)
from photosearch.finding import Finder
from photosearch.folders.scanner import reason_not_to_add
from photosearch.paths import AppPaths
from photosearch.plan_costs import plan_costs
from photosearch.previews import Previews
from photosearch.search.caption_index import CaptionIndex
from photosearch.search.explain import highlight
from photosearch.search.query import parse
from photosearch.service_control import (
    STATE_ASKED,
    STATE_LAST,
    STATE_PAUSED,
    STATE_RUN_UNTIL,
    STATE_SERVICE,
    STATE_SPEEDS,
    STATE_STOP,
)
from photosearch.settings import SettingsFile
from photosearch.storage.caption_store import CaptionStore
from photosearch.storage.database import Database
from photosearch.storage.job_queue import LOOKED_AT, NEARLY_FOUND, JobQueue
from photosearch.storage.photo_store import PhotoStore

_SERVICE_WAIT_S = 300


class PhotoLibrary:
    """A person's photos and their words. Every method may be called from any thread, and may block.

    Nothing here writes captions or the index: that is the service's, in a process of its own.
    """

    def __init__(self, paths: AppPaths) -> None:
        """Open the library at `paths`, making it where there is none.

        Raises UnavailableError when it can't be opened: damaged, too new, no permission, disk full.
        """
        self._paths = paths
        paths.make()
        self._database = Database(paths.database)
        self._photos = PhotoStore(self._database)
        self._jobs = JobQueue(self._database)
        self._captions = CaptionStore(self._database)
        self._models = ModelStore(paths.models)
        self._finder = Finder(paths, self._database)
        self._previews = Previews(paths)
        self._service: subprocess.Popen[bytes] | None = None

    @property
    def paths(self) -> AppPaths:
        """Where the library keeps its files."""
        return self._paths

    def close(self) -> None:
        """Close the library; a service that it started goes on. May be called twice."""
        self._finder.close()
        self._previews.close()
        self._database.close()

    def __enter__(self) -> PhotoLibrary:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Folders

    def folders(self) -> list[Folder]:
        """Return the added folders."""
        return self._photos.folders()

    def add_folder(self, path: Path) -> Folder:
        """Add a folder to be indexed; folders inside it that were added before become part of it.

        Raises FolderError if it is no folder, can't be read, or lies inside an added one.
        """
        # As the user wrote it: resolve() would follow links, and Path.expanduser() may raise.
        path = Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111
        if path == Path("/"):
            raise FolderError("Please choose folders with photos, not the whole file system.")
        if reason := reason_not_to_add(path):
            raise FolderError(f"{display_path(path)} can't be added: {reason}.")
        for folder in self._photos.folders():
            if path == folder.path:
                return folder
            if path.resolve().is_relative_to(folder.path.resolve()):
                raise FolderError(
                    f"{display_path(path)} is indexed already, as part of "
                    f"{display_path(folder.path)}."
                )
        folder = self._photos.add_folder(path)
        self._ask()
        return folder

    def remove_folder(self, folder_id: int) -> None:
        """Stop indexing a folder. Photos are not touched, and captions are kept for a return."""
        if not self._photos.remove_folder(folder_id):
            raise UsageError("There is no such folder in the library.")
        self._ask()
        self._finder.index_unless_served()

    # Finding

    def parse(self, text: str) -> Query:
        """Return what a person typed as a query; never raises."""
        return parse(text)

    def search(
        self,
        query: Query,
        *,
        limit: int = 200,
        offset: int = 0,
        refine: int = 0,
        related: int = 0,
    ) -> SearchResults:
        """Return a page of the photos that match, best first, and `refine` words to narrow them.

        Behind all that match come up to `related` photos that have none of the words, but such as
        go with them.
        """
        return self._finder.search(
            query, limit=limit, offset=offset, refine=refine, related=related
        )

    def search_hybrid(
        self, query: Query, *, limit: int = 200, offset: int = 0, refine: int = 0
    ) -> SearchResults | None:
        """Return a page of the ranking by words fused with CLIP's; None where words alone decide.

        That is so unless the query is one description and filters, and a CLIP checkpoint is set
        that has seen some photos. Blocks for seconds at first. No hit by words is left out. Raises
        UnavailableError where the description can't be embedded.
        """
        return self._finder.search_hybrid(query, limit=limit, offset=offset, refine=refine)

    def complete(self, prefix: str, query: Query, *, limit: int = 8) -> list[TermCount]:
        """Return what begins like `prefix` and occurs in the query's result, most first."""
        return self._finder.complete(prefix, query, limit)

    def words(self, query: Query, *, limit: int = 100) -> list[TermCount]:
        """Return the most frequent words of a result, or of the library for an empty query."""
        return self._finder.words(query, limit)

    def photo(self, photo_id: int, query: Query | None = None) -> PhotoDetails:
        """Return all that is known of a photo, and why `query` finds it.

        Raises UsageError if there is no such photo.
        """
        return self._finder.photo(photo_id, query)

    def find_photo(self, wanted: str) -> int | None:
        """Return the photo named by an id, a file's path, or at least 6 digits of its hash."""
        return self._photos.find(wanted)

    def highlight(self, text: str, query: Query) -> list[tuple[int, int]]:
        """Return the (start, end) spans of `text` that the query's words match."""
        return highlight(text, query)

    # Pictures

    def thumbnail_path(self, sha256: bytes) -> Path:
        """Return where a photo's thumbnail lies, once the scan stage has made it."""
        return self._paths.thumbnail(sha256)

    def preview(self, photo_id: int) -> Path:
        """Return a JPEG of the photo, upright and large enough for a screen; made when needed.

        Decoding happens in a worker process. Raises DecodeError when no file of the photo can be
        read, UsageError if there is no such photo.
        """
        photo = self._photos.photo(photo_id)
        if photo is None:
            raise UsageError(f"There is no photo {photo_id} in the library.")
        return self._previews.get(photo)

    # Indexing

    def status(self) -> Status:
        """Return the state of the library at a glance."""
        service = self._service_row()
        photo_count, file_count = self._photos.counts()
        notices = list(self.notices)
        try:
            specs = find_captioners(self._paths)
        except UsageError as error:
            specs = []
            notices.append(str(error))
        kinds = [JobKind(s, spec.model, spec.prompt) for spec in specs for s in spec.views]
        speeds = self._photos.state(STATE_SPEEDS)
        in_use = self._models.in_use()
        return Status(
            folders=tuple(self._photos.folders()),
            photo_count=photo_count,
            file_count=file_count,
            stages=tuple(self._jobs.progress([JobKind(Stage.SCAN), *kinds], speeds)),
            failure_count=self._jobs.failure_count(),
            service_pid=service["pid"] if service else None,
            activity=service["activity"] if service else "",
            paused=bool(self._photos.state(STATE_PAUSED)),
            captioner=in_use.name if in_use else "",
            holds=tuple(self._holds(service)),
            run_until=self._photos.state(STATE_RUN_UNTIL),
            notices=tuple(dict.fromkeys(notices)),
        )

    @property
    def notices(self) -> list[str]:
        """What the user should know: an index that was rebuilt, stages that stand still."""
        service = self._service_row()
        told = service["notices"] if service else self._photos.state(STATE_LAST) or []
        return self._finder.notices + told

    def failures(self) -> list[Failure]:
        """Return what could not be processed, and why; latest first."""
        return self._jobs.failures()

    def retry(self, job_ids: Sequence[int] | None = None) -> int:
        """Try failed jobs again, all or these; return how many."""
        count = self._jobs.retry(job_ids)
        self._ask()
        return count

    def set_paused(self, paused: bool) -> None:
        """Pause or resume the service; kept over restarts."""
        self._photos.set_state({STATE_PAUSED: paused, STATE_RUN_UNTIL: None})
        self._ask()

    def run_now(self, hours: float) -> None:
        """Caption for so many hours whatever the schedule says, and though it was paused."""
        self._photos.set_state({STATE_PAUSED: False, STATE_RUN_UNTIL: time.time() + hours * 3600})
        self._ask()

    def look_at(self, photo_id: int) -> None:
        """Note that somebody looks at a photo: it gets its captions before all others."""
        self._jobs.prefer([photo_id], LOOKED_AT)

    def nearly_found(self, photo_ids: Sequence[int]) -> None:
        """Note that a search almost found these: their captions come before others'."""
        self._jobs.prefer(photo_ids, NEARLY_FOUND)

    # Settings

    @property
    def settings(self) -> SettingsFile:
        """What the user has set; after a change call `settings_changed`."""
        return SettingsFile(self._paths.settings)

    def settings_changed(self) -> None:
        """Have the service read the settings anew."""
        self._ask()

    # Models

    @property
    def models(self) -> ModelStore:
        """The models that were added; `use_model` and `remove_model` change them."""
        return self._models

    def use_model(
        self, model: Path, mmproj: Path | None = None, name: str | None = None
    ) -> KnownModel:
        """Caption with the GGUF file `model` and its `mmproj`, or with a model known by that name.

        Raises ModelError for files that won't do, UsageError for an unknown name.
        """
        if mmproj is not None:
            known: KnownModel = self._models.use(model, mmproj, name)
        elif model.suffix.lower() == ".gguf" or model.exists():
            raise UsageError(
                "A vision language model needs its projector, too: photosearch models use "
                f"{display_path(model.name)} --mmproj MMPROJ.gguf"
            )
        else:
            known = self._models.select(str(model))
        self._ask()
        return known

    def use_server(self, server: ServerModel) -> ServerModel:
        """Caption by servers that the user entered. UsageError for addresses that are none."""
        known = self._models.use_server(server)
        self._ask()
        return known

    def remove_model(self, name: str) -> None:
        """Forget a model; its files and its captions are kept. UsageError for an unknown name."""
        self._models.remove(name)
        self._ask()

    def data_version(self) -> int:
        """Return a number that changes whenever anybody commits to the library."""
        return self._database.data_version()

    def captions(self) -> Iterator[tuple[bytes, Caption]]:
        """Yield every caption with its photo's content hash, photo by photo."""
        return self._captions.all()

    def import_captions(self, lines: Iterable[bytes]) -> Imported:
        """Add captions from JSON lines, as `captions export` writes them, by content hash."""
        imported = add_lines(self._captions, lines)
        self._ask()
        self._finder.index_unless_served()
        return imported

    def plan_costs(self) -> list[PlanCost]:
        """Return what each plan of captioning would still take for the photos of this library.

        Seconds follow from the speeds measured last, with the model in use.
        """
        return plan_costs(
            self._paths,
            self._captions,
            photo_count=self._photos.counts()[0],
            speeds=self._photos.state(STATE_SPEEDS) or {},
        )

    def reindex(self) -> int:
        """Build the search index anew from the database; return the number of photos in it.

        Raises LibraryLockedError while a service runs.
        """
        return self._finder.reindex()

    def check(self) -> list[str]:
        """Return what is wrong with the database and the index, a sentence each."""
        found = [f"The database is damaged: {line}" for line in self._database.check()]
        try:
            index = CaptionIndex.open(self._paths.index)
            index.search(Query(), refine=1)
            index.words(Query())
        except UnavailableError as error:
            found.append(f"{error} To make the index anew: photosearch reindex")
        return found

    def start_service(self) -> None:
        """Start the indexer as a process of its own, unless one runs."""
        if self._service_row() is not None:
            return
        if self._service is not None and self._service.poll() is None:
            return
        command = [sys.executable, "-m", "photosearch", "--library", str(self._paths.home), "watch"]
        # This process may be rebuilding the index just now.
        command += ["--wait", str(_SERVICE_WAIT_S)]
        # A session of its own: Ctrl-C in the window's terminal is the window's, not the service's.
        self._service = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop_service(self, timeout_s: float = 10) -> None:
        """Ask the service to stop and wait for it; one that does not answer in time is killed."""
        row = self._service_row()
        pid = row["pid"] if row else self._service.pid if self._service else None
        if pid is None:
            return
        self._photos.set_state({STATE_STOP: pid})
        try:
            if self._service is not None and self._service.pid == pid:
                self._service.wait(timeout_s)
            else:
                psutil.Process(pid).wait(timeout_s)
        except psutil.NoSuchProcess:
            pass
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        if self._service is not None:
            self._service.wait()
            self._service = None

    # Inside

    def _ask(self) -> None:
        self._photos.set_state({STATE_ASKED: time.time_ns()})

    def _holds(self, service: Mapping[str, Any] | None) -> Iterator[Hold]:
        """Yield why nothing is captioned now, though a service runs."""
        if self._photos.state(STATE_PAUSED):
            yield Hold("Indexing is paused.", "photosearch resume")
        for reason, command in service["holds"] if service else ():
            yield Hold(reason, command)

    def _service_row(self) -> dict[str, Any] | None:
        """Return what the service last reported, or None if none is alive."""
        row = self._photos.state(STATE_SERVICE)
        if not row:
            return None
        with contextlib.suppress(psutil.Error):
            # A number alone may belong to another process by now.
            if abs(psutil.Process(row["pid"]).create_time() - row["since"]) < 1:
                return dict(row)
        return None
