"""How far the hashes of altered copies of photos, and of different photos, lie apart.

    python tests/benchmarks/similarity_quality.py [--photos DIR]

Prints for each alteration the median distance in bits and the share of copies that are not taken
for alike, by the limit, then the share of pairs of different photos that are.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

from PIL import Image, ImageEnhance

from photosearch.imaging.decode import decode
from photosearch.imaging.similarity import SIMILAR_BITS, dhash, distance

COCO = Path(__file__).resolve().parents[3] / "shared" / "photos" / "coco"
LIMITS = sorted({4, 6, 8, 10, 12, 16, SIMILAR_BITS})


def scaled(image: Image.Image, width: int) -> Image.Image:
    return image.resize((width, max(1, image.height * width // image.width)))


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cropped(
    image: Image.Image, left: float, top: float, right: float, bottom: float
) -> Image.Image:
    """Return `image` less these shares of its width or height."""
    width, height = image.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3])))


def brighter(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "200 pixels wide": lambda image: scaled(image, 200),
    "JPEG quality 30": lambda image: recompressed(image, 30),
    "brighter by a fifth": lambda image: brighter(image, 1.2),
    "darker by a third": lambda image: brighter(image, 0.67),
    "black and white": lambda image: image.convert("L"),
    "cropped by 3 %": lambda image: cropped(image, 0.015, 0.015, 0.015, 0.015),
    "cropped by 5 %": lambda image: cropped(image, 0.025, 0.025, 0.025, 0.025),
    "small, brighter, cropped by 3 %, JPEG": lambda image: recompressed(
        brighter(cropped(scaled(image, 480), 0.015, 0.015, 0.015, 0.015), 1.15), 50
    ),
    "camera moved by 3 %": lambda image: cropped(image, 0.03, 0.01, 0, 0.02),
}


def row(name: str, distances: Sequence[int], *, alike: bool) -> str:
    shares = [
        sum((d <= limit) == alike for d in distances) / max(1, len(distances)) for limit in LIMITS
    ]
    median = statistics.median(distances) if distances else 0
    return f"{name:40}{median:6.0f}" + "".join(f"{share:10.3%}" for share in shares)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, default=COCO, help="folder of different JPEG photos")
    folder: Path = parser.parse_args().photos
    images = [decode(path) for path in sorted(folder.glob("*.jpg"))]
    if not images:
        sys.exit(f"{folder}: no photos there")
    hashes = [dhash(image) for image in images]
    print(f"{len(images)} photos; limit in use: {SIMILAR_BITS} bits")
    print(f"{'':40}median" + "".join(f"{f'> {limit} bits':>10}" for limit in LIMITS))
    for name, alter in ALTERATIONS.items():
        found = [distance(h, dhash(alter(i))) for h, i in zip(hashes, images, strict=True)]
        print(row(name, found, alike=False))
    print(f"{'':46}" + "".join(f"{f'≤ {limit} bits':>10}" for limit in LIMITS))
    different = [distance(a, b) for a, b in combinations(hashes, 2)]
    print(row(f"{len(different)} pairs of different photos", different, alike=True))


if __name__ == "__main__":
    main()
