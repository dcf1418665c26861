"""The way in: the window without a command, else the command line."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

from photosearch.paths import AppPaths


def main() -> None:
    """Run photosearch and exit with its code."""
    multiprocessing.freeze_support()
    # Imported here, because every worker process imports this module and needs none of it.
    from photosearch.cli import run  # noqa: PLC0415

    sys.exit(run(open_window=_open_window))


def _open_window(paths: AppPaths, folder: Path | None) -> int:
    from photosearch.gui.app import run  # noqa: PLC0415 - Qt is loaded only for the window

    return run(paths, folder)


if __name__ == "__main__":
    main()
