"""People: how they sign in and out, by program and by browser, and what those who are nobody try in their place."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from harness.api import describe
from harness.fleet import Fleet
from harness.people import (
    PASSWORD,
    Authenticator,
    Browser,
    Person,
    accept,
    add_second_factor,
    forwarded,
    invite,
    join,
    new_address,
    new_email,
    totp,
    try_to_sign_in,
)
from harness.postern import Postern
from harness.postgres import Database
from harness.waiting import until

# Attempts that an account and an address have in 15 minutes.
ACCOUNT, ADDRESS = 4, 9
# What the product promises of sessions that another process has to hear of, in seconds.
PROMISE = 2.0
OTHER = "seven other words beside a kettle"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postern]:
    """An instance behind a proxy on this machine, so that tests come from as many addresses as they like."""
    environment = {
        "POSTERN_TRUSTED_PROXIES": "127.0.0.1",
        "POSTERN_SIGN_IN_ACCOUNT_ATTEMPTS": str(ACCOUNT),
        "POSTERN_SIGN_IN_ADDRESS_ATTEMPTS": str(ADDRESS),
    }
    with Postern(tmp_path_factory.mktemp("people"), **environment) as postern:
        yield postern
        postern.terminate()
        log = postern.log.read_text(errors="replace")
        assert PASSWORD not in log and OTHER not in log and postern.card["owner"]["password"] not in log


@pytest.fixture
def owner(house: Postern) -> Person:
    return house.owner(new_address())


@pytest.fixture
def person(owner: Person) -> Person:
    return join(owner, vaults={"default": "operator"})


@pytest.fixture
def browser(house: Postern, person: Person) -> Browser:
    """The person's browser, signed in."""
    browser = Browser(house.url, new_address())
    browser.sign_in(person.email, PASSWORD)
    return browser


def refused(answer: requests.Response, status: int, code: str) -> dict:
    assert (answer.status_code, answer.json()["code"]) == (status, code), describe(answer)
    return answer.json()


def words(problem: dict) -> tuple[str, ...]:
    """What a refusal says, without the request's own id."""
    return tuple(str(problem[name]) for name in ("type", "title", "status", "code", "detail", "fix", "docs"))


def sign_in(house: Postern, email: str, password: str, address: str | None = None, **options: Any) -> requests.Response:
    return try_to_sign_in(house.url, email, password, address=address or new_address(), **options)


def records(owner: Person, **query: str) -> list[dict]:
    """The instance's audit log, newest first."""
    return owner.call("GET", "/api/audit", params={"limit": 100, **query})["data"]


# Signing in and out


def test_who_signed_in_is_shown_who_they_are(house: Postern, person: Person) -> None:
    answer = person.again().answer
    assert answer["token"].count(".") == 2 and answer["refresh_token"].startswith("rt_")
    assert 0 < answer["expires_in"] <= 900
    me = person.call("GET", "/auth/me")
    assert me["user"] == {
        "id": person.id, "email": person.email, "name": "Ada Person", "role": "member", "second_factor": False,
    }  # fmt: skip
    (membership,) = me["memberships"]
    assert (membership["slug"], membership["role"]) == ("default", "operator")
    assert membership["vault"].startswith("vlt_")
    assert me["session"]["method"] == "password" and me["csrf"] is None
    assert person.within("default").call("GET", "/v1/me")["kind"] == "member"


def test_an_address_is_known_by_any_spelling_and_nothing_else(house: Postern, person: Person) -> None:
    local, _, domain = person.email.partition("@")
    assert sign_in(house, f"{local.upper()}@{domain.upper()}", PASSWORD).status_code == 200
    for other in (f" {person.email}", f"{person.email}\u0000", f"{local}+x@{domain}", f"{local}@{domain}.", "%", ""):
        assert sign_in(house, other, PASSWORD).status_code in (401, 422), other


def test_signing_out_ends_the_session_at_once(house: Postern, person: Person) -> None:
    other = person.again()
    browser = Browser(house.url, new_address())
    signed_in = browser.sign_in(person.email, PASSWORD)
    program = Person(house.url, signed_in, password=PASSWORD, address=browser.address)
    assert browser.is_signed_in and program.is_signed_in
    kept = dict(browser.cookies)
    answer = browser.api("POST", "/auth/logout")
    assert answer.status_code == 204 and not browser.cookies, "the browser forgets"
    # Whoever copied any of it has nothing.
    assert not program.is_signed_in
    browser.set_cookie("postern_session", str(kept["postern_session"]))
    assert not browser.is_signed_in
    refused(program.refresh(), 401, "unauthorized")
    assert other.is_signed_in, "other sessions are other sessions"


