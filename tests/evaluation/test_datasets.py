import gzip
import hashlib
import json

import pytest

from photosearch.caption_lines import caption_line
from photosearch.domain import Caption
from photosearch.errors import UsageError
from photosearch.evaluation import datasets
from photosearch.evaluation.datasets import EvaluationSet, Item, join_captions, read


def test_coco(tmp_path):
    instances = tmp_path / "instances_val.json"
    instances.write_text(
        json.dumps(
            {
                "info": {"year": 2017},
                "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
                "categories": [{"id": 1, "name": "dog"}, {"id": 90, "name": "hot dog"}],
                "annotations": [
                    {"image_id": 9, "category_id": 90, "bbox": [0, 0, 1, 1]},
                    {"image_id": 9, "category_id": 1},
                    {"image_id": 9, "category_id": 90},
                ],
            }
        )
    )
    human = tmp_path / "captions.json"
    said = [{"image_id": 7, "caption": " A cat. "}, {"image_id": 7, "caption": "No cat."}]
    human.write_text(json.dumps({"images": [], "annotations": said}))
    data = read(instances, human=human)
    assert data.name == "instances_val"
    assert data.items == (
        Item("a.jpg", captions=("A cat.", "No cat.")),
        Item("b.jpg", ("hot dog", "dog")),
    )
    assert {label: n.tolist() for label, n in data.relevant().items()} == {
        "dog": [1],
        "hot dog": [1],
    }


def test_karpathys_lists(tmp_path):
    path = tmp_path / "dataset_flickr30k.json"
    rows = [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "one"}]},
        {"filename": "b.jpg", "split": "test", "sentences": [{"raw": "two"}, {"raw": " three"}]},
    ]
    path.write_text(json.dumps({"dataset": "flickr30k", "images": rows}))
    assert read(path).items == (Item("b.jpg", captions=("two", "three")),)
    assert [item.name for item in read(path, split="train").items] == ["a.jpg"]


OBJECT = "<object><name>{}</name><difficult>{}</difficult></object>"


def write_voc(folder, photos, test=()):
    (folder / "Annotations").mkdir(parents=True)
    (folder / "JPEGImages").mkdir()
    for name, objects in photos.items():
        things = "".join(OBJECT.format(*thing) for thing in objects)
        (folder / "Annotations" / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename>{things}</annotation>"
        )
    if test:
        (folder / "ImageSets" / "Main").mkdir(parents=True)
        (folder / "ImageSets" / "Main" / "test.txt").write_text("\n".join(test) + "\n")


def test_voc(tmp_path):
    folder = tmp_path / "VOC2007"
    photos = {
        "000001": [("dog", 0), ("person", 1), ("dog", 1)],
        "000002": [("person", 0)],
        "000003": [("car", 0)],
    }
    write_voc(folder, photos, test=("000001", "000002"))
    (folder / "JPEGImages" / "000002.jpg").write_bytes(b"")
    data = read(folder)
    assert data.items == (
        Item("000001.jpg", ("dog",), difficult=("person",)),
        Item("000002.jpg", ("person",), picture=folder / "JPEGImages" / "000002.jpg"),
    )
    assert data.with_difficult().items[0].labels == ("dog", "person")
    write_voc(tmp_path / "other", photos)
    assert len(read(tmp_path / "other")) == 3


def write_nus(folder):
    (folder / "ImageList").mkdir(parents=True)
    (folder / "Groundtruth").mkdir()
    (folder / "ImageList" / "Imagelist.txt").write_text("actor\\1.jpg\nzoo\\2.jpg\nzoo\\3.jpg\n")
    (folder / "ImageList" / "TestImagelist.txt").write_text("zoo\\2.jpg\n")
    for name, lines in {
        "Labels_sky": "1\n0\n0\n",
        "Labels_water": "1\n0\n1 \n",
        "Labels_sky_Test": "1\n",
    }.items():
        (folder / "Groundtruth" / f"{name}.txt").write_text(lines)


def test_nus_wide_has_the_concepts_that_the_folder_holds(tmp_path):
    write_nus(tmp_path)
    assert read(tmp_path).items == (
        Item("actor/1.jpg", ("sky", "water")),
        Item("zoo/3.jpg", ("water",)),
    )
    assert read(tmp_path, split="Test").items == (Item("zoo/2.jpg", ("sky",)),)


def test_flickr30k(tmp_path):
    path = tmp_path / "results.token"
    path.write_text("1.jpg#0\tA dog #1 .\n1.jpg#1\tA hound\n2.jpg#0\tA cat\n")
    assert read(path).items == (
        Item("1.jpg", captions=("A dog #1 .", "A hound")),
        Item("2.jpg", captions=("A cat",)),
    )


