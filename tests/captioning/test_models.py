"""GGUF files are checked before llama.cpp, which may end the process, sees them."""

import json
import pickle
import stat
import sys
import time
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf_files import MMPROJ, TEXT, rewritten

from photosearch.captioning.gguf_header import GgufHeader
from photosearch.captioning.model_store import ModelStore
from photosearch.captioning.models import (
    CaptionerConfig,
    Endpoint,
    LocalModel,
    ServerModel,
    check_gguf,
)
from photosearch.captioning.recipes import Recipe
from photosearch.errors import ModelError, UnavailableError, UsageError


def test_the_tiny_model_is_a_llava() -> None:
    facts = check_gguf(TEXT, MMPROJ)
    assert (facts.architecture, facts.projector, facts.image_side) == ("llama", "mlp", 96)
    assert facts.speaks_llava


def test_a_file_that_is_none(tmp_path: Path) -> None:
    empty, page = tmp_path / "empty.gguf", tmp_path / "page.gguf"
    empty.touch()
    page.write_text("<!DOCTYPE html><title>Login</title>" * 20)
    for path, reason in (
        (tmp_path / "absent.gguf", "There is no model file"),
        (tmp_path, "is a folder"),
        (empty, "is empty"),
        (page, "is not a GGUF file"),
    ):
        with pytest.raises(ModelError, match=reason):
            check_gguf(path, MMPROJ)
        with pytest.raises(ModelError, match=reason):
            check_gguf(TEXT, path)


