#!/bin/sh
# qt-libraries.sh BIN: make sure that the shared libraries Qt needs for a window are there.
# Names what is missing and the command that installs it; installs it where we are root on Debian.
set -eu
bin=$1

missing() {
    "$bin/python" - <<'PY'
import pathlib, re, subprocess
import PySide6
root = pathlib.Path(PySide6.__file__).parent
plugins = root / "Qt" / "plugins" / "platforms"
files = [plugins / "libqxcb.so", root / "Qt" / "lib" / "libQt6Gui.so.6"]
names = set()
for file in files:
    if file.exists():
        out = subprocess.run(["ldd", str(file)], capture_output=True, text=True).stdout
        names |= set(re.findall(r"(\S+) => not found", out))
print(" ".join(sorted(names)))
PY
}

gone=$(missing)
[ -n "$gone" ] || exit 0
packages="libegl1 libgl1 libglib2.0-0 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xkb1 libwayland-cursor0 fonts-dejavu-core"
echo "Qt needs libraries that this system lacks: $gone"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing them: apt-get install $packages"
    # shellcheck disable=SC2086
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $packages >/dev/null; } || true
    [ -z "$(missing)" ] && exit 0
fi
echo "Install them, then try again:"
echo "  Debian, Ubuntu:  sudo apt install $packages"
echo "  Fedora:          sudo dnf install mesa-libEGL libxkbcommon-x11 xcb-util-cursor xcb-util-wm xcb-util-image xcb-util-keysyms xcb-util-renderutil dbus-libs fontconfig"
exit 1
