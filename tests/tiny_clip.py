"""A CLIP of random weights, in a folder as models for open_clip are published: small and fast."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from photosearch.captioning.clip import import_torchvision

CONFIG = {
    "embed_dim": 32,
    "vision_cfg": {
        "image_size": 32, "layers": 2, "width": 64, "patch_size": 8, "head_width": 16,
    },
    "text_cfg": {
        "context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2,
    },
}  # fmt: skip


def write_tiny_clip(folder: Path, seed: int = 0) -> Path:
    if find_spec("open_clip") is None or find_spec("torch") is None:
        pytest.skip("needs open_clip: pip install 'photosearch[clip]'")
    import_torchvision()
    import open_clip  # noqa: PLC0415
    import torch  # noqa: PLC0415

    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": CONFIG, "preprocess_cfg": {}})
    )
    torch.manual_seed(seed)
    network = open_clip.model.CLIP(**CONFIG)
    torch.save(network.state_dict(), folder / "open_clip_model.bin")
    return folder
