"""One's own account, users, invitations and shares over REST."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from tests.support.people import race
from tests.support.web import PASSWORD, FreshWeb, Person, WebServer

from caseframe.catalog import jobs
from caseframe.domain.work import JobState

SignedIn = Callable[..., httpx.Client]


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_ones_own_name(signed_in: SignedIn) -> None:
    asks = signed_in("viewer")
    changed = asks.patch("/api/v1/me", json={"first_name": " Đặng   Thị "})
    assert (changed.json()["first_name"], changed.json()["last_name"]) == ("Đặng Thị", "Nyström")
    assert asks.get("/api/v1/me").json() == changed.json()
    bad = asks.patch("/api/v1/me", json={"first_name": "4", "last_name": ""})
    assert len(bad.json()["error"]["reasons"]) == 2


@pytest.mark.parametrize(
    "more",
    [{"role": "administrator"}, {"disabled": False}, {"email": "x@example.org"}, {"id": "1"}],
)
def test_nobody_changes_more_of_themselves(web: WebServer, more: dict[str, object]) -> None:
    """S5: not by one's own account, and not by that of the administrators."""
    person = web.account("examiner")
    asks = web.client(person)
    before = asks.get("/api/v1/me").json()
    assert asks.patch("/api/v1/me", json={"first_name": "Eve", **more}).status_code == 400
    assert asks.patch(f"/api/v1/users/{person.id}", json=more).status_code in {400, 403}
    assert _code(asks.patch(f"/api/v1/users/{person.id}", json={"role": "administrator"})) == (
        403, "forbidden",
    )  # fmt: skip
    assert asks.get("/api/v1/me").json() == before


def test_changing_the_password_starts_a_new_session(web: WebServer) -> None:
    person = web.account()
    asks = web.client(person)
    wrong = {"before": "Wrong-horse-7", "after": "Another-horse-8"}
    assert _code(asks.post("/api/v1/me/password", json=wrong)) == (401, "sign-in-refused")
    weak = {"before": PASSWORD, "after": "weak"}
    assert _code(asks.post("/api/v1/me/password", json=weak)) == (400, "invalid-input")
    good = asks.post("/api/v1/me/password", json={**wrong, "before": PASSWORD})
    assert set(good.json()) == {"accessToken", "refreshToken"}
    new = {"authorization": f"Bearer {good.json()['accessToken']}"}
    assert asks.get("/api/v1/me").status_code == 401
    assert asks.get("/api/v1/me", headers=new).status_code == 200
    assert any("was changed" in text for text in web.mails(person.email))


def test_sessions_are_listed_and_ended(web: WebServer) -> None:
    here = web.account()
    there, elsewhere = web.sign_in(here), web.sign_in(here)
    asks = web.client(here)
    listed = asks.get("/api/v1/me/sessions").json()
    assert len(listed) == 3
    assert [one["current"] for one in listed].count(True) == 1
    assert {one["user_agent"] for one in listed} == {"Test/1.0"}

    ids = {one["id"]: one for one in web.client(there).get("/api/v1/me/sessions").json()}
    theirs = next(number for number, one in ids.items() if one["current"])
    assert asks.delete(f"/api/v1/me/sessions/{theirs}").status_code == 204
    assert web.client(there).get("/api/v1/me").status_code == 401
    assert asks.delete(f"/api/v1/me/sessions/{theirs}").status_code == 404
    assert asks.delete("/api/v1/me/sessions").json() == {"sessions": 1}
    assert web.client(elsewhere).get("/api/v1/me").status_code == 401
    assert asks.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize("number", ["x", "../x", "%00", "00000000-0000-4000-8000-000000000000"])
def test_other_peoples_sessions_are_not_there(web: WebServer, number: str) -> None:
    victim = web.account()
    theirs = web.client(victim).get("/api/v1/me/sessions").json()[0]["id"]
    asks = web.client(web.account())
    assert asks.delete(f"/api/v1/me/sessions/{theirs}").status_code == 404
    assert asks.delete(f"/api/v1/me/sessions/{number}").status_code == 404
    assert web.client(victim).get("/api/v1/me").status_code == 200


