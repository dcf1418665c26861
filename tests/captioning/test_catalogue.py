"""The catalogue of models, and how much memory they need."""

from pathlib import Path

import llama_cpp
import pytest
from gguf_files import MMPROJ, TEXT, rewritten

from photosearch.captioning.catalogue import (
    catalogue,
    download_base,
    fit,
    smaller_models,
)
from photosearch.captioning.memory import (
    Memory,
    MemoryShape,
    gigabytes,
    memory_shape,
    memory_warning,
)
from photosearch.errors import ModelError, UsageError

GB = 1_000_000_000
ENTRY = """
title = "Mine"
about = "Mine."
repo = "me/mine"
model = {{ name = "{model}", size = 3 }}
mmproj = {{ name = "mmproj.gguf", about_mb = 1{extra} }}
licence = {{ name = "MIT", url = "https://example.org" }}
shape = {{ layers = 1, kv_heads = 1, head_width = 64, view_tokens = 600 }}
chat = "{chat}"
projector = "mlp"
"""


def entry(model: str = "model.gguf", chat: str = "template", extra: str = "") -> str:
    return "[mine]\n" + ENTRY.format(model=model, chat=chat, extra=extra)


def test_the_catalogue_is_whole() -> None:
    models = catalogue()
    assert {"llava-1.5-7b", "llava-1.5-13b", "smolvlm2-500m", "gemma-3-4b"} <= set(models)
    for model in models.values():
        assert model.model.name != model.mmproj.name
        assert 0.2 * GB < model.download_bytes < model.need_bytes() < 16 * GB
        assert model.need_bytes(4) > model.need_bytes()
        assert model.licence.url.startswith("https://")
        assert model.url(model.mmproj, "https://hub").startswith(f"https://hub/{model.repo}/")
    sums = [file.sha256 for model in models.values() for file in model.files if file.sha256]
    assert len(sums) == len(set(sums)) >= 18


def test_llama_cpp_knows_every_projector_of_the_catalogue() -> None:
    library = next(Path(llama_cpp.__file__).parent.glob("lib/*mtmd*"))
    names = library.read_bytes()
    for model in catalogue().values():
        assert model.projector.encode() + b"\0" in names, model.name


def test_the_users_models_add_and_replace(tmp_path: Path) -> None:
    own = tmp_path / "models.toml"
    own.write_text(entry())
    mine = catalogue(own)["mine"]
    assert mine.url(mine.model, "http://mirror") == "http://mirror/me/mine/resolve/main/model.gguf"
    assert len(catalogue(own)) == len(catalogue()) + 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (entry(model="../model.gguf"), "at `model.name`"),
        (entry(model=".model.gguf"), "at `model.name`"),
        (entry(model="model.bin"), "at `model.name`"),
        (entry(chat="chatml"), "at `chat`"),
        (entry(extra=", size = 5"), "either size or about_mb"),
        (entry(extra=', sha256 = "12"'), "at `mmproj.sha256`"),
        (entry().replace("me/mine", "https://evil"), "at `repo`"),
        (entry().replace("layers = 1", "layers = 0"), "at `shape.layers`"),
    ],
)
def test_a_mistake_in_the_users_models_is_named(text: str, reason: str, tmp_path: Path) -> None:
    own = tmp_path / "models.toml"
    own.write_text(text)
    with pytest.raises(UsageError, match=reason):
        catalogue(own)


def test_files_count_as_there_if_both_are_and_of_the_right_size(tmp_path: Path) -> None:
    own = tmp_path / "models.toml"
    own.write_text(entry())
    mine, models = catalogue(own)["mine"], tmp_path / "models"
    (models / "mine").mkdir(parents=True)
    (models / "mine" / "model.gguf").write_bytes(b"abc")
    assert mine.find_files(models) is None
    (models / "mmproj.gguf").write_bytes(bytes(500_000))
    assert mine.find_files(models) is None
    (models / "mmproj.gguf").write_bytes(bytes(1_004_321))
    assert mine.find_files(models) == (models / "mine" / "model.gguf", models / "mmproj.gguf")
    (models / "mine" / "model.gguf").write_bytes(b"abcd")
    assert mine.find_files(models) is None


