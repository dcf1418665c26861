"""Mended copies of CLIP projectors: what llama.cpp makes of them, and how they are made."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf_files import MMPROJ as TINY_MMPROJ
from gguf_files import TEXT

from photosearch.captioning import mending
from photosearch.captioning.gguf_header import GgufHeader
from photosearch.captioning.llama import selftest
from photosearch.captioning.llama.tiny_towers import SIDE, TinyTower, write_text_model
from photosearch.captioning.mending import (
    Defect,
    Family,
    Mends,
    in_place,
    lacks_first_patch,
    mend,
    mended_copy,
    needed_mends,
    remove_copies,
)
from photosearch.errors import DiskFullError, ModelError, UnavailableError

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parent / "data"
# A random CLIP tower of four layers, of which the file holds three, and torch's vectors.
CLIP_MMPROJ = DATA / "random-clip-mmproj-f16.gguf"
BOTH = Defect.CLASS_TOKEN | Defect.LAYER
BOTH_MENDS = Mends(True, 3)


def script(name, *arguments):
    return subprocess.run(
        [sys.executable, f"tests/benchmarks/{name}.py", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def cosine(a, b):
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return float(((a * b).sum(-1) / lengths).mean())


def files_below(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def copies_in(cache):
    return [name for name in files_below(cache) if not name.endswith(".lock")]


@pytest.fixture(scope="module")
def tried():
    return {result.family: result for result in selftest.self_test_apart()}


@pytest.fixture
def mmproj(tmp_path):
    return Path(shutil.copy(CLIP_MMPROJ, tmp_path / "mmproj-model-f16.gguf"))


# --- what llama.cpp makes of it -------------------------------------------------------------------


def test_mended_vectors_are_torchs(tmp_path, tried):
    script("mended_mmproj", "--json", str(tmp_path / "figures.json"))
    figures = json.loads((tmp_path / "figures.json").read_text())
    converted = figures["as converted"]
    if tried[Family.LLAVA].defects == Defect.NONE:
        assert converted["same row"] > 0.999
        return
    assert tried[Family.LLAVA].defects == BOTH
    assert max(converted.values()) < 0.7
    assert max(figures["feature_layer"].values()) < 0.8
    assert max(figures["positions rotated"].values()) < 0.9
    assert figures["both: the mended copy"]["one row shifted"] > 0.999
    placed = figures["both, each vector in its place"]
    assert placed["same row, but the first"] > 0.999
    # 35 of 36 patches are right, and a neighbour is better than nothing.
    assert placed["same row"] > 35 / 36


@pytest.mark.slow
def test_the_stored_vectors_are_torchs():
    pytest.importorskip("torch")
    script("mended_mmproj", "--verify")


def test_mended_captions_are_right(tmp_path, tried):
    """The trained tiny LLaVA with a class token, through the captioner as the app runs it."""
    script("mended_captions", "--pictures", "40", "--json", str(tmp_path / "figures.json"))
    figures = json.loads((tmp_path / "figures.json").read_text())
    mended, sound = figures["with class token, mended"], figures["without class token"]
    assert mended > 0.75
    assert abs(mended - sound) <= 0.05
    if tried[Family.LLAVA].defects == BOTH:
        assert figures["with class token, as converted"] < 0.5


def test_the_self_test_tells_what_the_installed_llama_cpp_does(tried):
    # 0.3.36 is pinned. When another is, and shows pictures rightly, these become NONE.
    llava, internvl = tried[Family.LLAVA], tried[Family.INTERNVL]
    assert llava.defects == BOTH
    assert not llava.class_token_ok
    assert not llava.layer_count_ok
    assert llava.cosine < 0.9
    assert internvl.defects == Defect.CLASS_TOKEN
    assert not internvl.class_token_ok
    assert internvl.layer_count_ok
    assert internvl.cosine < 0.9
    fine, sentence = selftest.explain()
    assert fine
    assert sentence.startswith("The installed llama.cpp (llama-cpp-python 0.3.36) shows")
    assert "to LLaVA with each part in its neighbour's place and one layer too early" in sentence
    assert "to InternVL with each part in its neighbour's place (" in sentence
    assert sentence.count("mended copy") == 2


@pytest.mark.parametrize(
    ("family", "defects"),
    [(family, defects) for family in Family for defects in TinyTower(family).defects],
)
def test_the_self_test_knows_each_defect_by_its_vectors(monkeypatch, family, defects):
    def other_program(model, mmproj, pixels):
        return [TinyTower(family).vectors(pixels, defects)]

    monkeypatch.setattr(selftest, "encode", other_program)
    assert selftest.self_test(family).defects == defects


@pytest.mark.parametrize("family", Family)
def test_the_tiny_towers_are_right_once_mended(tmp_path, family):
    tower = TinyTower(family)
    write_text_model(tmp_path / "text.gguf")
    tower.write(tmp_path / "tower.gguf")
    usable = selftest.usable_mmproj(tmp_path / "tower.gguf", tmp_path / "cache")
    pixels = np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    (vectors,) = selftest.encode(tmp_path / "text.gguf", usable, pixels)
    reference = tower.vectors(pixels, Defect.NONE)
    if lacks_first_patch(GgufHeader(usable)):
        vectors, reference = in_place(vectors)[1:], reference[1:]
    assert cosine(vectors, reference) > 0.999
    # InternVL's graph drops the class token, wherever it stands: nothing is lost.
    assert len(vectors) == 16 - (family is Family.LLAVA)


def test_an_unknown_fault_is_not_mended(monkeypatch, mmproj, tmp_path):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(selftest, "encode", lambda *_: [rng.random((16, 32), np.float32)])
    tried = selftest.self_test()
    assert tried.defects is None
    assert not (tried.class_token_ok or tried.layer_count_ok)
    assert "can't be mended" in tried.finding()
    assert selftest.usable_mmproj(mmproj, tmp_path / "cache") == mmproj
    assert not (tmp_path / "cache").exists()


def test_a_sound_llama_cpp_gets_the_file_as_it_is(monkeypatch, mmproj, tmp_path):
    sound = selftest.SelfTest(Family.LLAVA, 1.0, Defect.NONE)
    monkeypatch.setattr(selftest, "self_test", lambda family: sound)
    assert "as it should" in sound.finding()
    assert selftest.usable_mmproj(mmproj, tmp_path / "cache") == mmproj


def test_a_llama_cpp_that_fails_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("MTMD_CPP_LIB", str(tmp_path / "nothing"))
    with pytest.raises(UnavailableError, match="install it anew"):
        selftest.self_test_apart()
    assert selftest.explain()[0] is False


def test_each_square_of_llava_16_is_mended(tmp_path):
    """LLaVA 1.6 cuts a picture into squares, each of which goes through the same tower."""
    stored = np.load(DATA / "random-clip-reference.npz")
    side = stored["pictures"].shape[1]
    llava16 = variant(tmp_path / "1.6.gguf", pinpoints=[side, 2 * side, 2 * side, 2 * side])
    cache = tmp_path / "cache"
    usable = selftest.usable_mmproj(llava16, cache)
    first, second, third, fourth = stored["pictures"]
    picture = np.vstack((np.hstack((first, second)), np.hstack((third, fourth))))
    *squares, overview = selftest.encode(TEXT, usable, np.ascontiguousarray(picture))
    assert len(squares) == 4
    assert overview.shape == squares[0].shape
    for vectors, reference in zip(squares, stored["vectors"], strict=True):
        assert cosine(in_place(vectors)[1:], reference[1:]) > 0.999
    assert lacks_first_patch(GgufHeader(usable))


# --- which files ---------------------------------------------------------------------------------


def variant(path, *, pinpoints=None, leave_out=(), block_count=None, width=None, extra=()):
    """Write the random CLIP tower anew, changed; another `width` only in name and positions."""
    reader = gguf.GGUFReader(CLIP_MMPROJ)
    writer = gguf.GGUFWriter(path, "clip")
    changed = dict(extra)
    if block_count is not None:
        changed["clip.vision.block_count"] = block_count
    if width is not None:
        changed["clip.vision.embedding_length"] = width
    for key, field in reader.fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            value = changed.pop(key, field.contents())
            writer.add_key_value(key, value, field.types[0], field.types[-1])
    for key, value in changed.items():
        writer.add_array(key, value)
    if pinpoints is not None:
        writer.add_array("clip.vision.image_grid_pinpoints", pinpoints)
        writer.add_string("clip.vision.mm_patch_merge_type", "spatial_unpad")
        writer.add_tensor("model.image_newline", np.arange(96, dtype=np.float32))
    for tensor in reader.tensors:
        if tensor.name not in leave_out:
            writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize(
    ("changes", "defects", "mends"),
    [
        ({}, BOTH, Mends(True, 3)),
        ({}, Defect.CLASS_TOKEN, Mends(True)),
        ({}, Defect.LAYER, Mends(False, 3)),
        ({}, Defect.NONE, Mends()),
        ({"extra": {"clip.projector_type": "mlp_norm"}}, BOTH, Mends(True, 3)),
        ({"extra": {"clip.projector_type": "ldp"}}, BOTH, Mends(True, 3)),
        ({"extra": {"clip.projector_type": "ldpv2"}}, BOTH, Mends(True, 3)),
        ({"extra": {"clip.projector_type": "internvl"}}, Defect.CLASS_TOKEN, Mends(True)),
        ({"extra": {"clip.projector_type": "cogvlm"}}, BOTH, Mends()),
        ({"leave_out": {"v.class_embd"}}, BOTH, Mends()),
        # Newer converters name the layer.
        ({"extra": {"clip.vision.feature_layer": [3]}}, BOTH, Mends(True)),
        # CLIP ViT-L has 24 layers, of which LLaVA takes the output of the 23rd.
        ({"width": 1024, "block_count": 23}, BOTH, Mends(True, 23)),
        ({"width": 1024, "block_count": 24}, BOTH, Mends(True)),
        ({"width": 1024, "block_count": 24}, Defect.NONE, Mends(False, 23)),
        ({"width": 1024, "block_count": 23}, Defect.NONE, Mends()),
    ],
)
def test_what_is_mended_depends_on_file_and_llama_cpp(tmp_path, changes, defects, mends):
    header = GgufHeader(variant(tmp_path / "changed.gguf", **changes))
    assert needed_mends(header, defects) == mends


def test_a_tower_without_class_token_is_left_alone(tmp_path, monkeypatch):
    def never(family):
        raise AssertionError("tried for nothing")

    monkeypatch.setattr(selftest, "self_test", never)
    assert selftest.usable_mmproj(TINY_MMPROJ, tmp_path / "cache") == TINY_MMPROJ
    assert not (tmp_path / "cache").exists()


def test_a_mended_copy_is_not_mended_again(mmproj, tmp_path):
    copy = mended_copy(mmproj, tmp_path / "cache", BOTH_MENDS)
    assert selftest.usable_mmproj(copy, tmp_path / "other") == copy
    with pytest.raises(ModelError, match="nothing that could be mended"):
        mend(copy, tmp_path / "twice.gguf", BOTH_MENDS)


# --- the copy ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pinpoints", [None, [84, 168, 168, 84, 168, 168]])
def test_everything_else_is_kept_byte_by_byte(tmp_path, pinpoints):
    original = variant(tmp_path / "original.gguf", pinpoints=pinpoints)
    before = original.read_bytes()
    target = tmp_path / "mended.gguf"
    mend(original, target, BOTH_MENDS)
    assert original.read_bytes() == before
    old, new = gguf.GGUFReader(original), gguf.GGUFReader(target)
    added = new.fields.keys() - old.fields.keys()
    assert added == {
        "clip.vision.feature_layer",
        "photosearch.mended",
        "photosearch.mended.source",
        "photosearch.rotated",
    }
    assert new.fields["clip.vision.feature_layer"].contents() == [3]
    source = new.fields["photosearch.mended.source"].contents()
    assert source == f"{len(before)} bytes, SHA-256 {hashlib.sha256(before).hexdigest()}"
    for key, field in old.fields.items():
        if key != "GGUF.kv_count":
            assert new.fields[key].contents() == field.contents(), key
            assert new.fields[key].types == field.types, key
    assert [t.name for t in new.tensors] == [t.name for t in old.tensors]
    for mine, theirs in zip(new.tensors, old.tensors, strict=True):
        assert mine.tensor_type == theirs.tensor_type
        assert (mine.shape == theirs.shape).all()
        data = np.roll(theirs.data, -1, 0) if mine.name == "v.position_embd.weight" else theirs.data
        assert mine.data.tobytes() == data.tobytes(), mine.name


def test_the_second_call_does_nothing(mmproj, tmp_path):
    cache = tmp_path / "cache"
    first = selftest.usable_mmproj(mmproj, cache)
    status = first.stat()
    assert selftest.usable_mmproj(mmproj, cache) == first
    assert (first.stat().st_ino, first.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    assert copies_in(cache) == [first.name]


def test_another_original_replaces_its_copy_and_no_other(mmproj, tmp_path):
    cache = tmp_path / "cache"
    (tmp_path / "13b").mkdir()
    other = Path(shutil.copy(mmproj, tmp_path / "13b" / mmproj.name))
    others = mended_copy(other, cache, BOTH_MENDS)
    first = mended_copy(mmproj, cache, BOTH_MENDS)
    assert others != first
    variant(mmproj, pinpoints=[84, 168])
    second = mended_copy(mmproj, cache, BOTH_MENDS)
    assert second != first
    assert copies_in(cache) == sorted([second.name, others.name])
    assert "clip.vision.image_grid_pinpoints" in GgufHeader(second).keys


def test_a_damaged_copy_is_made_anew(mmproj, tmp_path):
    copy = mended_copy(mmproj, tmp_path / "cache", BOTH_MENDS)
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1000])
    assert mended_copy(mmproj, tmp_path / "cache", BOTH_MENDS) == copy
    assert copy.read_bytes() == whole


@pytest.mark.parametrize("kept", [0, 3, 200, 4000, 300_000])
def test_a_truncated_original_is_refused(mmproj, tmp_path, kept):
    mmproj.write_bytes(mmproj.read_bytes()[:kept])
    with pytest.raises(ModelError):
        selftest.usable_mmproj(mmproj, tmp_path / "cache")
    with pytest.raises(ModelError):
        mended_copy(mmproj, tmp_path / "cache", BOTH_MENDS)
    assert copies_in(tmp_path / "cache") == []


def test_an_absent_original_is_said(tmp_path):
    for make in (selftest.usable_mmproj, lambda a, b: mended_copy(a, b, BOTH_MENDS)):
        with pytest.raises(ModelError, match="no model file"):
            make(tmp_path / "absent.gguf", tmp_path / "cache")


def test_an_original_that_is_being_written_is_not_used(mmproj, tmp_path, monkeypatch):
    copy = shutil.copyfileobj

    def meanwhile(*arguments):
        copy(*arguments)
        os.utime(mmproj, ns=(1, 1))

    monkeypatch.setattr(shutil, "copyfileobj", meanwhile)
    with pytest.raises(UnavailableError, match="being written"):
        mended_copy(mmproj, tmp_path / "cache", BOTH_MENDS)
    assert copies_in(tmp_path / "cache") == []


def test_a_cache_that_cannot_be_written_is_said(mmproj, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UnavailableError, match="could be made"):
        mended_copy(mmproj, tmp_path / "cache", BOTH_MENDS)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder],
        check=False,
        capture_output=True,
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_is_too_small_is_said_before(mmproj, small_disk):
    with pytest.raises(DiskFullError, match="0 MiB are free"):
        mended_copy(mmproj, small_disk / "cache", BOTH_MENDS)
    assert copies_in(small_disk / "cache") == []


def test_a_disk_that_fills_up_meanwhile_is_said(mmproj, small_disk, monkeypatch):
    # As if others took the room after it was looked for.
    monkeypatch.setattr(mending, "_check_space", lambda mmproj, folder: None)
    with pytest.raises(DiskFullError, match="Make room"):
        mended_copy(mmproj, small_disk / "cache", BOTH_MENDS)
    assert copies_in(small_disk / "cache") == []


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from photosearch.captioning.mending import Mends, mended_copy

def half(original, copy, size):
    copy.write(original.read(100_000))
    copy.flush()
    os.kill(os.getpid(), signal.SIGKILL)

shutil.copyfileobj = half
mended_copy(Path(sys.argv[1]), Path(sys.argv[2]), Mends(True, 3))
"""


