"""Pictures whose metadata is an attack or is not text (S6, S8, S14, R13)."""

from __future__ import annotations

from .ifd import ASCII, BYTE, UNDEFINED, Entry, jpeg_with_tiff, tiff
from .photos import described, photo

MARKUP: tuple[str, ...] = (
    "<script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    '"><svg onload=window.pwned=1>',
    "'-window.pwned=1-'",
    "javascript:window.pwned=1",
    "</script><script>window.pwned=1//",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "\u202e<b>desrever\u202c",
)
FORMULAS: tuple[str, ...] = (
    "=cmd()",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r=1+1",
    '=HYPERLINK("http://127.0.0.1:9/","x")',
)

_EXIF_TEXT = ("ImageDescription", "Make", "Model", "Software", "Artist", "Copyright")


def jpeg_with_text(value: str, seed: int = 0) -> bytes:
    """A JPEG that holds the same text in every usual text field of EXIF, IPTC and XMP."""
    exif = {f"Exif.Image.{name}": value for name in _EXIF_TEXT}
    exif |= {"Exif.Photo.LensModel": value, "Exif.Photo.UserComment": f"charset=Unicode {value}"}
    iptc = {
        f"Iptc.Application2.{name}": value
        for name in ("ObjectName", "Caption", "Byline", "City", "CountryName", "Keywords")
    }
    xmp = {
        "Xmp.dc.title": f"lang=x-default {value}",
        "Xmp.dc.description": f"lang=x-default {value}",
    }
    xmp |= {"Xmp.dc.creator": value, "Xmp.dc.subject": value, "Xmp.photoshop.City": value}
    return described(
        photo(96, 64, seed), exif, {"Iptc.Envelope.CharacterSet": "\x1b%G"} | iptc, xmp
    )


def markup_pictures() -> dict[str, bytes]:
    """One JPEG for each piece of markup."""
    return {f"markup-{n}.jpg": jpeg_with_text(text, n) for n, text in enumerate(MARKUP)}


def formula_pictures() -> dict[str, bytes]:
    """One JPEG for each spreadsheet formula."""
    return {f"formula-{n}.jpg": jpeg_with_text(text, n) for n, text in enumerate(FORMULAS)}


def log_injection() -> bytes:
    """A JPEG whose texts hold line ends and a forged log line."""
    return jpeg_with_text('x\r\n2024-01-01 [info] forged event="sign-in" user=admin')


def picture_with_urls(url: str) -> bytes:
    """A JPEG that names an address wherever metadata can name one."""
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<!DOCTYPE x [<!ENTITY e SYSTEM "{url}/entity"><!ENTITY % p SYSTEM "{url}/dtd">%p;]>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        f' dc:source="{url}/source">&e;</rdf:Description></rdf:RDF></x:xmpmeta>'
    )
    block = b"http://ns.adobe.com/xap/1.0/\x00" + packet.encode()
    data = jpeg_with_text(f"{url}/text")
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2) + block
    return data[:2] + segment + data[2:]


def svg_with_links(url: str) -> bytes:
    """An SVG that would fetch pictures, fonts, styles and scripts from elsewhere."""
    return f"""<?xml version="1.0"?>
<!DOCTYPE svg [<!ENTITY e SYSTEM "{url}/entity">]>
<?xml-stylesheet href="{url}/style.css" type="text/css"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
 width="64" height="64" onload="fetch('{url}/onload')">
<style>@import url("{url}/import.css");</style>
<image xlink:href="{url}/image.png" width="64" height="64"/>
<image href="file:///etc/passwd" width="64" height="64"/>
<script href="{url}/script.js"/><use href="{url}/use.svg#a"/><text>&e;</text></svg>
""".encode()


def undecodable_text() -> dict[str, bytes]:
    """JPEGs whose EXIF text is no text: NUL, broken UTF-8, lone surrogates in UTF-16."""
    texts = {
        "nul.jpg": Entry(0x010E, ASCII, b"before\x00after\x00"),
        "invalid-utf8.jpg": Entry(0x010E, ASCII, b"caf\xe9 \xff\xfe \xc3\x28\x00"),
        "utf8-surrogate.jpg": Entry(0x010E, ASCII, b"half \xed\xa0\x80\x00"),
        "xp-surrogate.jpg": Entry(0x9C9C, BYTE, b"a\x00\x00\xd8b\x00\x00\xdc\x00\x00"),
        "xp-odd-length.jpg": Entry(0x9C9C, BYTE, b"a\x00b"),
        "no-terminator.jpg": Entry(0x010E, ASCII, b"no end at all"),
        "escape.jpg": Entry(0x010E, ASCII, b"\x1b[2J\x07\x08\x00"),
        "huge.jpg": Entry(0x010E, ASCII, b"x" * 60_000 + b"\x00"),
    }
    pictures = {name: jpeg_with_tiff(tiff([[entry]])) for name, entry in texts.items()}
    comment = Entry(0x9286, UNDEFINED, b"UNICODE\x00\x00\xd8a\x00\x00\xd8")
    pictures["comment-surrogate.jpg"] = jpeg_with_tiff(tiff([[], [comment]], exif=1))
    return pictures