def test_the_server_is_hugging_face_or_a_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert download_base() == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", " http://mirror.lan:8080/hf/ ")
    assert download_base() == "http://mirror.lan:8080/hf"
    for wrong in ("mirror.lan", "ftp://mirror.lan", "file:///models"):
        monkeypatch.setenv("HF_ENDPOINT", wrong)
        with pytest.raises(UsageError, match="is no address of a server"):
            download_base()


def test_memory_follows_from_the_headers(tmp_path: Path) -> None:
    shape = memory_shape(TEXT, MMPROJ)
    assert shape == MemoryShape(TEXT.stat().st_size + MMPROJ.stat().st_size, 3, 96, 96)
    assert shape.bytes_per_token() == 3 * 2 * 96 * 2
    # Grouped-query attention: all three heads share their keys.
    grouped = rewritten(
        TEXT, tmp_path / "grouped.gguf", metadata={"llama.attention.head_count_kv": 1}
    )
    assert memory_shape(grouped, MMPROJ).key_width * 3 == shape.key_width
    wide = rewritten(TEXT, tmp_path / "wide.gguf", metadata={"llama.attention.key_length": 100})
    assert memory_shape(wide, MMPROJ).key_width == 3 * 100


def test_a_split_model_needs_all_its_parts(tmp_path: Path) -> None:
    for part in (1, 2):
        rewritten(
            TEXT,
            tmp_path / f"big-{part:05}-of-00002.gguf",
            metadata={"split.count": 2, "split.no": part - 1},
        )
    both = sum(path.stat().st_size for path in tmp_path.iterdir())
    shape = memory_shape(tmp_path / "big-00001-of-00002.gguf", MMPROJ)
    assert shape.file_bytes == both + MMPROJ.stat().st_size


def test_llava_7b_needs_what_is_known_of_it() -> None:
    # Llama 2 7B: 0.5 MiB of cache a token.
    shape = MemoryShape(4_700_000_000, 32, 4096, 4096)
    assert shape.bytes_per_token() == 512 * 1024
    assert shape.need_bytes(1000, 4) - shape.need_bytes(1000, 2) == 2 * 1000 * 512 * 1024


def test_too_little_memory_is_said_before_loading() -> None:
    assert memory_warning("m", 5 * GB, Memory(16 * GB, 6 * GB)) == ""
    assert memory_warning("m", 9_100_000_000, Memory(16 * GB, 6 * GB), "s (about 1.1 GB)") == (
        "m needs about 9.1 GB, and 6.0 GB are free: close programs, or choose a smaller model: "
        "s (about 1.1 GB)."
    )
    with pytest.raises(ModelError, match=r"needs about 20\.0 GB, and this computer has 16\.0 GB"):
        memory_warning("m", 20 * GB, Memory(16 * GB, 6 * GB))


def test_smaller_models_are_proposed_largest_first() -> None:
    models = catalogue().values()
    assert smaller_models(models, 100 * GB, GB // 2) == ""
    proposed = smaller_models(models, 5 * GB, 3 * GB)
    assert proposed.count("(about") == 2
    assert "llava" not in proposed and proposed.startswith("smolvlm2-2.2b")
    assert smaller_models(models, catalogue()["smolvlm2-500m"].need_bytes(), 9 * GB) == ""


def test_whether_a_model_fits() -> None:
    model = catalogue()["llava-1.5-7b"]
    assert fit(model, Memory(16 * GB, 8 * GB)) == "fits"
    assert fit(model, Memory(16 * GB, 4 * GB)) == "tight"
    assert fit(model, Memory(4 * GB, 3 * GB)) == "too large"
    assert (gigabytes(999_999_999), gigabytes(1_000_000_000)) == ("1000 MB", "1.0 GB")
