"""What of a photo is sent to a server."""

from __future__ import annotations

import io

from PIL import Image

LONGEST_SIDE = 672
"""Pixels of the longer side of what is sent: twice the side of LLaVA-1.5's square."""

_QUALITY = 88
# Vision towers refuse slivers, or end the server on them; the rest is LLaVA's padding.
_MOST_ASPECT = 20
_LEAST_SIDE = 28
_PADDING = (122, 116, 104)


def jpeg(view: Image.Image, longest_side: int = LONGEST_SIDE) -> bytes:
    """Return a view as it is sent: RGB, no larger than that, no sliver, without any metadata."""
    width, height = view.size
    longer = max(width, height)
    side = max(_LEAST_SIDE, min(longer, longest_side))
    size = (max(1, round(width * side / longer)), max(1, round(height * side / longer)))
    picture = view if view.mode == "RGB" else view.convert("RGB")
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    least = max(_LEAST_SIDE, -(-side // _MOST_ASPECT))
    # Pasted on a new picture: one that was cropped takes comments and profiles along.
    sent = Image.new("RGB", (max(size[0], least), max(size[1], least)), _PADDING)
    sent.paste(picture, ((sent.width - size[0]) // 2, (sent.height - size[1]) // 2))
    file = io.BytesIO()
    sent.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
