"""What the demo collection holds: one row a file, in the order in which they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from PIL import Image

from caseframe.demo import encode, papers, portraits, scenes, trouble, views
from caseframe.demo.encode import Encoder
from caseframe.demo.metadata import Camera, Shot, Spot, Words

Scene = tuple[Callable[..., Image.Image], tuple[object, ...]]
Damage = Callable[[bytes], bytes]

README_NAME = b"README.txt"
README_TEXT = """\
A sample collection for trying out Caseframe.

Every picture here was drawn by the program "caseframe demo": the landscapes, the
towns, the letters, and also the cameras, dates, places and captions that the files
speak of. None of it is real, and the names are invented.

One exception: the portrait in Press/Space and the pictures made from it show the
astronaut Eileen Collins. NASA took it, and it is in the public domain; it comes
with the package scikit-image.

Some files are broken, mislabelled, or no pictures at all. That is on purpose.
"""

D750 = Camera("NIKON CORPORATION", "NIKON D750", "AF-S NIKKOR 24-120mm f/4G ED VR")
D70 = Camera("NIKON CORPORATION", "NIKON D70", "AF-S DX Zoom-Nikkor 18-70mm f/3.5-4.5G")
EOS = Camera("Canon", "Canon EOS 5D Mark IV", "EF24-70mm f/2.8L II USM")
IXUS = Camera("Canon", "Canon DIGITAL IXUS 70")
IPHONE = Camera("Apple", "iPhone 13 Pro", "iPhone 13 Pro back triple camera 5.7mm f/1.5", "15.4.1")
XT4 = Camera("FUJIFILM", "X-T4", "XF16-55mmF2.8 R LM WR")
SONY = Camera("SONY", "ILCE-7M3", "FE 24-105mm F4 G OSS")
PIXEL = Camera("Google", "Pixel 6", "Pixel 6 back camera 6.81mm f/1.85", "HDR+ 1.0.430726059zd")
OLYMPUS = Camera("OLYMPUS CORPORATION", "E-M10MarkII", "OLYMPUS M.14-42mm F3.5-5.6 EZ")
LEICA = Camera("LEICA CAMERA AG", "LEICA Q2", "SUMMILUX 1:1.7/28 ASPH.")
SCANNER = Camera("EPSON", "Perfection V600", None, "EPSON Scan 3.9.3")

CHAMONIX = Spot(45.9237, 6.8694, 1035, 152.5)


@dataclass(frozen=True, slots=True)
class Item:
    """One file: where it goes, what it shows, and how it is written.

    `scene` is None for files that need no picture. `damage` is applied to the finished file.
    """

    path: bytes
    shot: Shot
    scene: Scene | None = None
    encode: Encoder = encode.jpeg
    damage: Damage | None = None


def _at(stamp: str, camera: Camera | None = None, **more: object) -> Shot:
    """A shot from a time written as people write it."""
    return Shot(datetime.fromisoformat(stamp), camera, **more)  # type: ignore[arg-type]


ALPS: Scene = (scenes.alps, (3,))
EVENING_ALPS: Scene = (scenes.alps, (4, scenes.USUAL, scenes.DUSK))
BOAT: Scene = (views.red_boat, (17,))
SUNSET: Scene = (scenes.sunset, (5,))
DUNES: Scene = (scenes.dunes, (9,))
LAVENDER: Scene = (scenes.lavender, (11,))
AURORA: Scene = (scenes.aurora, (13,))
FOREST: Scene = (scenes.forest, (15,))
SKYLINE: Scene = (views.skyline, (19,))
DUSK_TOWN: Scene = (views.skyline, (20, scenes.USUAL, False))
BALLOONS: Scene = (views.balloons, (21,))
LIGHTHOUSE: Scene = (views.lighthouse, (23,))
SMALL_LIGHTHOUSE: Scene = (views.lighthouse, (23, (480, 320)))
FRUIT: Scene = (views.fruit, (25,))
BEACH: Scene = (views.beach, (27,))
MOON: Scene = (scenes.moonlight, (7,))
CAMP: Scene = (views.night_camp, (29,))
PORTRAIT: Scene = (portraits.portrait, ())

_MOUNTAIN_DAY = _at(
    "2016-07-14 10:12:31",
    D750,
    offset="+02:00",
    spot=CHAMONIX,
    words=Words(
        "Above Chamonix",
        "First clear morning after three days of rain.",
        "Ines Duarte",
        "mountains snow holiday",
        "Chamonix",
        "France",
    ),
)
_BOAT_DAY = _at(
    "2016-07-15 06:48:02",
    D750,
    offset="+02:00",
    spot=Spot(45.9011, 6.1294, 447),
    words=Words(
        "Red boat",
        "The red boat of the hotel, before breakfast.",
        "Ines Duarte",
        "lake boat red reflection",
        "Annecy",
        "France",
    ),
)
_CITY_NIGHT = _at(
    "2019-11-23 21:34:10", SONY, offset="-05:00", spot=Spot(40.7061, -73.9969, 12, 270)
)
_BEACH_DAY = _at("2018-02-03 11:05:44", OLYMPUS, spot=Spot(-16.8500, 179.9990, 3))
_PORTRAIT_DAY = _at(
    "1999-06-16 09:00:00",
    words=Words(
        "Eileen Collins",
        "Portrait of the astronaut Eileen Collins, commander of STS-93.",
        "NASA",
        "astronaut portrait space",
        "Houston",
        "United States",
    ),
)

HOLIDAYS = (
    Item(b"Holidays/2016 Chamonix/DSC_0412.JPG", _MOUNTAIN_DAY, ALPS),
    Item(b"Holidays/2016 Chamonix/DSC_0431.JPG", _BOAT_DAY, BOAT),
    Item(
        b"Holidays/2016 Chamonix/DSC_0468.JPG",
        _at("2016-07-15 20:55:09", D750, offset="+02:00", spot=Spot(45.9301, 6.8702, 1061, 180)),
        EVENING_ALPS,
    ),
    Item(
        b"Holidays/2016 Chamonix/sign.jpg",
        _at("2016-07-13 16:20:00", IPHONE, offset="+02:00", spot=Spot(45.8920, 6.7980)),
        (papers.sign, (3,)),
    ),
    Item(b"Holidays/2018 Fiji/P2030117.JPG", _BEACH_DAY, BEACH),
    Item(
        b"Holidays/2018 Fiji/P2030142.JPG",
        _at("2018-02-03 18:31:20", OLYMPUS, spot=Spot(-16.8480, -179.9985, 2)),
        SUNSET,
        encode.jpeg_progressive,
    ),
    Item(
        b"Holidays/2018 Fiji/receipt.jpg",
        _at("2018-07-12 13:44:00", IPHONE),
        (papers.receipt, (2,)),
    ),
    Item(
        b"Holidays/2022 Namibia/DSCF2207.JPG",
        _at("2022-05-09 07:15:50", XT4, offset="+02:00", spot=Spot(-24.7275, 15.3430, 570)),
        DUNES,
    ),
    Item(
        b"Holidays/2022 Namibia/tent.webp",
        _at("2022-05-09 22:41:13", PIXEL, offset="+02:00", spot=Spot(-24.4889, 15.8009, 790)),
        CAMP,
        encode.webp,
    ),
    Item(
        b"Holidays/2023 North/IMG_8841.HEIC",
        _at("2023-01-19 23:02:18", IPHONE, offset="+01:00", spot=Spot(69.6492, 18.9553, 40, 8)),
        AURORA,
        encode.heic,
    ),
    Item(
        b"Holidays/2023 North/forest.avif",
        _at("2023-01-17 10:20:41", PIXEL, offset="+01:00", spot=Spot(63.4305, 10.3951)),
        FOREST,
        encode.avif,
    ),
    Item(
        "Holidays/2021 Türkei/Ballons über Göreme.jpg".encode(),
        _at(
            "2021-09-30 06:22:37",
            EOS,
            offset="+03:00",
            spot=Spot(38.6431, 34.8289, 1400),
            words=Words(
                "Ballons",
                "Früh am Morgen über Göreme.",
                "Jörg Müller",
                "Ballon Morgen Göreme",
                "Göreme",
                "Türkiye",
            ),
        ),
        BALLOONS,
    ),
    Item(
        "Holidays/2021 Türkei/U\u0308bersicht.jpg".encode(),
        _at("2021-10-01 17:03:00", EOS, offset="+03:00"),
        DUSK_TOWN,
    ),
    Item(
        "Holidays/2021 Türkei/🎈 best of.jpg".encode(),
        _at("2021-09-30 06:22:37", EOS, offset="+03:00"),
        BALLOONS,
        encode.jpeg_small,
    ),
    Item(
        b"Holidays/2024 Dead Sea/L1000388.JPG",
        _at("2024-03-02 19:12:05", LEICA, spot=Spot(31.5000, 35.4800, -430.5)),
        MOON,
    ),
)

PRESS = (
    Item(b"Press/Space/astronaut.jpg", _PORTRAIT_DAY, PORTRAIT),
    Item(
        b"Press/Space/astronaut mirrored.png",
        _at("1999-06-16 09:00:00"),
        (portraits.mirrored, ()),
        encode.png,
    ),
    Item(
        b"Press/Space/album page.jpg", _at("2014-08-02 15:30:00", SCANNER), (portraits.collage, ())
    ),
    Item(b"Press/Space/two prints.jpg", _at("2014-08-02 15:41:00", D70), (portraits.group, ())),
    Item(b"Press/Space/banner.jpg", _at("2015-01-08 12:00:00"), (portraits.wide, ())),
    Item(b"Press/Agency/skyline.jpg", _CITY_NIGHT, SKYLINE),
    Item(
        b"Press/Agency/lavender.jpg",
        _at(
            "2020-07-01 20:14:55",
            EOS,
            offset="+02:00",
            spot=Spot(43.8370, 5.9830, 570),
            words=Words(
                "Lavender harvest",
                "Fields near Valensole one week before the harvest.",
                "Tomasz Wilk",
                "lavender field Provence agriculture",
                "Valensole",
                "France",
            ),
        ),
        LAVENDER,
    ),
    Item(
        b"Press/Agency/lighthouse.jpg",
        _at(
            "2017-03-21 11:28:16",
            D70,
            spot=Spot(-54.8700, -68.0840, 15),
            words=Words(
                "The old lighthouse",
                "The lighthouse at the end of the channel.",
                "A. Moreau",
                "lighthouse coast",
                "Ushuaia",
                "Argentina",
            ),
        ),
        LIGHTHOUSE,
    ),
    Item(
        b"Press/Agency/old town grey.jpg",
        _at("2020-07-03 21:14:55", EOS, offset="+02:00"),
        DUSK_TOWN,
        encode.jpeg_grey,
    ),
    Item(b"Press/Print/fruit cmyk.jpg", _at("2013-10-04 14:00:21", D70), FRUIT, encode.jpeg_cmyk),
    Item(b"Press/Print/lighthouse.tif", _at("2017-03-21 11:28:16", D70), LIGHTHOUSE, encode.tiff),
)

OFFICE = (
    Item(
        b"Office/Scans/letter.png",
        _at("2017-03-14 09:30:00", SCANNER),
        (papers.letter, (1,)),
        encode.png,
    ),
    Item(b"Office/Scans/panels.tiff", _at("2017-03-15 10:00:00"), BOAT, encode.tiff_pages),
    Item(
        b"Office/Screenshots/Screenshot 2019-04-02.png",
        _at("2019-04-02 09:14:00"),
        (papers.screenshot, ()),
        encode.png,
    ),
    Item(b"Office/annual report.pdf", _at("2018-12-31 12:00:00"), damage=trouble.pdf),
    Item(b"Office/opening.mp4", _at("2018-06-01 18:00:00"), damage=trouble.film),
)

FORMATS = (
    Item(b"Formats/palette.png", _at("2012-05-05 12:00:00"), BALLOONS, encode.png_palette),
    Item(b"Formats/transparent.png", _at("2012-05-05 12:01:00"), FRUIT, encode.png_alpha),
    Item(b"Formats/sixteen bit.png", _at("2012-05-05 12:02:00"), MOON, encode.png_deep),
    Item(b"Formats/pan.gif", _at("2012-05-05 12:03:00"), BEACH, encode.gif),
    Item(b"Formats/dunes.bmp", _at("2012-05-05 12:04:00"), DUNES, encode.bmp),
)

BACKUP = (
    Item(b"Backup of old phone/IMG_0001.jpg", _MOUNTAIN_DAY, ALPS),
    Item(b"Backup of old phone/copy of boat.jpg", _BOAT_DAY, BOAT),
    Item(b"Backup of old phone/Camera/20180203_110544.jpg", _BEACH_DAY, BEACH),
    Item(b"Backup of old phone/boat small.jpg", _BOAT_DAY, BOAT, encode.jpeg_small),
    Item(b"Backup of old phone/boat brighter.jpg", _BOAT_DAY, BOAT, encode.jpeg_bright),
    Item(
        b"Backup of old phone/skyline sent by chat.jpg",
        _at("2019-11-24 08:00:00"),
        SKYLINE,
        encode.jpeg_poor,
    ),
    Item(
        b"Backup of old phone/null island.jpg",
        _at("2011-01-01 00:00:00", IXUS, spot=Spot(0, 0)),
        (scenes.sunset, (31, (480, 320))),
    ),
    Item(
        b"Backup of old phone/lost satellite.jpg",
        _at("2011-01-02 10:11:12", IXUS, spot=Spot(95.5, 200.25)),
        (scenes.alps, (33, (480, 320))),
    ),
)

TURNED = tuple(
    Item(
        b"Orientation/turned %d.jpg" % turn,
        _at(f"2010-08-0{turn} 12:00:00", IXUS, orientation=turn),
        SMALL_LIGHTHOUSE,
    )
    for turn in range(1, 9)
)

RECOVERED = (
    Item(
        b"Recovered/cut off.jpg", _at("2016-07-14 10:12:31"), EVENING_ALPS, damage=trouble.truncated
    ),
    Item(
        b"Recovered/bad checksum.png",
        _at("2009-02-01 08:00:00"),
        FRUIT,
        encode.png_alpha,
        trouble.bad_checksum,
    ),
    Item(
        b"Recovered/f0012345", _at("2009-02-01 08:01:00", IXUS), (views.balloons, (61, (480, 320)))
    ),
    Item(b"Recovered/really a png.jpg", _at("2009-02-01 08:02:00"), DUSK_TOWN, encode.png_palette),
    Item(b"Recovered/shopping list.jpg", _at("2009-02-01 08:03:00"), damage=trouble.note),
    Item(b"Recovered/empty.jpg", _at("2009-02-01 08:04:00"), damage=trouble.empty),
    Item(
        b"Recovered/promises too much.png", _at("2009-02-01 08:05:00"), damage=trouble.claims_huge
    ),
    Item(
        b"Recovered/caf\xe9 au lait.jpg",
        _at("2009-02-01 08:06:00", IXUS),
        (views.fruit, (63, (480, 320))),
    ),
)

COLLECTION: tuple[Item, ...] = (
    *HOLIDAYS,
    *PRESS,
    *OFFICE,
    *FORMATS,
    *BACKUP,
    *TURNED,
    *RECOVERED,
)


def made(items: Iterable[Item] = COLLECTION) -> Iterable[tuple[Item, bytes]]:
    """Every item with the bytes of its file; a scene is drawn once and kept while it may recur."""
    drawn: dict[Scene, Image.Image] = {}
    for item in items:
        data = b""
        if item.scene is not None:
            if item.scene not in drawn:
                drawn[item.scene] = item.scene[0](*item.scene[1])
            data = item.encode(drawn[item.scene], item.shot)
        yield item, item.damage(data) if item.damage else data
