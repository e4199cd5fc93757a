"""The pictures of a job over REST: pages, choices, one picture, its bytes."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.support.web import WebServer

SORTS = ["path", "-path", "captured", "-captured", "size", "-size", "added", "-added"]


@pytest.fixture
def client(web: WebServer) -> httpx.Client:
    return web.client(web.administrator)


@pytest.fixture
def base(scanned: str) -> str:
    return f"/api/v1/jobs/{scanned}/pictures"


def ask(client: httpx.Client, address: str, **parameters: Any) -> Any:
    answer = client.get(address, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def picture(client: httpx.Client, base: str, query: str) -> dict[str, Any]:
    """The only picture that a search finds."""
    (found,) = ask(client, base, q=query)["pictures"]
    return dict(found)


@pytest.mark.parametrize("sort", SORTS)
def test_pages_lead_through_all_and_back(client: httpx.Client, base: str, sort: str) -> None:
    whole = ask(client, base, sort=sort, limit=500)["pictures"]
    seen: list[dict[str, Any]] = []
    page = ask(client, base, sort=sort, limit=7)
    while True:
        seen += page["pictures"]
        if page["next"] is None:
            break
        page = ask(client, base, sort=sort, limit=7, after=page["next"])
    assert seen == whole
    back = ask(client, base, sort=sort, limit=7, before=page["previous"])
    last = len(page["pictures"])
    assert back["pictures"] == whole[-7 - last : -last]
    known = ask(client, f"{base}/landmarks", sort=sort, every=100)
    assert (known["total"], known["cursors"]) == (len(whole), [])
    for number in (0, len(whole) // 2, len(whole) - 1):
        one = whole[number]["id"]
        assert ask(client, f"{base}/{one}/position", sort=sort)["position"] == number
        around = ask(client, base, sort=sort, around=one, limit=5)["pictures"]
        assert one in [tile["id"] for tile in around]
        both = ask(client, f"{base}/{one}/neighbours", sort=sort)
        assert both["before"] == (whole[number - 1]["id"] if number else None)


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"q": '"red'}, "quotation mark"),
        ({"q": "colour:red"}, "no field"),
        ({"q": "x" * 1001}, "1,000"),
        ({"sort": "beauty"}, "path"),
        ({"after": "nonsense"}, "place"),
        ({"after": "a", "before": "b"}, "one cursor"),
        ({"after": "a", "around": 1}, "one of"),
        ({"area": "1,2,3"}, "south"),
        ({"area": "nan,0,1,1"}, "south"),
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
    ],
)
def test_what_cannot_be_read_is_explained(
    client: httpx.Client, base: str, parameters: dict[str, Any], word: str
) -> None:
    answer = client.get(base, params=parameters)
    assert answer.status_code == 400
    assert word in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"q": "camera:nikon"}, {"boat.jpg"}),
        ({"camera": "NIKON D90"}, {"boat.jpg"}),
        ({"country": "Sweden"}, {"lake.jpg"}),
        ({"area": "45,6,46,7"}, {"boat.jpg"}),
        ({"q": "-has:place format:webp"}, {"map.webp"}),
        ({"q": "zeppelin"}, set()),
    ],
)
def test_pictures_are_chosen(
    client: httpx.Client, base: str, parameters: dict[str, Any], names: set[str]
) -> None:
    found = ask(client, base, **parameters)["pictures"]
    assert {tile["path"].rpartition("/")[2].removeprefix("copy of ") for tile in found} == names
    assert ask(client, f"{base}/count", **parameters) == {"number": len(names), "exact": True}


def test_facets_timeline_and_map(client: httpx.Client, base: str) -> None:
    facets = ask(client, f"{base}/facets")
    assert {"value": "NIKON D90", "count": 1} in facets["cameras"]
    assert {one["value"] for one in facets["formats"]} >= {"JPEG", "PNG", "WebP"}
    assert {one["value"] for one in facets["countries"]} == {"France", "Sweden"}
    assert [one["value"] for one in facets["years"]] == ["2016", "2017"]
    months = ask(client, f"{base}/timeline")
    bars = [{"start": "2016-07", "count": 1}, {"start": "2017-01", "count": 1}]
    assert months == {"buckets": bars, "next": None}
    days = ask(client, f"{base}/timeline", unit="day", q="camera:canon")
    assert days["buckets"] == [{"start": "2017-01-20", "count": 1}]
    world = ask(client, f"{base}/map")
    assert sorted(one["count"] for one in world["clusters"]) == [1, 1]
    part = ask(client, f"{base}/map", bounds="40,0,50,10", zoom=8)
    (alps,) = part["clusters"]
    assert ask(client, f"{base}/count", area=part["bounds"]) == {"number": 1, "exact": True}
    assert (part["zoom"], part["next"]) == (8, None)
    assert (round(alps["latitude"], 2), round(alps["longitude"], 2)) == (45.92, 6.87)
    assert client.get(f"{base}/map", params={"bounds": "a,b"}).status_code == 400
    assert client.get(f"{base}/timeline", params={"unit": "hour"}).status_code == 400
    assert client.get(f"{base}/timeline", params={"after": -1}).status_code == 400


def test_one_picture_with_all_that_is_known(
    client: httpx.Client, base: str, pictures: Path
) -> None:
    boat = picture(client, base, "camera:nikon")
    known = ask(client, f"{base}/{boat['id']}")
    data = (pictures / "Holidays" / "boat.jpg").read_bytes()
    assert known["picture"] == boat
    assert boat["sha256"] == hashlib.sha256(data).hexdigest()
    assert (known["sha1"], known["md5"]) == (
        hashlib.sha1(data).hexdigest(), hashlib.md5(data).hexdigest(),
    )  # fmt: skip
    assert [path["path"] for path in known["paths"]] == [
        "Holidays/boat.jpg", "Holidays/copy of boat.jpg",
    ]  # fmt: skip
    assert known["metadata"]["Exif"]["Model"] == "NIKON D90"
    assert round(known["place"]["latitude"], 2) == 45.92
    assert known["facts"].startswith("A ")
    runs = {run["stage"]: run for run in known["stages"]}
    assert runs["exif"]["state"] == "done"
    assert runs["exif"]["version"]
    assert runs["exif"]["finished_at"]
    assert "metadata" not in runs["exif"]["answer"]
    assert ask(client, f"{base}/{boat['id']}/near") == []


@pytest.mark.parametrize("path", ["", "/position", "/neighbours", "/near", "/thumbnail", "/view",
                                  "/original"])  # fmt: skip
@pytest.mark.parametrize("image", ["999999", "0", "-1", "9" * 40])
def test_an_image_that_is_not_in_the_job_is_not_there(
    client: httpx.Client, base: str, image: str, path: str
) -> None:
    answer = client.get(f"{base}/{image}{path}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not-found"


def test_an_image_of_another_job_is_not_there(web: WebServer, scanned: str) -> None:
    owner = web.account("examiner")
    client = web.client(owner)
    other = web.job(owner, "Office", stages=["exif"], run=True)
    outside = picture(
        web.client(web.administrator), f"/api/v1/jobs/{scanned}/pictures", "camera:nikon"
    )
    for path in ("", "/position", "/near", "/thumbnail", "/view", "/original"):
        answer = client.get(f"/api/v1/jobs/{other}/pictures/{outside['id']}{path}")
        assert answer.status_code == 404, path
    assert ask(client, f"/api/v1/jobs/{other}/faces", images=outside["id"]) == {}


def test_a_thumbnail_is_kept_for_ever(client: httpx.Client, base: str) -> None:
    boat = picture(client, base, "camera:nikon")
    answer = client.get(f"{base}/{boat['id']}/thumbnail")
    assert answer.headers["etag"] == f'"{boat["sha256"]}"'
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    with Image.open(io.BytesIO(answer.content)) as small:
        assert small.format == "JPEG"
        assert small.width > small.height
    again = client.get(
        f"{base}/{boat['id']}/thumbnail", headers={"if-none-match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_a_view_is_no_larger_than_asked(client: httpx.Client, base: str) -> None:
    boat = picture(client, base, "camera:nikon")
    answer = client.get(f"{base}/{boat['id']}/view", params={"side": 200})
    with Image.open(io.BytesIO(answer.content)) as view:
        assert (view.format, view.size) == ("JPEG", (200, 150))
    tag = {"if-none-match": answer.headers["etag"]}
    assert client.get(f"{base}/{boat['id']}/view?side=200", headers=tag).status_code == 304
    assert client.get(f"{base}/{boat['id']}/view?side=1").status_code == 400


def test_the_original_is_the_file(client: httpx.Client, base: str, pictures: Path) -> None:
    office = picture(client, base, "bold")
    answer = client.get(f"{base}/{office['id']}/original")
    assert answer.content == (pictures / "Office" / "<b>bold<" / "b>.jpg").read_bytes()
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-disposition"].startswith('attachment; filename="b_.jpg"')
    assert answer.headers["content-security-policy"].startswith("sandbox")


def test_a_file_that_changed_or_went_is_said(web: WebServer, pictures: Path) -> None:
    folder = pictures / "Changing"
    folder.mkdir()
    for name in ("same.jpg", "gone.jpg"):
        data = (pictures / "Holidays" / "boat.jpg").read_bytes() + name.encode()
        (folder / name).write_bytes(data)
    try:
        owner = web.account("examiner")
        client = web.client(owner)
        base = f"/api/v1/jobs/{web.job(owner, 'Changing', stages=['exif'], run=True)}/pictures"
        same, gone = (picture(client, base, name) for name in ("same", "gone"))
        (folder / "gone.jpg").unlink()
        data = (folder / "same.jpg").read_bytes()
        (folder / "same.jpg").write_bytes(data[:-1] + b"!")
        for what in ("original", "view"):
            answer = client.get(f"{base}/{gone['id']}/{what}")
            assert answer.status_code == 409
            assert answer.json()["error"]["code"] == "source-changed"
        assert client.get(f"{base}/{same['id']}/view").status_code == 409
        with pytest.raises(httpx.RemoteProtocolError):  # cut off, never short without a word
            client.get(f"{base}/{same['id']}/original")
        assert client.get(f"{base}/{gone['id']}/thumbnail").status_code == 200
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_faces_of_many_pictures(client: httpx.Client, scanned: str, base: str) -> None:
    address = f"/api/v1/jobs/{scanned}/faces"
    ids = [tile["id"] for tile in ask(client, base, limit=100)["pictures"]]
    boxes = ask(client, address, images=",".join(map(str, ids)))
    with_faces = {str(t["id"]) for t in ask(client, base, q="has:faces")["pictures"]}
    assert set(boxes) == with_faces
    for bad in ("", "1,a", "1;2", ",".join(["1"] * 501)):
        assert client.get(address, params={"images": bad}).status_code == 400