def test_a_wrong_password_and_a_wrong_name_are_one_refusal(house: Postern, owner: Person, person: Person) -> None:
    gone = join(owner)
    owner.call("PATCH", f"/api/users/{gone.id}", json={"state": "disabled"})
    tries = [(person.email, "wrong words"), (new_email(), PASSWORD), (gone.email, "wrong words"), ("x", "y")]
    refusals = [refused(sign_in(house, *pair), 401, "unauthorized") for pair in tries]
    assert len({words(refusal) for refusal in refusals}) == 1
    assert not any(email in json.dumps(refusal) for refusal, (email, _) in zip(refusals[:3], tries))
    # Only who has the right password learns that an account is disabled.
    refused(sign_in(house, gone.email, PASSWORD), 403, "sign_in_refused")


def test_a_name_that_nobody_has_takes_as_long(house: Postern, person: Person) -> None:
    def fastest(email: str) -> float:
        times = []
        for _ in range(3):
            began = time.monotonic()
            assert sign_in(house, email, "wrong words").status_code == 401
            times.append(time.monotonic() - began)
        return min(times)

    assert fastest(new_email()) > 0.4 * fastest(person.email)


def test_what_a_sign_in_is_not(house: Postern, person: Person) -> None:
    """Whatever comes in the place of a name and a password is refused, and is no server's error."""
    good = {"email": person.email, "password": PASSWORD}
    hostile = [
        {}, {"email": person.email}, {**good, "role": "owner"}, {**good, "totp": 123456}, {**good, "password": None},
        {**good, "password": [PASSWORD]}, {**good, "email": {"$ne": ""}}, {**good, "password": "x" * 5000},
        {**good, "email": "' OR 1=1 --"}, {**good, "totp": "9" * 2000},
    ]  # fmt: skip
    for body in hostile:
        answer = requests.post(f"{house.url}/auth/login", json=body, headers=forwarded(new_address()), timeout=30)
        assert answer.status_code in (401, 422), describe(answer)
        assert not answer.cookies
    for raw in (b"", b"[]", b"null", b'"x"', b"{", b"\xff\xfe", b'{"email":"a","email":"b","password":"c"}'):
        answer = requests.post(f"{house.url}/auth/login", data=raw, headers=forwarded(new_address()), timeout=30)
        assert answer.status_code in (400, 422), describe(answer)
    form = {"email": person.email, "password": PASSWORD}
    refused(requests.post(f"{house.url}/auth/login", data=form, timeout=30), 415, "unsupported_media_type")


# Tokens


def test_tokens_that_were_not_made_here_open_nothing(house: Postern, person: Person) -> None:
    header, payload, signature = person.answer["token"].split(".")

    def part(document: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    def read(text: str) -> dict:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))

    assert read(header)["alg"] == "HS256"
    forged = [
        f"{part({'alg': 'none', 'typ': 'JWT'})}.{payload}.", f"{part({'alg': 'none'})}.{payload}.{signature}",
        f"{part({'alg': 'NONE'})}.{payload}.", f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{payload}.{signature}",
        f"{header}.{part({**read(payload), 'exp': 9999999999})}.{signature}",
        f"{header}.{part({**read(payload), 'sub': house.owner(new_address()).id})}.{signature}",
        f"{header}.{payload}.", f"{header}.{payload}.{signature[:-4]}AAAA", f"{header}.{payload}", "a.b.c", "..", ".",
        person.answer["refresh_token"], f"{header}.{payload}.{signature}.{signature}",
        f"{part({'alg': 'HS256', 'jwk': {'kty': 'oct', 'k': 'AA'}})}.{payload}.{signature}",
        "eyJ." + "A" * 60_000 + ".x",
    ]  # fmt: skip
    for text in forged:
        answer = requests.get(f"{house.url}/auth/me", headers={"Authorization": f"Bearer {text}"}, timeout=30)
        assert answer.status_code == 401, f"{text[:200]}: {describe(answer)}"
    assert person.is_signed_in


