"""POST /vision/process-image, as programs use it."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests import makers
from tests.makers.names import UPLOAD_NAMES
from tests.support.web import FreshWeb, WebServer

ADDRESS = "/vision/process-image"
PHOTO = makers.photo(320, 240, 1)
OTHER = makers.photo(200, 300, 2, format="PNG")


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def error(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["message"])


@pytest.fixture
def viewer(signed_in: Callable[..., httpx.Client]) -> httpx.Client:
    return signed_in("viewer")


@pytest.fixture
def said(viewer: httpx.Client) -> list[str]:
    """What is said of the two pictures when each comes alone."""
    found = []
    for data in (PHOTO, OTHER):
        answer = viewer.post(ADDRESS, json={"image": text(data), "model": "FACTS"})
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["description"])
    assert all(words.endswith(".") and len(words) > 10 for words in found)
    return found


def test_one_picture_in_json(viewer: httpx.Client, said: list[str]) -> None:
    answer = viewer.post(ADDRESS, json={"image": text(PHOTO), "model": "FACTS"}).json()
    assert answer == {"description": said[0], "model": "FACTS"}


def test_several_pictures_in_json_come_back_in_their_order(
    viewer: httpx.Client, said: list[str]
) -> None:
    images = [text(data) for data in (PHOTO, OTHER) * 20]
    answer = viewer.post(ADDRESS, json={"images": images, "model": "FACTS"}).json()
    assert [one["description"] for one in answer] == said * 20


def test_a_list_of_one_is_answered_by_a_list(viewer: httpx.Client, said: list[str]) -> None:
    answer = viewer.post(ADDRESS, json={"images": [text(PHOTO)]}).json()
    assert [one["description"] for one in answer] == said[:1]


def test_a_form_with_one_file_and_with_several(viewer: httpx.Client, said: list[str]) -> None:
    one = viewer.post(ADDRESS, files={"image": PHOTO}, data={"model": "FACTS"})
    assert one.json()["description"] == said[0]
    files = [("image", ("a.jpg", PHOTO)), ("other", ("b.png", OTHER)), ("image", ("c", PHOTO))]
    several = viewer.post(ADDRESS, files=files, data={"model": "2"})
    assert [found["description"] for found in several.json()] == [said[0], said[1], said[0]]


@pytest.mark.parametrize("model", ["FACTS", "facts", 2, "2", None, ""])
def test_ways_to_name_the_model(viewer: httpx.Client, said: list[str], model: object) -> None:
    answer = viewer.post(ADDRESS, json={"image": text(PHOTO), "model": model})
    assert answer.json() == {"description": said[0], "model": "FACTS"}


@pytest.mark.parametrize("model", ["GPT", 3, -1, True, 1.5, ["FACTS"], {"a": 1}, "9" * 5000])
def test_no_such_model(viewer: httpx.Client, model: object) -> None:
    answer = viewer.post(ADDRESS, json={"image": text(PHOTO), "model": model})
    assert "BLIP = 0, BLIP_QUANTIZED = 1, FACTS = 2" in error(answer, 400)


def test_a_model_that_is_not_installed_names_the_command(
    fresh_web: FreshWeb, tmp_path: Any
) -> None:
    web = fresh_web(models_dir=tmp_path / "none")
    viewer = web.client(web.account("viewer"))
    for asked in ({"image": text(PHOTO)}, {"images": [text(PHOTO)] * 2}):
        message = error(viewer.post(ADDRESS, json={**asked, "model": "BLIP"}), 409)
        assert "caseframe models pull" in message or "pip install" in message
    found = viewer.get("/api/v1/models").json()
    models = {one["name"]: one for one in found["models"]}
    assert found["default"] == "FACTS"
    assert found["allowance"] is None
    assert models["FACTS"]["available"]
    assert models["FACTS"]["reason"] is None
    assert not models["BLIP"]["available"]
    assert "run:" in models["BLIP"]["reason"]
    stranger = web.client().get("/api/v1/models").json()
    assert stranger["allowance"] == {"limit": 3, "left": 3, "wait": 0}
    assert {one["reason"] for one in stranger["models"]} == {None, "not installed here"}


def test_a_bad_picture_among_good_ones_has_an_error_of_its_own(
    viewer: httpx.Client, said: list[str]
) -> None:
    images: list[Any] = [text(PHOTO), text(b"no picture"), "", "%%%", 7, text(OTHER)]
    answer = viewer.post(ADDRESS, json={"images": images})
    assert answer.status_code == 200
    found = answer.json()
    assert [one["description"] for one in found] == [said[0], "", "", "", "", said[1]]
    assert "error" not in found[0]
    reasons = [one["error"] for one in found[1:5]]
    assert [word in reason for word, reason in zip(
        ("not a picture", "0 bytes", "base64", "base64"), reasons, strict=True
    )] == [True] * 4, reasons  # fmt: skip


def test_a_batch_of_only_bad_pictures(viewer: httpx.Client) -> None:
    files = [("a", ("a", b"")), ("b", ("b", b"text")), ("c", ("c", PHOTO[:3000]))]
    found = viewer.post(ADDRESS, files=files).json()
    assert [one["description"] for one in found] == ["", "", ""]
    assert all(one["error"] for one in found)


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 400, "empty"),
        (b"no picture", 422, "not a picture"),
        (PHOTO[: len(PHOTO) // 2], 422, "corrupt"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "not a picture"),
    ],
)
def test_a_single_bad_picture(viewer: httpx.Client, data: bytes, status: int, words: str) -> None:
    assert words in error(viewer.post(ADDRESS, json={"image": text(data)}), status)
    assert words in error(viewer.post(ADDRESS, files={"image": data}), status)


@pytest.mark.parametrize("name", ["bilevel", "rgb", "grey"])
def test_decompression_bombs_are_over_the_limit(viewer: httpx.Client, name: str) -> None:
    bomb = {"bilevel": makers.png_bilevel, "rgb": makers.png_rgb, "grey": makers.png_grey}[name]()
    answer = viewer.post(ADDRESS, files={"image": bomb})
    # 12,000 x 12,000 grey pixels are within the limit of 150 million, and simply described.
    if answer.status_code != 200:
        assert "limit" in error(answer, 422)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"images": []}', b'{"images": "x"}',
        b'{"images": {}}', b'{"image": "", "images": []}', b'{"image": null}', b'{"image": 1}',
        b'{"image": "*"}', b"\xff\xfe", b"[" * 100_000, b'{"image":' + b"[" * 100_000,
        b'{"image": "\\ud800"}', b'{"image": NaN}',
    ],
)  # fmt: skip
def test_json_that_makes_no_sense(viewer: httpx.Client, body: bytes) -> None:
    answer = viewer.post(ADDRESS, content=body, headers={"content-type": "application/json"})
    assert error(answer, 400)


@pytest.mark.parametrize("sign", [b"[],", b"{},", b"0,"])
def test_json_that_would_take_many_times_its_size_is_not_parsed(
    web: WebServer, sign: bytes
) -> None:
    """S18: parsed, lists in lists would hold memory and everybody else."""
    body = b'{"image": "", "x": [' + sign * 500_000 + b"0]}"
    answer = web.client().post(ADDRESS, content=body, headers={"content-type": "application/json"})
    assert "more than pictures" in error(answer, 400)


@pytest.mark.parametrize("kind", [None, "text/plain", "image/jpeg", "application/octet-stream"])
def test_other_kinds_of_body_are_told_what_is_taken(viewer: httpx.Client, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    assert "multipart/form-data" in error(viewer.post(ADDRESS, content=PHOTO, headers=headers), 400)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b"nonsense"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\ndata\r\n--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nFACTS\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\ncut off',
        ),
    ],
)
def test_forms_that_make_no_sense(viewer: httpx.Client, kind: str, body: bytes) -> None:
    answer = viewer.post(ADDRESS, content=body, headers={"content-type": kind})
    assert error(answer, 400)


def test_names_of_uploads_are_never_looked_at(viewer: httpx.Client, said: list[str]) -> None:
    """S2."""
    for name in UPLOAD_NAMES:
        head = f'--x\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'
        body = head.encode("utf-8", "surrogateescape") + PHOTO + b"\r\n--x--\r\n"
        kind = {"content-type": "multipart/form-data; boundary=x"}
        answer = viewer.post(ADDRESS, content=body, headers=kind)
        # A line end in the name ends the header: that form is broken, all others are fine.
        if answer.status_code == 200:
            assert answer.json()["description"] == said[0]
        else:
            assert error(answer, 400)
            assert set(name) & set('\r\n\x00"'), name


def test_data_urls_and_base64_in_lines(viewer: httpx.Client, said: list[str]) -> None:
    lines = base64.encodebytes(PHOTO).decode()
    for image in (f"data:image/jpeg;base64,{text(PHOTO)}", lines):
        answer = viewer.post(ADDRESS, json={"image": image})
        assert answer.json()["description"] == said[0]


def test_the_token_in_either_header(web: WebServer) -> None:
    token = web.account("viewer").tokens.access
    for headers in ({"token": token}, {"authorization": f"Bearer {token}"}):
        answer = web.client().post(ADDRESS, json={"image": text(PHOTO)}, headers=headers)
        assert answer.status_code == 200
        assert "ratelimit-remaining" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"token": "nonsense"}, {"token": ""}, {"authorization": "Bearer nonsense"},
        {"authorization": "Bearer"}, {"authorization": "Basic YTpi"},
        {"cookie": "caseframe_access=nonsense"},
    ],
)  # fmt: skip
def test_a_token_that_is_not_valid_is_never_taken_for_none(
    web: WebServer, headers: dict[str, str]
) -> None:
    given = {**headers, "origin": web.url}
    answer = web.client().post(ADDRESS, json={"image": text(PHOTO)}, headers=given)
    assert error(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.fixture
def open_door(fresh_web: FreshWeb) -> WebServer:
    """A server that nobody has asked for anything yet."""
    return fresh_web()


def test_visitors_have_three_calls_an_hour(open_door: WebServer) -> None:
    stranger = open_door.client()
    assert error(stranger.post(ADDRESS, json={"image": ""}), 400)  # was never work
    left = []
    for _ in range(3):
        answer = stranger.post(ADDRESS, json={"image": text(PHOTO)})
        assert answer.status_code == 200
        left.append(answer.headers["ratelimit-remaining"])
    assert left == ["2", "1", "0"]
    refused = stranger.post(ADDRESS, json={"image": text(PHOTO)})
    assert "sign in" in error(refused, 429)
    assert 3000 < int(refused.headers["retry-after"]) <= 3600
    now = stranger.get("/api/v1/models").json()["allowance"]
    assert (now["limit"], now["left"]) == (3, 0)
    assert math.isclose(now["wait"], int(refused.headers["retry-after"]), abs_tol=60)
    # The name of another address, told by the client itself, is not believed.
    for header in ("x-forwarded-for", "x-real-ip", "forwarded"):
        again = stranger.post(
            ADDRESS, json={"image": text(PHOTO)}, headers={header: "198.51.100.7"}
        )
        assert again.status_code == 429
    viewer = open_door.client(open_door.account("viewer"))
    assert viewer.post(ADDRESS, json={"image": text(PHOTO)}).status_code == 200


def test_a_visitors_batch_is_one_call_and_bounded(open_door: WebServer) -> None:
    stranger = open_door.client()
    many = stranger.post(ADDRESS, json={"images": [text(PHOTO)] * 11})
    assert "10 pictures" in error(many, 400)
    ten = stranger.post(ADDRESS, json={"images": [text(PHOTO)] * 10})
    assert len(ten.json()) == 10
    assert ten.headers["ratelimit-remaining"] == "2"


def test_without_calls_for_visitors_one_must_sign_in(fresh_web: FreshWeb) -> None:
    stranger = fresh_web(anonymous_calls=0).client()
    assert "sign in" in error(stranger.post(ADDRESS, json={"image": text(PHOTO)}), 401)
    assert stranger.get("/api/v1/models").json()["allowance"]["limit"] == 0


def test_limits_of_pictures_parts_and_body(fresh_web: FreshWeb) -> None:
    web = fresh_web(vision_image_bytes=50_000, max_parts=3, max_body_bytes=1_000_000)
    viewer = web.client(web.account("viewer"))
    large = PHOTO + bytes(60_000)
    assert "limit" in error(viewer.post(ADDRESS, files={"a": large}), 400)
    found = viewer.post(ADDRESS, files=[("a", PHOTO), ("b", large)]).json()
    assert found[0]["description"]
    assert "limit" in found[1]["error"]
    four = [(str(n), PHOTO) for n in range(4)]
    assert "3" in error(viewer.post(ADDRESS, files=four), 400)
    assert "3" in error(viewer.post(ADDRESS, json={"images": [text(PHOTO)] * 4}), 400)
    body = json.dumps({"image": text(bytes(200_000))}).encode()
    kind = {"content-type": "application/json"}
    assert error(viewer.post(ADDRESS, content=body, headers=kind), 413)
    assert error(viewer.post(ADDRESS, files={"a": bytes(1_100_000)}), 413)
    chunks = (bytes(10_000) for _ in range(200))
    assert error(viewer.post(ADDRESS, content=chunks, headers=kind), 413)
    assert viewer.post(ADDRESS, files={"a": PHOTO}).status_code == 200