def test_a_kill_leaves_no_half_file_in_use(mmproj, tmp_path):
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", KILLED, str(mmproj), str(cache)]
    killed = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == -9
    (half,) = copies_in(cache)
    assert half.endswith(".new")
    copy = mended_copy(mmproj, cache, BOTH_MENDS)
    assert copies_in(cache) == [copy.name]
    assert copy.stat().st_size > mmproj.stat().st_size


MADE = """
import sys
from pathlib import Path
from photosearch.captioning.mending import Mends, mended_copy
sys.stdin.readline()
print(mended_copy(Path(sys.argv[1]), Path(sys.argv[2]), Mends(True, 3)))
"""


def test_processes_that_ask_at_once_get_the_same_copy(mmproj, tmp_path):
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", MADE, str(mmproj), str(cache)]
    makers = [
        subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for maker in makers:
        maker.stdin.write("\n")
        maker.stdin.flush()
    answers = {maker.communicate(timeout=60)[0].strip() for maker in makers}
    assert [maker.returncode for maker in makers] == [0, 0, 0]
    (copy,) = answers
    assert copies_in(cache) == [Path(copy).name]
    expected = tmp_path / "expected.gguf"
    mend(mmproj, expected, BOTH_MENDS)
    assert Path(copy).read_bytes() == expected.read_bytes()


def test_copies_go_with_their_model(tmp_path):
    original = tmp_path / "mine.gguf"
    shutil.copy(CLIP_MMPROJ, original)
    cache = tmp_path / "cache"
    copy = mended_copy(original, cache, BOTH_MENDS)
    other = mended_copy(CLIP_MMPROJ, cache, BOTH_MENDS)
    assert remove_copies(original, cache) >= original.stat().st_size
    assert not copy.exists()
    assert other.exists()
    assert original.exists()
    assert remove_copies(original, tmp_path / "none") == 0
