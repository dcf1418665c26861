import json
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from photosearch.domain import PictureInfo
from photosearch.imaging.metadata import camera_name, date_taken
from photosearch.imaging.thumbnails import scan_picture

DIFFICULT = Path(__file__).parents[2].parent / "shared" / "photos" / "difficult"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def scanned(path: Path) -> PictureInfo:
    return scan_picture(path, lambda sha256: path.with_suffix(".thumbnail"))


def xmp(attributes: str = "", children: str = "") -> bytes:
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
        <x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description
        rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
        xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"
        xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
        xmlns:Iptc4xmpCore="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/" {attributes}>{children}
        </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


def iptc_segment(fields: dict[int, bytes]) -> bytes:
    """Return a JPEG's APP13 with these datasets of record 2."""
    data = b"".join(
        b"\x1c\x02" + bytes([number]) + len(value).to_bytes(2, "big") + value
        for number, value in fields.items()
    )
    block = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(data).to_bytes(4, "big") + data
    return b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block


def with_iptc(path: Path, fields: dict[int, bytes], packet: bytes = b"") -> Path:
    Image.new("RGB", (8, 8)).save(path, xmp=packet)
    jpeg = path.read_bytes()
    path.write_bytes(jpeg[:2] + iptc_segment(fields) + jpeg[2:])
    return path


def taken_in(path: Path, exif: Image.Exif) -> str:
    Image.new("RGB", (8, 8)).save(path, exif=exif.tobytes())
    return scan_picture(path, lambda sha256: path.with_suffix(".thumbnail")).taken


def exif_with(
    taken: str | None = None, digitized: str | None = None, changed: str | None = None
) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    dates = {ExifTags.Base.DateTimeOriginal: taken, ExifTags.Base.DateTimeDigitized: digitized}
    sub_ifd = exif.get_ifd(ExifTags.IFD.Exif)
    sub_ifd.update({tag: date for tag, date in dates.items() if date is not None})
    if changed is not None:
        exif[ExifTags.Base.DateTime] = changed
    return exif


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2008:05:30 15:56:01", "2008-05-30T15:56:01"),
        ("2008-05-30 15:56:01", "2008-05-30T15:56:01"),
        ("2008/05/30 15:56", "2008-05-30T15:56:00"),
        ("2008:05:30", "2008-05-30T00:00:00"),
        ("2008:05:30T15:56:01.123+02:00", "2008-05-30T15:56:01"),
        ("1901:01:02 03:04:05", "1901-01-02T03:04:05"),
        ("0000:00:00 00:00:00", ""),
        ("    :  :     :  :  ", ""),
        ("2021:13:45 25:61:61", ""),
        ("0001:01:01 00:00:00", ""),
        ("yesterday", ""),
        ("", ""),
    ],
)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_the_date_as_the_camera_wrote_it(tmp_path, suffix, written, read):
    assert taken_in(tmp_path / f"a.{suffix}", exif_with(taken=written)) == read


def test_the_first_date_that_makes_sense_wins(tmp_path):
    zeros, first, second = "0000:00:00 00:00:00", "2001:01:01 01:01:01", "2002:02:02 02:02:02"
    path = tmp_path / "a.jpg"
    assert taken_in(path, exif_with(first, second, second)).startswith("2001")
    assert taken_in(path, exif_with(zeros, first, second)).startswith("2001")
    assert taken_in(path, exif_with(zeros, zeros, second)).startswith("2002")
    assert date_taken(Image.Exif()) == ""


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("Canon", "Canon EOS 40D", "Canon EOS 40D"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("OLYMPUS CORPORATION", "C8080WZ", "OLYMPUS C8080WZ"),
        ("EASTMAN KODAK COMPANY", "KODAK CX7530", "KODAK CX7530"),
        ("SAMSUNG TECHWIN CO., LTD.", "S850", "SAMSUNG TECHWIN S850"),
        ("Apple", "iPhone 13 Pro", "Apple iPhone 13 Pro"),
        ("Hewlett-Packard  ", "  HP PhotoSmart\n", "Hewlett-Packard HP PhotoSmart"),
        ("", "DSC-1", "DSC-1"),
        ("Jolla", "", "Jolla"),
        ("", "", ""),
        ("Maker\0rubbish", "Model\0\x07", "Maker Model"),
        (b"Ko\xf1ica", b"\xe5\xb0\x8f\xe7\xb1\xb3", "Koñica 小米"),
    ],
)
def test_the_camera_as_people_say_it(tmp_path, make, model, name):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = make
    exif[ExifTags.Base.Model] = model
    assert camera_name(exif) == name


def test_a_name_without_end_is_cut():
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "x" * 5000
    assert len(camera_name(exif)) == 100


def test_values_of_the_wrong_type_are_ignored():
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = 7
    exif[ExifTags.Base.Model] = (1, 2)
    exif[ExifTags.Base.DateTime] = 20200102
    assert camera_name(exif) == ""
    assert date_taken(exif) == ""