def test_a_refresh_token_works_once_and_a_thief_ends_the_session(house: Postern, owner: Person, person: Person) -> None:
    stolen = person.answer["refresh_token"]
    second = person.refreshed()
    third = second.refreshed()
    assert len({stolen, second.answer["refresh_token"], third.answer["refresh_token"]}) == 3
    bystander = person.again()
    # Either the thief or the person comes second: nobody can tell, and so both are out.
    refused(person.refresh(stolen), 401, "unauthorized")
    for session in (person, second, third):
        assert not session.is_signed_in
    refused(third.refresh(), 401, "unauthorized")
    assert bystander.is_signed_in
    assert any("refresh_reuse" in json.dumps(record) for record in records(owner, actor=person.id))


def test_what_is_no_refresh_token_is_refused(house: Postern, person: Person) -> None:
    for text in ("", "rt_", "rt_" + "A" * 43, person.answer["token"], person.answer["refresh_token"][:-1], "\u0000"):
        refused(person.refresh(text or None) if text else _refresh(house, {"refresh_token": ""}), 401, "unauthorized")
    refused(_refresh(house, {}), 401, "unauthorized")
    refused(_refresh(house, {"refresh_token": 1}), 422, "validation_failed")
    assert person.is_signed_in


def _refresh(house: Postern, body: dict) -> requests.Response:
    return requests.post(f"{house.url}/auth/refresh", json=body, timeout=30)


# Cookies


def test_cookies_are_for_the_server_and_for_our_own_pages(house: Postern, person: Person) -> None:
    flags = cookie_flags(sign_in(house, person.email, PASSWORD))
    assert flags["postern_session"] == {"Path=/", "HttpOnly", "SameSite=Lax"}
    assert flags["postern_csrf"] == {"Path=/", "SameSite=Lax"}
    assert flags["postern_refresh"] == {"Path=/auth", "HttpOnly", "SameSite=Strict"}


def test_with_an_https_address_cookies_are_secure(new_postern: Callable[..., Postern]) -> None:
    postern = new_postern(POSTERN_PUBLIC_URL="https://postern.example.com")
    postern.start()
    card = postern.card["owner"]
    answer = try_to_sign_in(postern.url, card["email"], card["password"])
    flags = cookie_flags(answer)
    assert set(flags) == {"postern_session", "postern_csrf", "postern_refresh"}
    assert all("Secure" in each for each in flags.values())
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    gone = requests.post(f"{postern.url}/auth/logout", headers=headers, timeout=30)
    assert all({"Secure", "Max-Age=0"} <= each for each in cookie_flags(gone).values())


def cookie_flags(answer: requests.Response) -> dict[str, set[str]]:
    raw = answer.raw.headers.getlist("Set-Cookie")
    assert answer.ok and raw, describe(answer)
    pairs = [line.split("; ") for line in raw]
    return {parts[0].partition("=")[0]: set(parts[1:]) for parts in pairs}


def test_a_session_that_somebody_chose_is_never_taken(house: Postern, person: Person) -> None:
    """Session fixation: a sign-in makes new texts, and those from before it stay worthless."""
    browser = Browser(house.url, new_address())
    chosen = "A" * 43
    browser.set_cookie("postern_session", chosen)
    browser.set_cookie("postern_csrf", chosen)
    assert not browser.is_signed_in
    browser.sign_in(person.email, PASSWORD)
    first = browser.cookies["postern_session"]
    assert first and first != chosen
    thief = Browser(house.url, new_address())
    thief.set_cookie("postern_session", chosen)
    assert not thief.is_signed_in
    browser.sign_in(person.email, PASSWORD)
    assert browser.cookies["postern_session"] not in (first, chosen)


