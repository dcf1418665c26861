"""The one protocol behind which every captioner stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from photosearch.domain import View, ViewCaption


class Captioner(Protocol):
    """Turns views of a photo into words. Lives in a worker process, never in the service's own."""

    @property
    def model(self) -> str:
        """Name under which captions are stored; another model adds rows and destroys none."""

    @property
    def prompt(self) -> str:
        """The prompt captions are stored under, empty where there is none."""

    def caption(self, image: Image.Image, views: Sequence[View]) -> list[ViewCaption]:
        """Return captions of `views` of the upright RGB `image`, in the order of `views`.

        A view of which there is nothing to say is left out. Raises CaptionError when the model
        can't caption this photo.
        """

    def close(self) -> None:
        """Free the model; may be called twice."""