_MANAGING = [
    ("GET", "/api/v1/users", None),
    ("GET", "/api/v1/users/{id}", None),
    ("PATCH", "/api/v1/users/{id}", {"disabled": True}),
    ("DELETE", "/api/v1/users/{id}", None),
    ("GET", "/api/v1/invitations", None),
    ("POST", "/api/v1/invitations", {"email": "new@example.org", "role": "administrator"}),
    ("DELETE", "/api/v1/invitations/{id}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), _MANAGING)
def test_users_are_for_administrators(
    web: WebServer, method: str, path: str, body: dict[str, object] | None
) -> None:
    """S3, S4: everybody else is refused, and nothing happens."""
    victim = web.account("viewer")
    address = path.format(id=victim.id)
    for role in ("viewer", "examiner"):
        asks = web.client(web.account(role))
        assert _code(asks.request(method, address, json=body)) == (403, "forbidden")
    assert web.client().request(method, address, json=body).status_code == 401
    assert web.client(victim).get("/api/v1/me").json()["role"] == "viewer"


def test_users_are_listed_filtered_and_paged(fresh_web: FreshWeb) -> None:
    web = fresh_web()
    admin = web.client(web.administrator)
    people = [web.account("viewer", "Bo", last) for last in ("Ek", "Al", "Ask", "Asp")]
    admin.patch(f"/api/v1/users/{people[0].id}", json={"disabled": True})
    found, after = [], None
    for _ in range(3):
        answer = admin.get(
            "/api/v1/users", params={"limit": 2, **({"after": after} if after else {})}
        )
        found += [one["email"] for one in answer.json()["users"]]
        after = answer.json()["next"]
    assert after is None
    assert found == sorted([web.administrator.email, *(one.email for one in people)])

    def emails(**wanted: object) -> set[str]:
        got = admin.get("/api/v1/users", params=wanted).json()["users"]  # type: ignore[arg-type]
        return {one["email"] for one in got}

    assert emails(text="bo as") == {people[2].email, people[3].email}
    assert emails(role="administrator") == {web.administrator.email}
    assert emails(disabled=True) == {people[0].email}
    assert emails(verified=False) == set()
    assert emails(text="%") == emails(text="_") == set()
    assert admin.get("/api/v1/users", params={"text": "\0_"}).status_code == 400
    assert admin.get("/api/v1/users", params={"after": "no address"}).status_code == 400
    assert admin.get("/api/v1/users", params={"limit": 0}).status_code == 400


def test_roles_and_shutting_out(web: WebServer) -> None:
    person, admin = web.account("viewer"), web.client(web.administrator)
    asks, path = web.client(person), f"/api/v1/users/{person.id}"
    assert asks.get("/api/v1/sources").status_code == 403
    assert admin.patch(path, json={"role": "examiner"}).json()["role"] == "examiner"
    assert asks.get("/api/v1/sources").status_code == 200
    assert admin.patch(path, json={"disabled": True}).json()["disabled_at"]
    assert asks.get("/api/v1/sources").status_code == 401
    known = {"email": person.email, "password": PASSWORD}
    assert _code(web.client().post("/auth/signin", json=known)) == (403, "account-disabled")
    assert admin.patch(path, json={"disabled": False}).json()["disabled_at"] is None
    assert web.client().post("/auth/signin", json=known).status_code == 200
    assert admin.patch(path, json={"role": "emperor"}).status_code == 400
    assert admin.patch("/api/v1/users/nobody", json={"role": "viewer"}).status_code == 404


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"disabled": True}, None])
def test_the_last_administrator_stays(
    fresh_web: FreshWeb, change: dict[str, object] | None
) -> None:
    web = fresh_web()
    path = f"/api/v1/users/{web.administrator.id}"
    admin = web.client(web.administrator)
    answer = admin.delete(path) if change is None else admin.patch(path, json=change)
    assert _code(answer) == (409, "last-administrator")
    assert admin.get("/api/v1/users").status_code == 200