def test_a_cookie_alone_changes_nothing(house: Postern, browser: Browser, person: Person) -> None:
    """CSRF: a page of another site makes the browser send its cookies, and cannot know the token."""
    rename = ("PATCH", "/auth/me")
    another = Browser(house.url, new_address())
    another.sign_in(person.email, PASSWORD)
    tokens = ["", "x", str(browser.cookies["postern_session"]), str(another.cookies["postern_csrf"])]
    refused(browser.api(*rename, csrf=False, json={"name": "Mallory"}), 403, "csrf_refused")
    for token in tokens:
        headers = {"X-CSRF-Token": token}
        refused(browser.api(*rename, csrf=False, headers=headers, json={"name": "Mallory"}), 403, "csrf_refused")
    for method, path in [("POST", "/auth/logout"), ("DELETE", "/auth/sessions"), ("POST", "/auth/totp")]:
        refused(browser.api(method, path, csrf=False), 403, "csrf_refused")
    vault = {"X-Postern-Vault": "default"}
    refused(browser.api("POST", "/v1/keys", csrf=False, headers=vault, json={"label": "x"}), 403, "csrf_refused")
    assert browser.call(*rename, json={"name": "Ada Other"})["name"] == "Ada Other"
    assert browser.call("GET", "/auth/me")["csrf"] == browser.cookies["postern_csrf"]
    # Programs show a token that no browser sends by itself.
    assert person.call(*rename, json={"name": "Ada Third"})["name"] == "Ada Third"


def test_a_page_of_another_site_is_refused_even_with_the_token(
    house: Postern, browser: Browser, person: Person
) -> None:
    neighbour = house.url.replace("127.0.0.1", "127.0.0.2")
    for origin in ("https://evil.example", "null", f"{house.url}.evil.example", neighbour):
        sent = {"Origin": origin}
        refused(browser.api("PATCH", "/auth/me", headers=sent, json={"name": "Mallory"}), 403, "csrf_refused")
        # Nor may it sign its visitor in as somebody of its choice.
        refused(sign_in(house, person.email, PASSWORD, headers=sent), 403, "csrf_refused")
    for site in ("cross-site", "same-site"):
        sent = {"Sec-Fetch-Site": site}
        refused(sign_in(house, person.email, PASSWORD, headers=sent), 403, "csrf_refused")
        refused(browser.api("POST", "/auth/refresh", headers=sent), 403, "csrf_refused")
    assert browser.call("PATCH", "/auth/me", headers={"Origin": house.url}, json={"name": "Ada"})["name"] == "Ada"
    own = {"Origin": house.url, "Sec-Fetch-Site": "same-origin"}
    assert sign_in(house, person.email, PASSWORD, headers=own).status_code == 200


def test_a_browser_refreshes_by_its_cookie(house: Postern, browser: Browser) -> None:
    before = dict(browser.cookies)
    browser.call("POST", "/auth/refresh")
    assert browser.is_signed_in
    assert all(browser.cookies[name] != before[name] for name in before), "every text is a new one"
    old = Browser(house.url, new_address())
    old.set_cookie("postern_session", str(before["postern_session"]))
    assert not old.is_signed_in


# Sessions


def test_sessions_are_listed_and_ended_one_by_one(house: Postern, person: Person) -> None:
    others = [person.again() for _ in range(3)]
    rows = person.call("GET", "/auth/sessions")["data"]
    assert len(rows) == 4 and [row["current"] for row in rows].count(True) == 1
    assert not any(secret in json.dumps(rows) for other in others for secret in other.secrets)
    assert {row["address"] for row in rows} == {person.address}
    mine = {other.call("GET", "/auth/me")["session"]["id"]: other for other in others}
    id, victim = next(iter(mine.items()))
    person.call("DELETE", f"/auth/sessions/{id}", expect=204)
    assert not victim.is_signed_in
    person.problem("DELETE", f"/auth/sessions/{id}", 404, "not_found")
    assert person.call("DELETE", "/auth/sessions") == {"ended": 2}
    assert person.is_signed_in and not any(other.is_signed_in for other in others)


def test_nobody_ends_anothers_session(house: Postern, owner: Person, person: Person) -> None:
    theirs = owner.call("GET", "/auth/me")["session"]["id"]
    nobodys = "ses_0000000000000000"
    refusals = [person.problem("DELETE", f"/auth/sessions/{id}", 404, "not_found") for id in (theirs, nobodys)]
    assert words(refusals[0]) == words(refusals[1]) and owner.is_signed_in


# Passwords


def test_a_new_password_ends_all_other_sessions(house: Postern, person: Person) -> None:
    others = [person.again(), person.again()]
    wrong = {"current": "wrong words", "new": OTHER}
    assert person.api("POST", "/auth/password", json=wrong).status_code in (401, 403)
    assert all(other.is_signed_in for other in others)
    person.call("POST", "/auth/password", expect=204, json={"current": PASSWORD, "new": OTHER})
    assert person.is_signed_in and not any(other.is_signed_in for other in others)
    refused(others[0].refresh(), 401, "unauthorized")
    refused(sign_in(house, person.email, PASSWORD), 401, "unauthorized")
    assert sign_in(house, person.email, OTHER).status_code == 200


