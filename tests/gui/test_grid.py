"""The grid's arithmetic, its pages and its cache: what keeps 100,000 photos smooth."""

import pytest
from gui_library import fill
from PySide6.QtGui import QImage

from photosearch.gui.grid_geometry import GridGeometry
from photosearch.gui.results_model import PAGE_HITS
from photosearch.gui.thumbnails import Look, Thumbnails, load_fitted
from photosearch.indexing import Indexer
from photosearch.storage.database import Database
from photosearch.storage.photo_store import PhotoStore


@pytest.mark.parametrize("width", [200, 641, 1024, 1920, 3840])
@pytest.mark.parametrize(
    "counts",
    [(0, 0, 0), (1, 0, 0), (0, 7, 0), (13, 5, 0), (13, 5, 9), (4, 0, 60), (0, 2, 3), (10**6, 3, 0)],
)
def test_cells_fill_the_width_and_never_overlap(width, counts):
    grid = GridGeometry(width, counts, 184)
    rows = [*range(min(40, grid.count)), *range(max(0, grid.count - 40), grid.count)]
    for row in rows:
        rect = grid.rect(row)
        assert rect.left() >= 0 and rect.right() < width
        assert rect.bottom() < grid.height
        assert grid.row_at(rect.center().x(), rect.center().y()) == row
        assert row in grid.rows_between(rect.top(), rect.bottom())
        assert not any(rect.intersects(grid.divider(number)) for number in range(3))
    for row in rows[1:]:
        assert not grid.rect(row).intersects(grid.rect(row - 1))
    for number in (1, 2):
        assert grid.divider(number).isEmpty() == (not counts[number])
    if counts[0] > grid.columns > 1:
        last = grid.rect(grid.columns - 1)
        assert last.right() == width - 16 - 1
    assert len(grid.rows_between(0, 1000)) <= (1000 // grid.pitch + 2) * grid.columns


@pytest.mark.parametrize(
    "counts", [(5, 0, 0), (13, 5, 0), (0, 9, 0), (8, 1, 0), (3, 30, 0), (3, 1, 7), (6, 0, 2)]
)
def test_down_and_up_come_back(counts):
    grid = GridGeometry(900, counts, 184)
    row = 0
    for _ in range(40):
        row = grid.next_row(row, 1)
    assert grid.rect(row).bottom() >= grid.rect(grid.count - 1).top() - grid.pitch
    for _ in range(40):
        row = grid.next_row(row, -1)
    assert row < grid.columns


def test_right_to_left_begins_at_the_right():
    grid = GridGeometry(900, (10, 0, 0), 184, mirrored=True)
    assert grid.rect(0).left() > grid.rect(1).left()


def add_many(paths, folder, count):
    """Write `count` photos straight into the tables: painting them would take an hour."""
    with Database(paths.database) as database:
        store = PhotoStore(database)
        added = store.add_folder(folder)
        with database.transaction() as write:
            write.execute_many(
                "INSERT INTO photo (id, sha256, width, height, format, taken_at, camera)"
                " VALUES (?, ?, 640, 480, 'JPEG', ?, '')",
                ((n, n.to_bytes(32, "big"), 1e9 - n) for n in range(1, count + 1)),
            )
            write.execute_many(
                "INSERT INTO file (folder_id, path, size, mtime_ns, photo_id)"
                " VALUES (?, ?, 1, 1, ?)",
                ((added.id, f"{folder}/{n}.jpg".encode(), n) for n in range(1, count + 1)),
            )
        with Indexer(database, paths.index) as indexer:
            indexer.commit_all()
        return added


@pytest.mark.parametrize(
    "count", [3000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_scrolling_through_all_loads_only_what_is_seen(paths, folder, open_window, count):
    add_many(paths, folder, count)
    person = open_window()
    view, model = person.browse.view, person.browse.model
    assert model.total == count
    bar = view.verticalScrollBar()
    assert bar.maximum() > count // view._geometry.columns * 100
    for step in range(60):
        bar.setValue(bar.maximum() * step // 59)
        view.viewport().repaint()
        person.qtbot.wait(1)
    last = view.visible_rows()[-1]
    assert last == count - 1
    person.wait(lambda: model.hit(last) is not None)
    assert model.hit(last).photo_id == count
    assert len(model._pages) <= 41
    person.window.open_photo(count // 2)
    person.wait(lambda: person.window.viewer.hit is not None)
    assert person.window.viewer.hit.photo_id == count // 2 + 1


def test_a_page_is_loaded_when_it_comes_into_view(paths, folder, open_window):
    add_many(paths, folder, 1000)
    person = open_window()
    model = person.browse.model
    assert model.hit(0) is not None
    assert model.hit(900) is None
    model.ensure(range(900, 910))
    person.wait(lambda: model.hit(900) is not None)
    assert model.hit(900).photo_id == 901
    assert model.hit(PAGE_HITS * 2) is None
    told = []
    model.fetch([0, 450, 999], told.append)
    person.wait(lambda: bool(told))
    assert [hit.photo_id for hit in told[0]] == [1, 451, 1000]


def test_the_cache_of_thumbnails_stays_within_its_bytes(person, paths):
    thumbnails = Thumbnails(
        person.browse.thumbnails._library, person.browse._background, cache_bytes=200 * 200 * 4 * 3
    )
    hashes = [person.browse.model.hit(row).sha256 for row in range(6)]
    for size in (200, 150, 200):
        thumbnails.want(hashes, Look(size, 6.0))
        person.wait(lambda: not thumbnails._wanted and not thumbnails._running)
        assert 0 < thumbnails.bytes_used <= 200 * 200 * 4 * 3
    assert sum(thumbnails.picture(h) is not None for h in hashes) == 3


def test_a_missing_thumbnail_is_tried_again_when_the_library_changes(person):
    thumbnails, library = person.browse.thumbnails, person.library
    sha256 = bytes(32)
    thumbnails.want([sha256], Look(100, 6.0))
    person.wait(lambda: thumbnails.is_missing(sha256))
    path = library.thumbnail_path(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = QImage(320, 200, QImage.Format.Format_RGB32)
    picture.fill(0x3050A0)
    assert picture.save(str(path))
    thumbnails.try_missing_again()
    thumbnails.want([sha256], Look(100, 6.0))
    person.wait(lambda: thumbnails.picture(sha256) is not None)


@pytest.mark.parametrize("fill_square", [True, False])
def test_pictures_are_fitted_into_squares(tmp_path, qapp, fill_square):
    picture = QImage(320, 160, QImage.Format.Format_RGB32)
    picture.fill(0x3050A0)
    path = tmp_path / "wide.png"
    picture.save(str(path))
    fitted = load_fitted(path, Look(100, 6.0, fill_square))
    assert (fitted.width(), fitted.height()) == (100, 100)
    assert fitted.pixelColor(50, 50).name() == "#3050a0"
    assert fitted.pixelColor(50, 5).alpha() == (255 if fill_square else 0)
    assert fitted.pixelColor(0, 0).alpha() < 128
    assert load_fitted(tmp_path / "none.jpg", Look(100, 6.0)) is None


def test_file_names_are_shown_on_demand(paths, folder, open_window):
    fill(paths, folder)
    person = open_window()
    view = person.browse.view
    plain = view._geometry.pitch
    person.window.menus.names.trigger()
    assert view._geometry.pitch > plain
    assert view.model().index(0, 0).data() == "frisbee.jpg"
