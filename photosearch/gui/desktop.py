"""What the desktop does for us: open a file, show it in its folder, carry it on the clipboard."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData, QObject, QProcess, QUrl
from PySide6.QtDBus import QDBusConnection, QDBusMessage, QDBusPendingCallWatcher
from PySide6.QtGui import QDesktopServices, QGuiApplication, QImage

from photosearch.gui.text import path_text

_OURS = "made by photosearch"


def file_url(path: Path) -> QUrl:
    """Return the path as a URL; bytes that are no UTF-8 survive."""
    return QUrl.fromEncoded(Path(os.path.abspath(path)).as_uri().encode())  # noqa: PTH100


def open_with_default(path: Path) -> bool:
    """Open a file with the program that the desktop has for it; False if it has none."""
    return QDesktopServices.openUrl(file_url(path))


def show_in_folder(path: Path, parent: QObject) -> None:
    """Open the folder of `path` in the desktop's file manager, with the file marked if it can."""
    if sys.platform == "darwin":
        QProcess.startDetached("open", ["-R", os.fspath(path)])
        return
    if sys.platform == "win32":
        QProcess.startDetached("explorer.exe", ["/select,", os.fspath(path)])
        return
    bus = QDBusConnection.sessionBus()
    if not bus.isConnected():
        open_with_default(path.parent)
        return
    call = QDBusMessage.createMethodCall(
        "org.freedesktop.FileManager1",
        "/org/freedesktop/FileManager1",
        "org.freedesktop.FileManager1",
        "ShowItems",
    )
    call.setArguments([[bytes(file_url(path).toEncoded().data()).decode("ascii")], ""])
    watcher = QDBusPendingCallWatcher(bus.asyncCall(call), parent)

    def on_finished(done: QDBusPendingCallWatcher) -> None:
        if done.isError():
            open_with_default(path.parent)
        done.deleteLater()

    watcher.finished.connect(on_finished)


def copy_paths(paths: Sequence[Path]) -> None:
    """Put the paths on the clipboard as text, one a line."""
    QGuiApplication.clipboard().setText("\n".join(path_text(path) for path in paths))


def copy_photos(paths: Sequence[Path], picture: QImage | None = None) -> None:
    """Put the photos on the clipboard as files, and as a picture if there is one."""
    mime = QMimeData()
    mime.setUrls([file_url(path) for path in paths])
    if picture is not None and not picture.isNull():
        mime.setImageData(picture)
    mime.setProperty(_OURS, True)
    QGuiApplication.clipboard().setMimeData(mime)


def leave_clipboard() -> None:
    """Turn what `copy_photos` put on the clipboard into text; to be called before Python ends.

    Qt frees the clipboard's content after Python has gone, and crashes if that was made in Python.
    """
    clipboard = QGuiApplication.clipboard()
    if clipboard.mimeData() is not None and clipboard.mimeData().property(_OURS):
        clipboard.setText(clipboard.text())