def test_weak_passwords_are_not_taken(house: Postern, person: Person) -> None:
    for weak in ("short", "a" * 40, "password1234", "abcabcabcabc", person.email, "123456789012"):
        problem = person.problem(
            "POST", "/auth/password", 422, "weak_password", json={"current": PASSWORD, "new": weak}
        )
        assert weak not in json.dumps(problem)
    assert sign_in(house, person.email, PASSWORD).status_code == 200


def test_asking_for_a_link_says_nothing_of_who_is_there(house: Postern, person: Person) -> None:
    answers = []
    for email in (person.email, new_email(), "nobody", "' --"):
        answer = requests.post(
            f"{house.url}/auth/password/forgot", json={"email": email}, headers=forwarded(new_address()), timeout=30
        )
        answers.append((answer.status_code, answer.content))
    assert set(answers) == {(202, answers[0][1])}
    assert person.is_signed_in, "asking ends nothing"


def test_a_link_sets_a_password_once(house: Postern, owner: Person, person: Person) -> None:
    made = owner.call("POST", f"/api/users/{person.id}/reset-password")
    link = made["url"]
    assert link.startswith(f"{house.url}/") and "#" in link, "what follows # is sent to no server"
    token = link.rpartition("token=")[2]

    def reset(text: str, password: str = OTHER) -> requests.Response:
        body = {"token": text, "password": password}
        return requests.post(
            f"{house.url}/auth/password/reset", json=body, headers=forwarded(new_address()), timeout=30
        )

    refusals = [refused(reset(text), 404, "invitation_invalid") for text in (token[:-1], "x", token + "A")]
    refused(reset(token, "short"), 422, "weak_password")
    assert reset(token).status_code == 204
    refusals.append(refused(reset(token), 404, "invitation_invalid"))
    assert len({words(refusal) for refusal in refusals}) == 1
    assert not person.is_signed_in
    assert sign_in(house, person.email, OTHER).status_code == 200


def test_nobody_gives_themselves_anything_by_their_account(house: Postern, person: Person) -> None:
    """Mass assignment: what is not the person's to say is refused, and named."""
    tries: list[dict] = [{"role": "owner"}, {"name": "x", "role": "owner"}, {"is_active": True}, {"email": "a@b.test"}]
    for body in tries:
        problem = person.problem("PATCH", "/auth/me", 422, "validation_failed", json=body)
        assert problem["errors"]
    assert person.call("GET", "/auth/me")["role"] == "member"


# Guessing


def test_an_account_waits_after_too_many_attempts(house: Postern, owner: Person, person: Person) -> None:
    address = new_address()
    for _ in range(ACCOUNT):
        refused(sign_in(house, person.email, "wrong words", address=address), 401, "unauthorized")
    for password in ("wrong words", PASSWORD):
        answer = sign_in(house, person.email, password, address=address)
        refused(answer, 429, "too_many_attempts")
        assert 0 < int(answer.headers["Retry-After"]) <= 900
    assert sign_in(house, person.email, PASSWORD).status_code == 200, "elsewhere it is not locked"
    refused(sign_in(house, person.email, PASSWORD, address=address), 429, "too_many_attempts")
    assert person.is_signed_in, "who is signed in stays so: a guesser must not throw people out"
    owner.call("POST", f"/api/users/{person.id}/unlock", expect=204)
    assert sign_in(house, person.email, PASSWORD, address=address).status_code == 200


def test_an_account_that_nobody_has_waits_alike(house: Postern, person: Person) -> None:
    def story(email: str) -> list[tuple]:
        address = new_address()
        answers = [sign_in(house, email, "wrong words", address=address) for _ in range(ACCOUNT + 2)]
        return [words(answer.json())[2:] for answer in answers]

    def shape(parts: list[tuple]) -> list[tuple[str, str]]:
        return [(part[0], part[1]) for part in parts]

    assert shape(story(new_email())) == shape(story(person.email))


