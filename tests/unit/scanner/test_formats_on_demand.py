"""Decoders that are loaded with the first picture that needs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import makers

_DECODE = """
import sys
from pathlib import Path
from caseframe.scanner.limits import Limits
from caseframe.scanner.picture import Picture
from caseframe.scanner.sniff import HEIC
assert "pillow_heif" not in sys.modules
picture = Picture(Path(sys.argv[1]).read_bytes(), HEIC, Limits())
assert (picture.info.width, picture.info.height) == (96, 64)
assert picture.pixels(48).shape == (32, 48, 3)
assert picture.damage is None
"""


def test_heic_in_a_process_that_has_seen_none(tmp_path: Path) -> None:
    file = tmp_path / "a.heic"
    file.write_bytes(makers.photo(96, 64, 1, format="HEIF"))
    subprocess.run([sys.executable, "-c", _DECODE, str(file)], check=True)
