"""Pictures with words on them: a scanned letter, a receipt, a road sign, a screenshot."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from caseframe.demo.light import cloudy
from caseframe.demo.scenes import NOON, forest, sky

_LETTER = (
    "Harbour Office\n12 Quay Street\nPort Ellery\n\n14 March 2017\n\n\n"
    "Dear Ms Lindqvist,\n\n"
    "Thank you for your letter about the photographs of\n"
    "the old lighthouse. We found three boxes of glass\n"
    "negatives in the cellar, taken between 1911 and 1934.\n"
    "You are welcome to see them on any weekday morning.\n\n"
    "Please bring cotton gloves. Reference: HO-2017-0314.\n\n"
    "Yours sincerely,\n\n\n\nA. Moreau\nArchivist"
)
_RECEIPT = (
    ("CAFE DU LAC", ""),
    ("7 rue du Port", ""),
    ("", ""),
    ("2 Espresso", "5.60"),
    ("1 Tarte aux pommes", "4.90"),
    ("1 Mineral water", "3.20"),
    ("1 Croque-monsieur", "9.50"),
    ("", ""),
    ("TOTAL EUR", "23.20"),
    ("VISA **** 4242", "23.20"),
    ("", ""),
    ("12.07.2018   13:42", ""),
    ("Merci et au revoir!", ""),
)
_MAILS = (
    ("Ines Duarte", "Boat keys are under the blue bucket", "09:12"),
    ("Harbour Office", "Your visit on 21 March", "08:55"),
    ("Ines Duarte", "Re: negatives, box 2 of 3", "Yesterday"),
    ("Print shop", "Order 55820 is ready", "Yesterday"),
    ("Tomasz Wilk", "Photos from the balloon ride", "Monday"),
    ("Library", "Two books are due on Friday", "Sunday"),
)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, which is always there."""
    return ImageFont.load_default(size)


def _scanned(page: Image.Image, seed: int) -> Image.Image:
    """A page as a scanner sees it: uneven paper, slightly turned and soft."""
    turned = page.rotate(0.6, Image.Resampling.BICUBIC, fillcolor=page.getpixel((2, 2)))
    soft = np.asarray(turned.filter(ImageFilter.GaussianBlur(0.6)), np.float32)
    paper = cloudy(page.height, page.width, (6, 8), seed) * 10
    dust = np.random.default_rng(seed).standard_normal(paper.shape) * 2
    return Image.fromarray(np.clip(soft - (paper + dust)[..., None], 0, 255).astype(np.uint8))


def letter(seed: int) -> Image.Image:
    """A typed letter, 150 dots an inch of an A5 page."""
    page = Image.new("RGB", (874, 1240), (250, 247, 238))
    pen = ImageDraw.Draw(page)
    pen.multiline_text((90, 90), _LETTER, fill=(38, 36, 44), font=_font(27), spacing=12)
    strokes = [
        (90 + 9 * k, 1010 + round(22 * np.sin(k * 0.9) * np.cos(k * 0.23))) for k in range(24)
    ]
    pen.line(strokes, fill=(30, 40, 120), width=3)
    return _scanned(page, seed)


def receipt(seed: int) -> Image.Image:
    """A till receipt lying on a dark table."""
    slip = Image.new("RGB", (360, 560), (244, 243, 238))
    pen = ImageDraw.Draw(slip)
    for row, (what, price) in enumerate(_RECEIPT):
        y = 30 + row * 38
        pen.text((26, y), what, fill=(45, 45, 50), font=_font(23 if price else 21))
        if price:
            pen.text((334, y), price, fill=(45, 45, 50), font=_font(23), anchor="ra")
    table = np.full((720, 600, 3), (62, 44, 32), np.float32)
    table *= (0.6 + 0.7 * cloudy(720, 600, (80, 4), seed))[..., None]
    photo = Image.fromarray(np.clip(table, 0, 255).astype(np.uint8))
    whole = Image.new("L", slip.size, 255).rotate(4, Image.Resampling.BICUBIC, expand=True)
    photo.paste((20, 14, 10), (118, 72), whole)
    photo.paste(slip.rotate(4, Image.Resampling.BICUBIC, expand=True), (108, 62), whole)
    return photo


def sign(seed: int) -> Image.Image:
    """A road sign in front of a forest."""
    photo = forest(seed, (840, 560))
    pen = ImageDraw.Draw(photo)
    pen.rectangle((200, 330, 222, 560), fill=(120, 122, 124))
    pen.rectangle((618, 330, 640, 560), fill=(98, 100, 102))
    pen.rounded_rectangle(
        (110, 110, 730, 350), 22, fill=(18, 82, 150), outline=(245, 245, 245), width=8
    )
    pen.text((420, 180), "CHAMONIX 12 km", fill="white", font=_font(64), anchor="mm")
    pen.text((420, 275), "Col closed in winter", fill="white", font=_font(50), anchor="mm")
    return photo


def screenshot() -> Image.Image:
    """The window of a mail program that does not exist."""
    shot = Image.new("RGB", (1280, 800), (46, 88, 118))
    shot.paste(Image.fromarray((sky((1280, 800), NOON, 77, 0.5).clip(0, 1) * 255).astype(np.uint8)))
    pen = ImageDraw.Draw(shot)
    pen.rounded_rectangle((90, 70, 1190, 730), 12, fill=(250, 250, 252))
    pen.rounded_rectangle((90, 70, 1190, 122), 12, fill=(52, 58, 72))
    pen.text((130, 82), "Letterbox - Inbox (6)", fill="white", font=_font(24))
    for left, colour in ((1080, (240, 190, 70)), (1116, (90, 190, 100)), (1152, (226, 92, 86))):
        pen.ellipse((left, 87, left + 18, 105), fill=colour)
    pen.rectangle((90, 122, 320, 730), fill=(232, 235, 241))
    for row, folder in enumerate(("Inbox", "Drafts", "Sent", "Photographs", "Archive")):
        pen.text((120, 150 + row * 46), folder, fill=(60, 66, 80), font=_font(23))
    for row, (sender, subject, when) in enumerate(_MAILS):
        top = 140 + row * 92
        pen.text((350, top), sender, fill=(30, 34, 44), font=_font(24))
        pen.text((350, top + 34), subject, fill=(96, 102, 116), font=_font(22))
        pen.text((1160, top), when, fill=(130, 136, 150), font=_font(19), anchor="ra")
        pen.line((340, top + 78, 1170, top + 78), fill=(224, 226, 232))
    return shot