def test_an_address_waits_after_too_many_attempts(house: Postern, owner: Person) -> None:
    """Whatever accounts it tries, and whatever it writes in front of its own address."""
    address = new_address()
    people = [join(owner) for _ in range(2)]
    for number in range(ADDRESS):
        forged = f"{new_address()}, {new_address()}, {address}"
        came_from = forged if number % 2 else address
        refused(sign_in(house, new_email(), "wrong words", address=came_from), 401, "unauthorized")
    for person in people:
        answer = sign_in(house, person.email, PASSWORD, address=f"127.0.0.1, {address}")
        refused(answer, 429, "too_many_attempts")
        assert 0 < int(answer.headers["Retry-After"]) <= 900
    assert all(sign_in(house, person.email, PASSWORD).status_code == 200 for person in people), "others come in"


def test_only_our_own_proxy_says_where_a_request_comes_from(house: Postern, owner: Person, shadow: Postern) -> None:
    """Shown by keys that are held to addresses."""
    address = new_address()
    narrow = {"label": "narrow", "scopes": ["read"], "allowed_ips": [address]}
    key = house.as_key(owner.within("default").call("POST", "/v1/keys", expect=201, json=narrow)["key"])
    codes = {
        chain: key.api("GET", "/v1/me", headers=forwarded(chain)).status_code
        for chain in (address, f"1.2.3.4, {address}", f"{address}, 127.0.0.1", f"{address}, 1.2.3.4", "1.2.3.4", "")
    }
    assert list(codes.values()) == [200, 200, 200, 401, 401, 401], codes
    # Where nobody is trusted, the socket alone says it.
    made = shadow.call("POST", "/v1/keys", expect=201, json=narrow)
    assert shadow.as_key(made["key"]).api("GET", "/v1/me", headers=forwarded(address)).status_code == 401


def test_guessing_is_no_easier_behind_the_sign_in(house: Postern, person: Person) -> None:
    """The present password, the code and showing again who one is count as attempts too."""
    tries: list[tuple[str, dict]] = [
        ("/auth/password", {"current": "wrong words", "new": OTHER}),
        ("/auth/reauthenticate", {"password": "wrong words"}),
    ]
    seen = []
    for number in range(ACCOUNT + 1):
        path, body = tries[number % 2]
        seen.append(person.api("POST", path, json=body).json()["code"])
    assert seen[-1] == "too_many_attempts" and "too_many_attempts" not in seen[:ACCOUNT], seen


def test_failures_are_written_down_without_the_password(house: Postern, owner: Person, person: Person) -> None:
    guess = "a guess that nobody may read"
    for _ in range(3):
        sign_in(house, person.email, guess)
    found = until(
        lambda: [row for row in records(owner) if row["action"] == "session.begin" and person.email in json.dumps(row)],
        "the failures are written down",
    )
    assert guess not in json.dumps(records(owner))
    assert any(row.get("outcome") in ("failed", "refused") for row in found)


# The second factor