def test_two_administrators_cannot_both_go(fresh_web: FreshWeb) -> None:
    web = fresh_web()
    other = web.account("administrator")
    both = [web.client(web.administrator), web.client(other)]
    paths = [f"/api/v1/users/{other.id}", f"/api/v1/users/{web.administrator.id}"]
    found = race(*[
        lambda c=client, p=path: c.patch(p, json={"role": "viewer"}).status_code
        for client, path in zip(both, paths, strict=True)
    ])  # fmt: skip
    assert found.count(200) == 1, found
    assert set(found) <= {200, 403, 409}


def _owner_of(web: WebServer, job: str) -> str | None:
    with web.services.catalog.read() as connection:
        return jobs.get_job(connection, job).owner_id


def test_deleting_a_user_asks_about_the_jobs_first(web: WebServer) -> None:
    person, heir = web.account(), web.account()
    made = [web.job(person, "Office", name="One"), web.job(person, "Many", name="Two")]
    admin, path = web.client(web.administrator), f"/api/v1/users/{person.id}"

    asked = admin.delete(path)
    assert _code(asked) == (409, "jobs-undecided")
    assert asked.json()["jobs"] == 2
    assert "2 jobs" in asked.json()["error"]["message"]
    for heir_id in (None, person.id, "nobody", web.account("viewer").id):
        wanted = {"jobs": "hand-over", **({"heir": heir_id} if heir_id else {})}
        assert admin.delete(path, params=wanted).status_code in {404, 409}
    assert admin.delete(path, params={"jobs": "burn"}).status_code == 400
    assert web.client(person).get("/api/v1/me").status_code == 200

    done = admin.delete(path, params={"jobs": "hand-over", "heir": heir.id}).json()
    assert sorted(job["name"] for job in done["jobs"]) == ["One", "Two"]
    assert "2 jobs handed over" in done["message"]
    assert {_owner_of(web, job) for job in made} == {heir.id}
    assert admin.get(path).status_code == 404
    assert web.client(person).get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("then", ["keep", "delete"])
def test_what_else_can_become_of_jobs(web: WebServer, then: str) -> None:
    person = web.account()
    job = web.job(person, "Office", run=True)
    admin = web.client(web.administrator)
    done = admin.delete(f"/api/v1/users/{person.id}", params={"jobs": then})
    assert done.status_code == 200
    seen = admin.get(f"/api/v1/jobs/{job}").status_code
    assert seen == (200 if then == "keep" else 404)
    assert (web.sources / "Office/notes.txt").exists()


def test_a_running_job_is_not_deleted_with_its_owner(web: WebServer) -> None:
    person = web.account()
    job = web.job(person, "Office")
    with web.services.catalog.begin() as connection:
        jobs.start_job(connection, job, ())
        assert jobs.get_job(connection, job).state is JobState.RUNNING
    admin = web.client(web.administrator)
    path = f"/api/v1/users/{person.id}"
    assert _code(admin.delete(path, params={"jobs": "delete"})) == (409, "conflict")
    assert web.client(person).get(f"/api/v1/jobs/{job}").status_code == 200
    with web.services.catalog.begin() as connection:
        jobs.end_job(connection, job, JobState.STOPPED)
    assert admin.delete(path, params={"jobs": "delete"}).status_code == 200