def test_json_lines_take_the_first_caption_of_a_view(tmp_path):
    path = tmp_path / "set.jsonl.gz"
    (tmp_path / "a.jpg").write_bytes(b"")
    rows = [
        {"image_id": 5, "labels": ["dog", "dog"], "caption": "first", "model": "m"},
        {"image_id": 5, "labels": ["dog"], "caption": "second"},
        {"image_id": 5, "caption": "left", "view": "half-left"},
        {"file": "a.jpg", "id": "a", "labels": None, "captions": [" by a person "]},
    ]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows)) + "\n\n")
    data = read(path)
    assert data.name == "set"
    assert data.items == (
        Item(
            "5",
            ("dog",),
            documents=(
                Caption(0, "whole", "m", "", "first"),
                Caption(0, "half-left", "model", "", "left"),
            ),
        ),
        Item("a.jpg", captions=("by a person",), picture=tmp_path / "a.jpg"),
    )


def test_captions_are_joined_by_content_and_by_name(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "1.jpg").write_bytes(b"one")
    (photos / "2.jpg").write_bytes(b"two")
    data = EvaluationSet("set", (Item("zoo/1.jpg", ("dog",)), Item("2.jpg"), Item("3.jpg")))
    lines = [
        caption_line(hashlib.sha256(b"one").digest(), Caption(0, "whole", "m", "p", "A dog.")),
        caption_line(hashlib.sha256(b"other").digest(), Caption(0, "whole", "m", "p", "A cat.")),
        json.dumps({"file_name": "a/2.jpg", "text": "A bird.", "view": "ninth-1-1"}),
    ]
    exported = tmp_path / "captions.jsonl"
    exported.write_text("\n".join(lines))
    joined = join_captions(data, exported, photos)
    assert [(i.name, i.labels, [(c.view, c.text) for c in i.documents]) for i in joined.items] == [
        ("zoo/1.jpg", ("dog",), [("whole", "A dog.")]),
        ("2.jpg", (), [("ninth-1-1", "A bird.")]),
    ]
    with pytest.raises(UsageError, match="--photos"):
        join_captions(data, exported)
    exported.write_text(lines[1])
    with pytest.raises(UsageError, match="None of the captions"):
        join_captions(data, exported, photos)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.txt", b"", "no data set that photosearch knows"),
        ("x.json", b"{", "not in COCO's form"),
        ("x.json", b'{"images": [{"id": "a"}]}', "not in COCO's form: Expected `int`"),
        ("x.json", b'{"images": []}', "holds no photos"),
        (
            "x.json",
            b'{"images": [], "annotations": [{"image_id": 1, "category_id": 5}]}',
            "names the category 5",
        ),
        ("x.token", b"a.jpg#0\tyes\nb.jpg no", "x.token, line 2: it should read"),
        ("x.token", b"a.jpg#0\tyes\n\xff", "no UTF-8"),
        ("x.jsonl", b'{"id": 1}\n{"labels": []}', "x.jsonl, line 2: it names no photo"),
        ("x.jsonl", b'{"id": 1}\n[]', "x.jsonl, line 2: Expected `object`"),
        ("x.jsonl.gz", b"not gzipped", "can't be read"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path, name, content, says):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        read(path)
    assert says in str(raised.value)
    assert name in str(raised.value)


def test_what_is_wrong_in_a_folder_is_said_with_file_and_line(tmp_path):
    with pytest.raises(UsageError, match="no folder of PASCAL VOC"):
        read(tmp_path)
    nus = tmp_path / "nus"
    write_nus(nus)
    sky = nus / "Groundtruth" / "Labels_sky.txt"
    for lines, says in (
        ("1\n0\n", "has 2 lines"),
        ("1\n2\n0\n", "line 2: neither"),
        ("1\n" * 4, "line 4: more"),
    ):
        sky.write_text(lines)
        with pytest.raises(UsageError, match=says):
            read(nus)
    voc = tmp_path / "voc"
    write_voc(voc, {"1": [("dog", 0)]})
    (voc / "Annotations" / "1.xml").write_text("<annotation>\n<object>")
    with pytest.raises(UsageError, match=r"1\.xml, line 2: no XML"):
        read(voc)
    with pytest.raises(UsageError, match=r"val\.txt can't be read: No such file"):
        read(voc, split="val")


def test_halves_part_the_set():
    data = EvaluationSet("set", tuple(Item(str(n)) for n in range(5)))
    assert [[item.name for item in data.half(n).items] for n in (0, 1)] == [
        ["0", "2", "4"], ["1", "3"]
    ]  # fmt: skip


def test_people_are_several_witnesses_of_the_whole_photo():
    first, second = datasets.human_documents(["a dog", "a hound"])
    assert (first.view, second.view) == ("whole", "whole")
    assert first.model != second.model