def test_codes_are_those_of_rfc_6238() -> None:
    """Appendix B of the RFC: the harness' own reckoning, so that it proves something of Postern's."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    moments = {59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"}
    assert {moment: totp(secret, moment) for moment in moments} == moments


def test_a_second_factor_from_its_beginning_to_its_end(house: Postern, person: Person) -> None:
    begun = person.call("POST", "/auth/totp")
    app = Authenticator(begun["uri"])
    assert app.parameters.get("issuer") == "Postern"
    assert len(base64.b32decode(app.secret + "=" * (-len(app.secret) % 8))) >= 20, "160 bits, as RFC 4226 advises"
    # Not before it is confirmed.
    assert sign_in(house, person.email, PASSWORD).status_code == 200
    assert person.api("POST", "/auth/totp/confirm", json={"code": app.wrong_code()}).status_code in (401, 403, 422)
    codes = person.call("POST", "/auth/totp/confirm", json={"code": app.code()})["recovery_codes"]
    assert len(codes) >= 8 and len(set(codes)) == len(codes)
    person = person.again(totp=app.code())
    me = person.call("GET", "/auth/me")
    assert me["user"]["second_factor"] is True and me["session"]["method"] == "second_factor"

    # Only who has the password learns that there is a second factor.
    refused(sign_in(house, person.email, PASSWORD), 401, "second_factor_required")
    refused(sign_in(house, person.email, "wrong words"), 401, "unauthorized")
    refused(sign_in(house, person.email, "wrong words", totp=codes[0]), 401, "unauthorized")

    # A recovery code works once.
    person = person.again(totp=codes[0])
    refused(sign_in(house, person.email, PASSWORD, totp=codes[0]), 401, "unauthorized")

    # New ones take the place of the old.
    renewed = person.call("POST", "/auth/totp/recovery-codes")["recovery_codes"]
    assert not set(renewed) & set(codes)
    refused(sign_in(house, person.email, PASSWORD, totp=codes[1]), 401, "unauthorized")
    person = person.again(totp=renewed[0])

    person.call("DELETE", "/auth/totp", expect=204)
    assert sign_in(house, person.email, PASSWORD).status_code == 200


def test_a_code_is_good_once_and_for_a_moment(house: Postern, person: Person) -> None:
    app, _ = add_second_factor(person)
    code = app.code()
    person = person.again(totp=code)
    refused(sign_in(house, person.email, PASSWORD, totp=code), 401, "unauthorized")
    for wrong in (app.wrong_code(), totp(app.secret, time.time() - 600), "abcdef"):
        refused(sign_in(house, person.email, PASSWORD, totp=wrong), 401, "unauthorized")


def test_codes_are_guessed_no_more_than_passwords(house: Postern, person: Person) -> None:
    app, _ = add_second_factor(person)
    address = new_address()
    for _ in range(ACCOUNT):
        refused(sign_in(house, person.email, PASSWORD, address, totp=app.wrong_code()), 401, "unauthorized")
    refused(sign_in(house, person.email, PASSWORD, address, totp=app.code()), 429, "too_many_attempts")


def test_an_instance_may_insist_on_a_second_factor(new_postern: Callable[..., Postern]) -> None:
    postern = new_postern(POSTERN_REQUIRE_SECOND_FACTOR="true")
    postern.start()
    owner = postern.owner()
    for session, path in ((owner, "/api/users"), (owner.within("default"), "/v1/keys")):
        assert "second factor" in session.problem("GET", path, 403, "forbidden")["detail"]
    assert owner.call("GET", "/auth/me")["user"]["second_factor"] is False
    app, _ = add_second_factor(owner)
    again = owner.again(totp=app.code())
    again.call("GET", "/api/users")
    again.within("default").call("GET", "/v1/keys")


# Showing again who one is


def test_what_is_dangerous_asks_again_who_it_is(new_postern: Callable[..., Postern]) -> None:
    postern = new_postern()
    postern.start()
    browser = Browser(postern.url)
    card = postern.card["owner"]
    browser.sign_in(card["email"], card["password"])
    postern.terminate()
    with sqlite3.connect(postern.data / "postern.db") as database:
        database.execute("UPDATE sessions SET authenticated_at = authenticated_at - 16 * 60 * 1000")
    postern.start()
    assert browser.is_signed_in, "only what is dangerous asks"
    before = dict(browser.cookies)
    refused(browser.api("POST", "/auth/totp"), 403, "reauthentication_required")
    refused(browser.api("POST", "/auth/reauthenticate", json={"password": "wrong words"}), 401, "unauthorized")
    refused(browser.api("POST", "/auth/totp"), 403, "reauthentication_required")
    browser.call("POST", "/auth/reauthenticate", json={"password": card["password"]})
    assert browser.cookies["postern_session"] != before["postern_session"]
    assert browser.call("POST", "/auth/totp")["secret"]
    old = Browser(postern.url)
    old.set_cookie("postern_session", str(before["postern_session"]))
    assert not old.is_signed_in, "the text from before is worth nothing any more"


# Roles take effect at once


def test_a_role_that_is_taken_away_is_gone_at_the_next_request(house: Postern, owner: Person) -> None:
    person = join(owner, role="admin", vaults={"default": "owner"})
    inside = person.within("default")
    person.call("GET", "/api/users")
    inside.call("GET", "/v1/secrets")
    owner.call("PATCH", f"/api/users/{person.id}", json={"role": "member"})
    person.problem("GET", "/api/users", 403, "forbidden")
    owner.call("PUT", f"/api/vaults/default/members/{person.id}", json={"role": "viewer"})
    inside.problem("GET", "/v1/secrets", 403, "forbidden")
    owner.call("DELETE", f"/api/vaults/default/members/{person.id}", expect=204)
    inside.problem("GET", "/v1/me", 404, "not_found")
    owner.call("PATCH", f"/api/users/{person.id}", json={"state": "disabled"})
    assert not person.is_signed_in
    refused(person.refresh(), 401, "unauthorized")


def test_an_operator_from_invitation_to_refusal(house: Postern, owner: Person) -> None:
    """The whole way: invited, signed in with a second factor, held to the matrix, and all of it written down."""
    email = new_email()
    invitation = invite(owner, email, vaults={"default": "operator"})
    operator = accept(owner, invitation)
    answer = requests.post(
        f"{house.url}/auth/invitations/accept", timeout=30, headers=forwarded(new_address()),
        json={"token": invitation["token"], "name": "Mallory", "password": OTHER},
    )  # fmt: skip
    refused(answer, 404, "invitation_invalid")
    app, _ = add_second_factor(operator)
    operator = operator.again(totp=app.code())
    inside = operator.within("default")
    made = inside.call("POST", "/v1/keys", expect=201, json={"label": "robot", "scopes": ["send", "read"]})
    inside.problem("PATCH", "/v1/settings", 403, "forbidden", json={"default_priority": 1})
    operator.problem("GET", "/api/users", 403, "forbidden")
    assert inside.call("GET", "/v1/messages")["data"] is not None
    log = owner.within("default")

    def is_written(action: str, **fields: str) -> bool:
        wanted = {"action": action, "actor": operator.id, **fields}
        rows = log.call("GET", "/v1/audit", params={"limit": 100})["data"]
        return any(wanted.items() <= row.items() for row in rows)

    assert is_written("key.write", resource=made["id"], outcome="done")
    until(lambda: is_written("settings.write", outcome="refused"), "the refusal is written down")


# Several processes


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, postgres) -> Iterator[Fleet]:  # type: ignore[no-untyped-def]
    database: Database = postgres.database()
    environment = {
        "POSTERN_TRUSTED_PROXIES": "127.0.0.1", "POSTERN_SIGN_IN_ACCOUNT_ATTEMPTS": str(ACCOUNT),
    }  # fmt: skip
    with Fleet(tmp_path_factory.mktemp("people-fleet"), database, 2, **environment) as fleet:
        yield fleet
        for member in fleet:
            if member.process is not None:
                member.terminate()


def elsewhere(person: Person, process: Postern) -> Person:
    """The same session, at another process."""
    return Person(process.url, person.answer, password=person.password, address=person.address)


def within_the_promise(since: float, check: Callable[[], bool], what: str) -> None:
    until(check, what, 5)
    took = time.monotonic() - since
    assert took <= PROMISE, f"{what}: only after {took:.2f} s"


def test_a_session_that_ends_in_one_process_is_dead_in_the_other(fleet: Fleet) -> None:
    owner = fleet[0].owner(new_address())
    person = join(owner)
    there = elsewhere(person, fleet[1])
    assert there.is_signed_in
    person.call("POST", "/auth/logout", expect=204)
    within_the_promise(time.monotonic(), lambda: not there.is_signed_in, "the sign-out is heard of")
    # So is whatever else ends sessions.
    person = person.again()
    there = elsewhere(person, fleet[1])
    assert there.is_signed_in
    owner.call("PATCH", f"/api/users/{person.id}", json={"state": "disabled"})
    within_the_promise(time.monotonic(), lambda: not there.is_signed_in, "that somebody is disabled is heard of")


def test_roles_and_refresh_tokens_are_the_same_in_all_processes(fleet: Fleet) -> None:
    owner = fleet[0].owner(new_address())
    person = join(owner, role="admin")
    there = elsewhere(person, fleet[1])
    there.call("GET", "/api/users")
    owner.call("PATCH", f"/api/users/{person.id}", json={"role": "viewer"})
    within_the_promise(
        time.monotonic(), lambda: there.api("GET", "/api/users").status_code == 403, "the role is heard of"
    )
    # Used up in one, stolen for the other.
    assert person.refresh().status_code == 200
    refused(there.refresh(), 401, "unauthorized")
    within_the_promise(time.monotonic(), lambda: not person.is_signed_in, "the theft is heard of")


def test_attempts_are_counted_in_all_processes_together(fleet: Fleet) -> None:
    person = join(fleet[0].owner(new_address()))
    address = new_address()
    for number in range(ACCOUNT):
        refused(sign_in(fleet[number % 2], person.email, "wrong words", address), 401, "unauthorized")
    for member in fleet:
        refused(sign_in(member, person.email, PASSWORD, address), 429, "too_many_attempts")
