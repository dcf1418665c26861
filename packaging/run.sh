#!/bin/sh
# run.sh BIN [FOLDER]: index FOLDER and open the window on it; without a display, work in the terminal.
# Without FOLDER: the Pictures folder, or else the sample pictures that scikit-image ships.
set -eu
bin=$1 folder=${2:-}

has_pictures() { [ -d "$1" ] && [ -n "$(find "$1" -type f \( -iname "*.jp*g" -o -iname "*.png" -o -iname "*.heic" -o -iname "*.webp" -o -iname "*.tif*" \) -print 2>/dev/null | head -n 1)" ]; }

if [ -z "$folder" ]; then
    folder=$("$bin/python" -c 'import platformdirs; print(platformdirs.user_pictures_dir())')
    if ! has_pictures "$folder"; then
        "$bin/python" -c 'import skimage, sklearn' 2>/dev/null || {
            echo "There are no pictures in $folder yet: installing some sample pictures."
            "$bin/python" -m pip install --quiet --editable ".[samples]"
        }
        folder=$("$bin/python" -c 'import platformdirs; print(platformdirs.user_data_path("photosearch", False) / "sample-pictures")')
        "$bin/python" packaging/samples.py "$folder"
        echo "These are sample pictures. For your own: make run FOLDER=~/Pictures"
    fi
fi
case $folder in "~"/*) folder=$HOME/${folder#"~/"} ;; esac

display=yes
case $(uname -s) in
    Linux) [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || display= ;;
esac
if [ -n "$display" ] && [ "$(uname -s)" = Linux ]; then
    packaging/qt-libraries.sh "$bin" || display=
fi
if [ -n "$display" ]; then
    exec "$bin/photosearch" --folder "$folder"
fi

echo "No display: working on the command line."
"$bin/photosearch" index "$folder" || [ $? -eq 1 ]
"$bin/photosearch" status
word=$("$bin/photosearch" words --json | "$bin/python" -c 'import json, sys; words = json.load(sys.stdin)["words"]; print(words[0]["word"] if words else "")')
if [ -n "$word" ]; then
    echo
    echo "\$ photosearch search $word"
    "$bin/photosearch" search "$word"
fi
echo
echo "Search for more: $bin/photosearch search WORDS…"