def test_invitations(web: WebServer) -> None:
    admin = web.client(web.administrator)
    wanted = {"email": "Guest.One@example.org", "role": "examiner"}
    made = admin.post("/api/v1/invitations", json=wanted)
    assert made.status_code == 201
    assert made.json() in admin.get("/api/v1/invitations").json()
    assert "as examiner" in web.mails(wanted["email"])[-1]
    again = admin.post("/api/v1/invitations", json=wanted).json()
    listed = [one["id"] for one in admin.get("/api/v1/invitations").json()]
    assert again["id"] in listed
    assert made.json()["id"] not in listed
    gone = f"/api/v1/invitations/{again['id']}"
    assert admin.delete(gone).status_code == 204
    assert admin.delete(gone).status_code == 404
    assert web.client().get("/auth/invitation", params={"key": web.key(wanted["email"])}).json()[
        "error"]["code"] == "key-refused"  # fmt: skip
    taken = {"email": web.administrator.email}
    assert _code(admin.post("/api/v1/invitations", json=taken)) == (409, "email-taken")
    bad = {"email": "a\r\nbcc: b@example.org"}
    assert _code(admin.post("/api/v1/invitations", json=bad)) == (400, "invalid-input")


def test_nobody_is_invited_to_a_closed_case(fresh_web: FreshWeb) -> None:
    web = fresh_web(sign_up="closed")
    asked = web.client(web.administrator).post(
        "/api/v1/invitations", json={"email": "a@example.org"}
    )
    assert _code(asked) == (403, "sign-up-refused")


def _sharing(web: WebServer) -> tuple[Person, Person, str]:
    owner, friend = web.account(), web.account()
    return owner, friend, web.job(owner, "Office", name="Shared")


def test_a_job_is_shared_and_taken_back(web: WebServer) -> None:
    owner, friend, job = _sharing(web)
    path, asks, guest = f"/api/v1/jobs/{job}/shares", web.client(owner), web.client(friend)
    assert asks.get(path).json() == []
    assert guest.get(f"/api/v1/jobs/{job}").status_code == 404
    shared = asks.put(path, json={"email": friend.email.upper(), "level": "viewer"})
    assert (shared.json()["user_id"], shared.json()["level"]) == (friend.id, "viewer")
    assert guest.get(f"/api/v1/jobs/{job}").json()["access"] == "viewer"
    assert guest.patch(f"/api/v1/jobs/{job}", json={"name": "Mine"}).status_code == 403
    assert asks.put(path, json={"email": friend.email, "level": "editor"}).status_code == 200
    assert guest.patch(f"/api/v1/jobs/{job}", json={"name": "Ours"}).status_code == 200
    assert [one["level"] for one in asks.get(path).json()] == ["editor"]
    assert asks.delete(f"{path}/{friend.id}").status_code == 204
    assert guest.get(f"/api/v1/jobs/{job}").status_code == 404
    assert asks.delete(f"{path}/{friend.id}").status_code == 404


def test_those_who_were_let_in_see_and_give_up_their_own_share(web: WebServer) -> None:
    owner, friend, job = _sharing(web)
    third = web.account()
    path = f"/api/v1/jobs/{job}/shares"
    for one in (friend, third):
        web.client(owner).put(path, json={"email": one.email, "level": "editor"})
    guest = web.client(friend)
    assert [one["user_id"] for one in guest.get(path).json()] == [friend.id]
    assert guest.put(path, json={"email": third.email}).status_code == 403
    assert guest.delete(f"{path}/{third.id}").status_code == 403
    assert guest.delete(f"{path}/{friend.id}").status_code == 204
    assert guest.get(path).status_code == 404


def test_what_sharing_refuses(web: WebServer) -> None:
    owner, friend, job = _sharing(web)
    path, asks = f"/api/v1/jobs/{job}/shares", web.client(owner)
    assert asks.put(path, json={"email": friend.email, "level": "owner"}).status_code == 400
    assert asks.put(path, json={"email": "nobody@example.org"}).status_code == 404
    assert asks.put(path, json={"email": owner.email}).status_code == 409
    stranger = web.client(web.account())
    for answer in (
        stranger.get(path), stranger.put(path, json={"email": friend.email}),
        stranger.delete(f"{path}/{friend.id}"),
    ):  # fmt: skip
        assert answer.status_code == 404
