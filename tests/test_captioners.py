"""What the service is told of a model: from the model in use and the settings."""

from pathlib import Path

from photosearch.captioners import find_captioners
from photosearch.captioning.model_store import ModelStore
from photosearch.settings import SettingsFile

TINY = Path(__file__).parent / "tiny_llava"


def test_many_sequences_may_take_the_memory_of_their_caches(paths):
    ModelStore(paths.models).use(
        TINY / "tiny-llava-text-f16.gguf", TINY / "tiny-llava-mmproj-f16.gguf", "tiny"
    )
    settings = SettingsFile(paths.settings)

    def memory_mb(sequences):
        settings.set("captions.sequences", str(sequences))
        _, model = find_captioners(paths)
        return model.memory_mb

    # A worker that took more would be killed at every photo.
    assert memory_mb(0) <= memory_mb(4) < memory_mb(64) < memory_mb(256)
    settings.set("captions.memory_mb", "1234")
    assert memory_mb(64) == 1234
