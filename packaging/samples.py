"""Copy real photos that installed packages ship into a folder: something to search at first.

    python packaging/samples.py FOLDER

Licences: scikit-image's are public domain or CC0 (see skimage.data); scikit-learn's are CC BY 2.0,
china.jpg by danielbuechele and flower.jpg by vultilion (see sklearn/datasets/images/README.txt).
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

SAMPLES = {
    "skimage/data": (
        "astronaut.png",
        "brick.png",
        "camera.png",
        "chelsea.png",
        "coffee.png",
        "coins.png",
        "grass.png",
        "gravel.png",
        "hubble_deep_field.jpg",
        "moon.png",
        "motorcycle_left.png",
        "rocket.jpg",
    ),
    "sklearn/datasets/images": ("china.jpg", "flower.jpg"),
}


def main() -> None:
    """Copy what is not there yet."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for source, names in SAMPLES.items():
        package, _, folder = source.partition("/")
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            sys.exit(f'{package} is not installed: pip install "photosearch[samples]"')
        for name in names:
            copy = target / name
            if not copy.exists():
                shutil.copyfile(Path(found.origin).parent / folder / name, copy)


if __name__ == "__main__":
    main()