@pytest.mark.parametrize(
    ("in_xmp", "in_exif", "stars"),
    [
        ('xmp:Rating="4"', None, 4),
        ('xmp:Rating="4" MicrosoftPhoto:Rating="50"', 2, 4),
        ("", 3, 3),
        ("", None, 0),
        ('xmp:Rating="-1"', 5, 0),
        ('xmp:Rating="0"', 5, 0),
        ('xmp:Rating="3.0"', None, 3),
        ('xmp:Rating="many"', None, 0),
        ('xmp:Rating="nan"', None, 0),
        ('xmp:Rating="1e999"', None, 0),
        ("", 99, 0),
        ("", "5", 0),
    ],
)
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_the_rating(tmp_path, suffix, in_xmp, in_exif, stars):
    exif = Image.Exif()
    if in_exif is not None:
        exif[0x4746] = in_exif
    path = tmp_path / f"a.{suffix}"
    packet = xmp(in_xmp)
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    # Pillow writes XMP into each format by another way.
    options = {"png": {"pnginfo": info}, "tif": {"tiffinfo": {700: packet, **exif}}}
    default = {"xmp": packet, "exif": exif.tobytes()}
    Image.new("RGB", (16, 16)).save(path, **{**default, **options.get(suffix, {})})
    assert scanned(path).stars == stars


def test_the_rating_as_an_element(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, xmp=xmp("", "<xmp:Rating> 2 </xmp:Rating>") + b"\n\0\0")
    assert scanned(path).stars == 2


@pytest.mark.parametrize(
    ("iptc", "in_xmp", "place"),
    [
        ({90: b"Budapest", 101: b"Hungary"}, "", "Budapest, Hungary"),
        ({92: b"Altstadt", 90: b"Z\xc3\xbcrich", 95: b"Z\xc3\xbcrich"}, "", "Altstadt, Zürich"),
        ({90: b"K\xf6ln"}, "", "Köln"),
        ({}, 'photoshop:City="Lisboa" photoshop:Country="Portugal"', "Lisboa, Portugal"),
        ({}, 'Iptc4xmpCore:Location="Bel&#233;m"', "Belém"),
        ({}, 'Iptc4xmpCore:CountryName="Peru"', "Peru"),
        ({90: b"Koeln", 101: b"Germany"}, 'photoshop:City="Köln"', "Köln, Germany"),
        ({90: b"", 101: b"\0 "}, 'photoshop:City="  "', ""),
        ({90: b"x" * 900}, "", "x" * 200),
        ({5: b"Title", 25: b"Paris"}, 'xmp:Label="Red"', ""),
    ],
)
def test_the_place_in_words(tmp_path, iptc, in_xmp, place):
    assert scanned(with_iptc(tmp_path / "a.jpg", iptc, xmp(in_xmp))).place == place


def test_the_place_written_as_alternatives(tmp_path):
    location = "<rdf:Alt><rdf:li xml:lang='x-default'>Old Town</rdf:li></rdf:Alt>"
    packet = xmp("", f"<Iptc4xmpCore:Location>{location}</Iptc4xmpCore:Location>")
    assert scanned(with_iptc(tmp_path / "a.jpg", {}, packet)).place == "Old Town"


BOMB = b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>"""


@pytest.mark.parametrize(
    "packet",
    [
        b"<x",
        b"\xff\xfe\x00",
        b"no xml at all",
        BOMB + b"<x>&b;</x>",
        xmp('xmp:Rating="5"')[:-60],
        xmp('xmp:Rating="5"', "<a>" * 9000 + "</a>" * 9000),
    ],
)
def test_broken_xmp_never_costs_the_picture(tmp_path, packet):
    info = scanned(with_iptc(tmp_path / "a.jpg", {90: b"Paris"}, packet))
    assert (info.width, info.place) == (8, "Paris")


@pytest.mark.parametrize("cut", [1, 4, 6, 9])
def test_broken_iptc_never_costs_the_picture(tmp_path, cut):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, xmp=xmp('xmp:Rating="5"'))
    jpeg = path.read_bytes()
    path.write_bytes(jpeg[:2] + iptc_segment({90: b"Paris"})[:-cut] + b"\xff" * cut + jpeg[2:])
    info = scanned(path)
    assert (info.width, info.stars) == (8, 5)


def test_real_ratings_and_places(tmp_path):
    if not DIFFICULT.is_dir():
        pytest.skip(f"SHARED DATA MISSING: {DIFFICULT}")
    found = {}
    for line in (DIFFICULT / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        name = json.loads(line)["file"]
        if name.startswith(("metadata/", "exif_cameras/jpg_long")):
            path = DIFFICULT / name
            if path.suffix == ".jpg":
                info = scan_picture(path, lambda sha256: tmp_path / sha256.hex())
                if info.stars or info.place:
                    found[path.name] = (info.stars, info.place)
    assert found["gen_xmp_keywords_hier.jpg"] == (4, "Zürich, Schweiz")
    assert found["gen_iptc_utf8.jpg"] == (0, "Saint-Malo, France")
    assert found["gen_exif_windows_xp.jpg"] == (5, "")
    assert "gen_xmp_digikam_rejected.jpg" not in found
    place = "KANDAHAR ARMY AIRFIELD, DAYCHOPAN, Afghanistan"
    assert found["jpg_long_description.jpg"] == (0, place)
