"""Names are cut into words alike in every script that has capitals and digits."""

from __future__ import annotations

import pytest

from caseframe.catalog.search.words import name_words


@pytest.mark.parametrize(
    ("name", "split", "whole"),
    [
        ("IMG_2016RedBoat.jpg", "img 2016 red boat jpg", "img 2016redboat jpg"),
        ("Фото2016.jpg", "фото 2016 jpg", "фото2016 jpg"),
        ("СинееМоре.jpg", "синее море jpg", "синееморе jpg"),
        ("Café2016Été.jpg", "cafe 2016 ete jpg", "cafe2016ete jpg"),
        ("Cafe\u03012016E\u0301te\u0301.jpg", "cafe 2016 ete jpg", "cafe2016ete jpg"),
        ("ÉTÉ2020.jpg", "ete 2020 jpg", "ete2020 jpg"),
        ("사진2016.jpg", "사진 2016 jpg", "사진2016 jpg"),
        ("a\u200db/x½.jpg", "ab x 1 2 jpg", "ab x1 2 jpg"),
    ],
)
def test_a_name_is_cut_where_kinds_of_characters_meet(name: str, split: str, whole: str) -> None:
    assert [" ".join(words) for words in name_words(name)] == [split, whole]


@pytest.mark.parametrize("name", ["red boat.jpg", "写真.jpg", "\udce4x.jpg", "été.jpg", "東京2016"])
def test_what_is_the_same_either_way_is_there_once(name: str) -> None:
    assert len(list(name_words(name))) == 1
