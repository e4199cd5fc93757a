"""File names that break careless programs (S2, S15, R13)."""

from __future__ import annotations

import os
from pathlib import Path

UPLOAD_NAMES: tuple[str, ...] = (
    "../../x.py",
    "..\\..\\x.py",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "%2e%2e%2fx.jpg",
    "a\r\nSet-Cookie: stolen=1\r\n.jpg",
    'a"; filename="b.html',
    "a\x00.jpg",
    "." * 3,
    "",
    "CON.jpg",
    "n" * 251 + ".jpg",
    "<img src=x onerror=alert(1)>.jpg",
    "\u202egpj.exe",
)
"""Names that a browser or an attacker may give an upload; some can be no file name at all."""


def odd_names() -> dict[str, bytes]:
    """Names that Linux allows, by what is odd about them; none holds a slash or NUL."""
    return {
        "newline": b"two\nlines.jpg",
        "carriage return": b"over\r\nwritten.jpg",
        "leading dash": b"-rf.jpg",
        "option": b"--help",
        "trailing pipe": b"echo pwned|",
        "leading pipe": b"|echo pwned",
        "shell": b"$(touch pwned);`touch pwned`&.jpg",
        "quotes": b'it\'s "quoted".jpg',
        "backslash": b"back\\slash.jpg",
        "wildcards": b"*?[a-z]{1,2}.jpg",
        "percent": b"100%s %n %2e%2e%2f.jpg",
        "markup": b"<img src=x onerror=alert(1)>.jpg",
        "formula": b"=cmd()|' .jpg",
        "spaces": b"  spaces  .jpg ",
        "only a space": b" ",
        "dots": b"...",
        "hidden": b".hidden.jpg",
        "longest": b"n" * 251 + b".jpg",
        "longest umlauts": "ü".encode() * 125 + b"a.jpg",
        "bidi override": "photo\u202egpj.exe".encode(),
        "bidi isolate": "a\u2066b\u2069.jpg".encode(),
        "zero width": "a\u200bb\ufeff.jpg".encode(),
        "emoji": "🏔️ 👩‍🚀.jpg".encode(),
        "composed": "Übersicht é.jpg".encode(),
        "decomposed": "U\u0308bersicht e\u0301.jpg".encode(),
        "latin-1": b"caf\xe9.jpg",
        "broken utf-8": b"\xff\xfe\x80\xc3.jpg",
        "utf-8 surrogate": b"half \xed\xa0\x80.jpg",
        "overlong slash": b"..\xc0\xafetc.jpg",
        "control characters": b"bell\x07escape\x1b[31m\x7f.jpg",
        "upper case": b"CASE.JPG",
        "lower case": b"case.jpg",
    }


def write_odd_names(folder: Path, data: bytes) -> dict[bytes, bytes]:
    """Files under every odd name, each content its own; what was written, by name.

    Names that the file system refuses are left out.
    """
    written = {}
    for number, name in enumerate(odd_names().values()):
        body = data + b"%d" % number
        try:
            with open(os.path.join(os.fsencode(folder), name), "xb") as file:
                file.write(body)
        except OSError:
            continue
        written[name] = body
    return written


def write_special_files(folder: Path) -> dict[str, bytes]:
    """Links, a pipe and a sparse file, by what they are; their names in the folder."""
    base = os.fsencode(folder)
    made = {
        "link to passwd": b"passwd.jpg",
        "link outside": b"outside",
        "dangling link": b"nowhere.jpg",
        "link to itself": b"self.jpg",
        "link to its parent": b"loop",
        "pipe": b"pipe.jpg",
        "sparse": b"sparse.jpg",
        "no permission": b"locked.jpg",
    }
    targets = (b"/etc/passwd", b"/etc", b"not-there", b"self.jpg", b".")
    for name, target in zip(made.values(), targets, strict=False):
        os.symlink(target, os.path.join(base, name))
    os.mkfifo(os.path.join(base, b"pipe.jpg"))
    write_sparse(folder / "sparse.jpg", 5 * 2**30)
    (folder / "locked.jpg").write_bytes(b"locked")
    (folder / "locked.jpg").chmod(0)
    return made


def write_sparse(path: Path, size: int) -> None:
    """A file of `size` bytes, all zero, that takes next to no room on the disk (R14)."""
    with open(path, "wb") as file:
        file.truncate(size)
