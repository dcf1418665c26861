"""The way in: the window without a command, else the command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from photosearch.paths import AppPaths

_EXIT_STOPPED = 130


def main() -> None:
    """Run photosearch and exit with its code."""
    try:
        # Imported here, because every worker process imports this module and needs none of it,
        # and because Ctrl-C may come while they load.
        import multiprocessing  # noqa: PLC0415

        multiprocessing.freeze_support()
        from photosearch.cli import run  # noqa: PLC0415

        code = run(open_window=_open_window)
    except KeyboardInterrupt:
        code = _EXIT_STOPPED
    sys.exit(code)


def _open_window(paths: AppPaths, folder: Path | None) -> int:
    from photosearch.gui.app import run  # noqa: PLC0415 - Qt is loaded only for the window

    return run(paths, folder)


if __name__ == "__main__":
    main()