@pytest.mark.parametrize("share", [0.0001, 0.001, 0.01, 0.5, 0.999])
def test_a_file_cut_short_at_any_point(share: float, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    for source in (TEXT, MMPROJ):
        whole = source.read_bytes()
        cut.write_bytes(whole[: max(8, int(len(whole) * share))])
        with pytest.raises(ModelError, match="cut short or damaged"):
            check_gguf(*((cut, MMPROJ) if source is TEXT else (TEXT, cut)))


def test_random_damage_to_a_header_gives_a_sentence_or_passes(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    damaged = tmp_path / "damaged.gguf"
    refused = 0
    for source in (TEXT, MMPROJ):
        whole = np.frombuffer(source.read_bytes(), np.uint8)
        for _ in range(100):
            data = whole.copy()
            places = rng.integers(4, 1200, 4)
            data[places] = rng.integers(0, 256, 4)
            damaged.write_bytes(data.tobytes())
            try:
                check_gguf(*((damaged, MMPROJ) if source is TEXT else (TEXT, damaged)))
            except ModelError as error:
                refused += 1
                assert str(error).endswith(".") and "damaged.gguf" in str(error)
    assert refused > 50


def test_an_impossible_count_is_refused_at_once(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.gguf"
    # Version 3, no tensors, one key "a": an array of 2^40 empty strings, with zeros to read.
    header = (3).to_bytes(4, "little") + (0).to_bytes(8, "little") + (1).to_bytes(8, "little")
    key = (1).to_bytes(8, "little") + b"a" + (9).to_bytes(4, "little") + (8).to_bytes(4, "little")
    bomb.write_bytes(b"GGUF" + header + key + (1 << 40).to_bytes(8, "little"))
    with bomb.open("r+b") as file:
        file.truncate(1 << 28)
    started = time.monotonic()
    with pytest.raises(ModelError, match="damaged"):
        check_gguf(bomb, MMPROJ)
    assert time.monotonic() - started < 1


def test_swapped_files_and_files_of_one_kind() -> None:
    with pytest.raises(ModelError, match="swapped"):
        check_gguf(MMPROJ, TEXT)
    with pytest.raises(ModelError, match=r"is an image projector \(mmproj\), not a language"):
        check_gguf(MMPROJ, MMPROJ)
    with pytest.raises(ModelError, match=r"is no image projector \(mmproj\)"):
        check_gguf(TEXT, TEXT)


def test_an_mmproj_that_can_not_see(tmp_path: Path) -> None:
    deaf = rewritten(MMPROJ, tmp_path / "audio.gguf", metadata={"clip.has_vision_encoder": False})
    bare = rewritten(MMPROJ, tmp_path / "bare.gguf", keep=lambda name: not name.startswith("v."))
    for path in (deaf, bare):
        with pytest.raises(ModelError, match="has no vision encoder"):
            check_gguf(TEXT, path)


@pytest.mark.parametrize(
    "missing",
    ["v.patch_embd.weight", "v.position_embd.weight", "v.blk.1.attn_q.weight", "v.blk.2.ln2.weight",
     "v.blk.3.ffn_down.weight", "mm.2.weight"],
)  # fmt: skip
def test_an_mmproj_without_a_tensor(missing: str, tmp_path: Path) -> None:
    path = rewritten(MMPROJ, tmp_path / "torn.gguf", keep=lambda name: name != missing)
    with pytest.raises(ModelError, match=f"lacks the tensor {missing}"):
        check_gguf(TEXT, path)


def test_a_model_without_a_tensor(tmp_path: Path) -> None:
    for missing in ("token_embd.weight", "blk.2.attn_norm.weight"):
        path = rewritten(TEXT, tmp_path / "torn.gguf", keep=missing.__ne__)
        with pytest.raises(ModelError, match=f"lacks the tensor {missing}"):
            check_gguf(path, MMPROJ)


def test_an_mmproj_for_another_model(tmp_path: Path) -> None:
    wide = rewritten(
        MMPROJ, tmp_path / "wide.gguf", change={"mm.2.weight": np.zeros((128, 96), np.float16)}
    )
    with pytest.raises(ModelError, match="vectors of 128 numbers, and the model takes 96"):
        check_gguf(TEXT, wide)


@pytest.mark.parametrize(
    ("projector", "matrix", "shape"),
    [
        ("idefics3", "mm.model.fc.weight", (128, 96)),
        ("internvl", "mm.model.mlp.3.weight", (128, 96)),
        ("gemma3", "mm.input_projection.weight", (96, 128)),
    ],
)
def test_an_mmproj_of_another_kind_for_another_model(
    projector: str, matrix: str, shape: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "other.gguf"
    for numbers, fits in ((np.zeros(shape, np.float16), False), (np.zeros((96, 96)), True)):
        writer = gguf.GGUFWriter(path, "clip")
        writer.add_bool("clip.has_vision_encoder", True)
        writer.add_string("clip.projector_type", projector)
        writer.add_tensor("v.patch_embd.weight", np.zeros((4, 4), np.float32))
        writer.add_tensor(matrix, numbers.astype(np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        if fits:
            assert check_gguf(TEXT, path).projector == projector
        else:
            with pytest.raises(ModelError, match="vectors of 128 numbers, and the model takes 96"):
                check_gguf(TEXT, path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("image_size", 120), ("patch_size", 16), ("embedding_length", 64), ("block_count", 5),
     ("attention.head_count", 7)],
)  # fmt: skip
def test_an_mmproj_that_contradicts_itself(key: str, value: int, tmp_path: Path) -> None:
    path = rewritten(MMPROJ, tmp_path / "odd.gguf", metadata={f"clip.vision.{key}": value})
    with pytest.raises(ModelError, match=r"contradict each other|lacks the tensor"):
        check_gguf(TEXT, path)


def test_unknown_projectors_are_left_to_llama_cpp(tmp_path: Path) -> None:
    new = rewritten(MMPROJ, tmp_path / "new.gguf", metadata={"clip.projector_type": "holographic"})
    facts = check_gguf(TEXT, new)
    assert facts.projector == "holographic"
    assert facts.image_side is None
    assert not facts.speaks_llava


def test_a_split_model_needs_its_first_part_and_all_others(tmp_path: Path) -> None:
    first = tmp_path / "big-00001-of-00002.gguf"
    rewritten(
        TEXT, first, keep=lambda name: "blk" in name, metadata={"split.count": 2, "split.no": 0}
    )
    with pytest.raises(ModelError, match=r"missing: big-00002-of-00002\.gguf"):
        check_gguf(first, MMPROJ)
    second = tmp_path / "big-00002-of-00002.gguf"
    rewritten(
        TEXT,
        second,
        keep=lambda name: "blk" not in name,
        metadata={"split.count": 2, "split.no": 1},
    )
    check_gguf(first, MMPROJ)
    with pytest.raises(ModelError, match="name the first part"):
        check_gguf(second, MMPROJ)


def test_an_adapter_is_no_model(tmp_path: Path) -> None:
    path = rewritten(TEXT, tmp_path / "lora.gguf", metadata={"general.type": "adapter"})
    with pytest.raises(ModelError, match="LoRA"):
        check_gguf(path, MMPROJ)


def test_a_large_vocabulary_takes_no_time(tmp_path: Path) -> None:
    path = tmp_path / "large.gguf"
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_token_list([f"token{number}" for number in range(150_000)])
    writer.add_token_scores([0.0] * 150_000)
    writer.add_uint32("qwen2.embedding_length", 32)
    writer.add_tensor("token_embd.weight", np.zeros((10, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    started = time.monotonic()
    header = GgufHeader(path)
    assert time.monotonic() - started < 2
    assert header.shapes == {"token_embd.weight": (32, 10)}
    assert header.number("qwen2.embedding_length") == 32
    assert "tokenizer.ggml.tokens" in header.keys


def test_models_are_remembered_used_and_forgotten(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "library" / "models.json")
    assert store.list() == []
    assert store.in_use() is None

    first = store.use(TEXT, MMPROJ)
    assert first.name == "tiny-llava-text-f16"
    second = store.use(TEXT, MMPROJ, "second")
    again = ModelStore(tmp_path / "library" / "models.json")
    assert again.in_use() == second
    assert again.list() == [second, first]
    assert again.select("tiny-llava-text-f16") == first
    assert store.in_use() == first

    assert store.remove("tiny-llava-text-f16") == first
    assert store.in_use() is None
    assert store.list() == [second]
    assert TEXT.exists() and MMPROJ.exists()
    assert [path.name for path in (tmp_path / "library").iterdir()] == ["models.json"]


def test_names_are_unique_and_known(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models.json")
    with pytest.raises(UsageError, match="called x; known models: none yet"):
        store.remove("x")
    known = store.use(TEXT, MMPROJ, "a")
    store.use(TEXT, MMPROJ, "b")
    assert store.use(TEXT, MMPROJ, "a") == known == store.in_use()
    assert len(store.list()) == 2
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(TEXT.read_bytes())
    with pytest.raises(UsageError, match="Another model is called a"):
        store.use(copy, MMPROJ, "a")
    for unknown in (store.remove, store.select):
        with pytest.raises(UsageError, match="known models: a, b"):
            unknown("c")
    for name in ("", "  ", "a\nb"):
        with pytest.raises(UsageError, match="name"):
            store.use(TEXT, MMPROJ, name)


def test_files_are_kept_as_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TEXT.parent)
    store = ModelStore(tmp_path / "models.json")
    store.use(Path(TEXT.name), Path(MMPROJ.name))
    monkeypatch.chdir(tmp_path)
    config = store.in_use()
    assert config is not None
    assert (config.model, config.mmproj) == (TEXT, MMPROJ)


def test_a_file_name_of_any_bytes_is_remembered(tmp_path: Path) -> None:
    odd = tmp_path / "mod\udcffel \U0001f4f7.gguf"
    odd.write_bytes(TEXT.read_bytes())
    store = ModelStore(tmp_path / "models.json")
    store.use(odd, MMPROJ, "odd")
    config = store.in_use()
    assert config is not None
    assert config.model == odd


def test_a_bad_pair_is_not_remembered(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models.json")
    with pytest.raises(ModelError):
        store.use(MMPROJ, TEXT)
    assert store.list() == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"models": []}', '{"models": [{}], "in_use": ""}', "\udcff",
             '{"models": [], "in_use": 3}']
)  # fmt: skip
def test_a_damaged_list_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UnavailableError, match=r"models\.json, is damaged: delete it"):
        ModelStore(path).list()


def test_a_failed_write_keeps_the_old_list(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    store = ModelStore(path)
    store.use(TEXT, MMPROJ, "a")
    before = json.loads(path.read_text())
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(UnavailableError, match="can't be written"):
        ModelStore(blocked / "models.json")._save({}, "")
    assert json.loads(path.read_text()) == before


def test_a_list_of_the_first_versions_is_read(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    old = {
        "name": "a",
        "model": str(TEXT),
        "mmproj": str(MMPROJ),
        "prompt": "Describe this image in detail.",
        "max_tokens": 200,
        "threads": None,
        "gpu_layers": -1,
    }
    path.write_text(json.dumps({"in_use": "a", "models": [old]}))
    store = ModelStore(path)
    assert store.in_use() == LocalModel("a", TEXT, MMPROJ)
    store.use(TEXT, MMPROJ, "b")
    assert [known.name for known in store.list()] == ["a", "b"]
    assert set(json.loads(path.read_text())["models"][0]) == {"name", "model", "mmproj"}


def test_a_local_model_becomes_a_config_for_a_worker() -> None:
    config = LocalModel("a", TEXT, MMPROJ).config(
        Recipe("What?"), threads=3, gpu_layers=7, sequences=4, cache=Path("cache")
    )
    assert config == CaptionerConfig("a", TEXT, MMPROJ, Recipe("What?"), 3, 7, 4, Path("cache"))
    assert pickle.loads(pickle.dumps(config)) == config


TWO_SERVERS = ServerModel(
    "fleet",
    (
        Endpoint("http://box:8080/v1", "llava", 8, key_env="BOX_KEY"),
        Endpoint("https://other.example/v1", key="secret"),
    ),
)


def test_models_on_servers_are_remembered_beside_local_ones(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models.json")
    local = store.use(TEXT, MMPROJ, "local")
    assert store.use_server(TWO_SERVERS) == TWO_SERVERS == store.in_use()
    again = ModelStore(tmp_path / "models.json")
    assert again.list() == [TWO_SERVERS, local]
    assert again.select("local") == local
    assert again.select("fleet") == TWO_SERVERS
    fewer = ServerModel("fleet", TWO_SERVERS.endpoints[:1])
    assert again.use_server(fewer) == again.in_use() == fewer
    assert again.remove("fleet") == fewer
    assert again.in_use() is None
    assert "secret" not in repr(TWO_SERVERS)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    path.write_text('{"in_use": "", "models": []}')
    path.chmod(0o644)
    ModelStore(path).use_server(TWO_SERVERS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "url",
    [
        "",
        "box",
        "box:8080",
        "ftp://box",
        "http://",
        "http://box:port",
        "file:///etc",
        "http://[::1",
    ],
)
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models.json")
    with pytest.raises(UsageError, match="is no address of a server"):
        store.use_server(ServerModel("a", (Endpoint(url),)))
    assert store.list() == []


def test_servers_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models.json")
    store.use(TEXT, MMPROJ, "local")
    for server, reason in (
        (ServerModel("a", ()), "at least one server"),
        (ServerModel("a", (Endpoint("http://me:secret@box"),)), "Give the key of box"),
        (ServerModel("a", (Endpoint("http://box", concurrency=0),)), "1 to 256 requests"),
        (ServerModel("local", (Endpoint("http://box"),)), "on this computer is called local"),
        (ServerModel(" ", (Endpoint("http://box"),)), "at least one letter"),
        (ServerModel("instant-1", (Endpoint("http://box"),)), "instant tagger's name"),
    ):
        with pytest.raises(UsageError, match=reason):
            store.use_server(server)
    store.use_server(ServerModel("a", (Endpoint("http://box"),)))
    with pytest.raises(UsageError, match="Another model is called a"):
        store.use(TEXT, MMPROJ, "a")
