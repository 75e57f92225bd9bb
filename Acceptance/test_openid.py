"""Single sign-on against two providers: one from PyPI that means well, and one that lies in every way it can."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from harness.api import describe
from harness.fleet import Fleet
from harness.mail import token as unique
from harness.openid import (
    CLIENT_ID,
    CLIENT_SECRET,
    Key,
    Mock,
    Provider,
    base64url,
    by_hmac,
    come_back,
    start,
    unsigned,
)
from harness.people import PASSWORD, Browser, Person, forwarded, invite, join, new_address, new_email
from harness.postern import Postern, run
from harness.postgres import Database
from harness.waiting import until

GROUPS = "staff=member,admins=admin,ops=default:operator"
ATTEMPTS = 5


def configuration(issuer: str, **more: str) -> dict[str, str]:
    return {
        "POSTERN_OIDC_ISSUER": issuer,
        "POSTERN_OIDC_CLIENT_ID": CLIENT_ID,
        "POSTERN_OIDC_CLIENT_SECRET": CLIENT_SECRET,
        # Tests come from as many addresses as they like.
        "POSTERN_TRUSTED_PROXIES": "127.0.0.1",
        "POSTERN_SIGN_IN_ADDRESS_ATTEMPTS": str(ATTEMPTS),
        **more,
    }


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    with Mock(tmp_path_factory.mktemp("mock")) as provider:
        yield provider


@pytest.fixture(scope="module")
def friendly(tmp_path_factory: pytest.TempPathFactory, mock: Mock) -> Iterator[Postern]:
    """An instance behind the provider from PyPI, with roles by groups."""
    environment = configuration(mock.issuer, POSTERN_OIDC_GROUP_ROLES=GROUPS, POSTERN_OIDC_NAME="The Mock")
    with Postern(tmp_path_factory.mktemp("friendly"), **environment) as postern:
        yield postern
        check_log(postern)


@pytest.fixture(scope="module")
def liar() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def provider(liar: Provider) -> Provider:
    liar.reset()
    return liar


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, liar: Provider) -> Iterator[Postern]:
    """An instance behind our own provider: whoever has a verified address becomes a member."""
    environment = configuration(liar.issuer, POSTERN_OIDC_DEFAULT_ROLE="member")
    with Postern(tmp_path_factory.mktemp("house"), **environment) as postern:
        yield postern
        check_log(postern)


def check_log(postern: Postern) -> None:
    postern.terminate()
    log = postern.log.read_text(errors="replace")
    for secret in (CLIENT_SECRET, "code_verifier", "id_token=", "postern_session="):
        assert secret not in log, f"{secret} is in the log"


def new_browser(postern: Postern) -> Browser:
    return Browser(postern.url, new_address())


def cookies(answer: requests.Response) -> dict[str, str]:
    """The cookies that an answer sets, with their flags."""
    fields = [value for name, value in answer.raw.headers.items() if name.lower() == "set-cookie"]
    return {field.split("=", 1)[0]: field for field in fields}


def refused(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), describe(answer)
    assert "postern_session" not in cookies(answer)
    return answer.json()


def signed_in(browser: Browser, answer: requests.Response, page: str = "/") -> dict[str, Any]:
    """Who the browser's session is of."""
    assert answer.status_code == 303, describe(answer)
    assert answer.headers["Location"] == page
    assert answer.headers["Cache-Control"] == "no-store"
    assert "HttpOnly" in cookies(answer)["postern_session"] and "SameSite=Lax" in cookies(answer)["postern_session"]
    return browser.call("GET", "/auth/me")


# The provider from PyPI


class TestMock:
    def sign_in(self, postern: Postern, mock: Mock, subject: str, **claims: Any) -> tuple[Browser, requests.Response]:
        mock.knows(subject, **claims)
        browser = new_browser(postern)
        return browser, come_back(browser, mock.sign_in(start(browser, return_to="/approvals?x=1"), subject))

    def test_groups_make_an_account_and_come_and_go(self, friendly: Postern, mock: Mock) -> None:
        subject, email = unique(), new_email()
        person = {"email": email, "email_verified": True, "name": "Ada Mock"}
        browser, answer = self.sign_in(friendly, mock, subject, **person, groups=["admins", "ops"])
        me = signed_in(browser, answer, "/approvals?x=1")
        assert (me["user"]["email"], me["user"]["name"], me["user"]["role"]) == (email, "Ada Mock", "admin")
        assert [(vault["slug"], vault["role"]) for vault in me["memberships"]] == [("default", "operator")]

        later, answer = self.sign_in(friendly, mock, subject, **person, groups=["staff"])
        signed_in(later, answer, "/approvals?x=1")
        # The session from before has the new role at once.
        me = browser.call("GET", "/auth/me")
        assert (me["user"]["role"], me["memberships"]) == ("member", [])

        _, answer = self.sign_in(friendly, mock, subject, **person, groups=["guests"])
        assert "none of your groups" in refused(answer, 403, "sign_in_refused")["detail"]

    def test_an_address_that_is_not_verified_is_nobodys(self, friendly: Postern, mock: Mock) -> None:
        owner = friendly.card["owner"]["email"]
        for verified in ({}, {"email_verified": False}, {"email_verified": "no"}):
            _, answer = self.sign_in(friendly, mock, unique(), email=owner, groups=["admins"], **verified)
            assert "verified" in refused(answer, 403, "sign_in_refused")["detail"]

    def test_an_invited_person_becomes_what_the_invitation_says(self, house: Postern, provider: Provider) -> None:
        owner, email = house.owner(new_address()), new_email()
        invite(owner, email, role="admin", vaults={"default": "viewer"})
        provider.is_signed_in(unique(), email=email, email_verified=True)
        browser = new_browser(house)
        me = signed_in(browser, come_back(browser, provider.sign_in(start(browser))))
        assert me["user"]["role"] == "admin"
        assert [(vault["slug"], vault["role"]) for vault in me["memberships"]] == [("default", "viewer")]

    def test_who_says_no_at_the_provider_is_told_so(self, friendly: Postern, mock: Mock) -> None:
        browser = new_browser(friendly)
        back = mock.deny(start(browser))
        # Not every provider says whose question it refuses; without the state it is nobody's.
        if "state=" not in back:
            assert come_back(browser, back).status_code in (400, 422), back
        else:
            refused(come_back(browser, back), 403, "sign_in_refused")

    def test_the_way_is_announced(self, friendly: Postern) -> None:
        answer = requests.get(f"{friendly.url}/auth/providers", timeout=10).json()
        assert answer["openid"] == {"name": "The Mock", "start": "/auth/oidc/start"}

    def test_a_sign_in_stands_in_the_audit(self, friendly: Postern, mock: Mock) -> None:
        subject, email = unique(), new_email()
        browser, answer = self.sign_in(friendly, mock, subject, email=email, email_verified=True, groups=["staff"])
        me = signed_in(browser, answer, "/approvals?x=1")
        owner = friendly.owner(new_address())
        records = owner.call("GET", "/api/audit", params={"actor": email})["data"]
        begun = next(record for record in records if record["action"] == "session.begin")
        assert begun["after"]["method"] == "openid" and mock.issuer in json.dumps(begun)
        made = owner.call("GET", "/api/audit", params={"resource": me["user"]["id"]})["data"]
        assert [record["actor"] for record in made if record["action"] == "user.write"] == ["single-sign-on"] * 2
        _, answer = self.sign_in(friendly, mock, subject, email=email, email_verified=True, groups=[])
        refused(answer, 403, "sign_in_refused")
        records = owner.call("GET", "/api/audit", params={"actor": email, "outcome": "refused"})["data"]
        assert [record["reason"] for record in records] == ["sign_in_refused: no_group"]


# A provider that lies


def replaced(**changes: Any) -> Callable[[Provider], Callable[[dict[str, Any]], str]]:
    """A token with these claims; None takes one away. A callable gets the right value."""

    def lie(provider: Provider) -> Callable[[dict[str, Any]], str]:
        def make(claims: dict[str, Any]) -> str:
            for name, value in changes.items():
                claims[name] = value(claims.get(name)) if callable(value) else value
            return provider.key.token({name: value for name, value in claims.items() if value is not None})

        return make

    return lie


def spoiled(provider: Provider) -> Callable[[dict[str, Any]], str]:
    def make(claims: dict[str, Any]) -> str:
        head, _, signature = provider.key.token(claims).split(".")
        body = base64url(json.dumps({**claims, "sub": "somebody else"}).encode())
        return f"{head}.{body}.{signature}"

    return make


WRONG_TOKENS: dict[str, Callable[[Provider], Callable[[dict[str, Any]], str]]] = {
    "another nonce": replaced(nonce="another"),
    "no nonce": replaced(nonce=None),
    "another audience": replaced(aud="another-client"),
    "several audiences without azp": replaced(aud=[CLIENT_ID, "another-client"]),
    "azp of another": replaced(azp="another-client"),
    "another issuer": replaced(iss="https://accounts.example.com"),
    "issuer with a slash": replaced(iss=lambda issuer: issuer + "/"),
    "expired": replaced(exp=lambda _: int(time.time()) - 120),
    "no expiry": replaced(exp=None),
    "not yet valid": replaced(nbf=lambda _: int(time.time()) + 120),
    "made in the future": replaced(iat=lambda _: int(time.time()) + 120),
    "no subject": replaced(sub=None),
    "at_hash of another access token": replaced(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "alg=none": lambda provider: unsigned,
    "HS256 with the public key": lambda provider: lambda claims: by_hmac(claims, provider.key.pem, provider.key.name),
    "HS256 with the client's secret": lambda provider: lambda claims: by_hmac(
        claims, CLIENT_SECRET.encode(), provider.key.name
    ),
    "unknown key": lambda provider: lambda claims: Key("unknown").token(claims),
    "another key by the same name": lambda provider: lambda claims: Key("other").token(claims, provider.key.name),
    "changed after it was signed": spoiled,
    "no token at all": lambda provider: lambda claims: "",
    "three dots": lambda provider: lambda claims: "...",
}


class TestLiar:
    @pytest.mark.parametrize("name", WRONG_TOKENS)
    def test_a_wrong_token_signs_nobody_in(self, house: Postern, provider: Provider, name: str) -> None:
        email = new_email()
        provider.is_signed_in(unique(), email=email, email_verified=True)
        provider.lie = WRONG_TOKENS[name](provider)
        browser = new_browser(house)
        answer = come_back(browser, provider.sign_in(start(browser)))
        problem = refused(answer, 403, "sign_in_refused")
        assert "s3cret" not in answer.text and "eyJ" not in answer.text, problem
        assert not browser.is_signed_in
        owner = house.owner(new_address())
        assert owner.call("GET", "/api/users", params={"q": email})["data"] == []
        assert provider.refusals == []

    def test_a_right_token_signs_in(self, house: Postern, provider: Provider) -> None:
        provider.is_signed_in(unique(), email=new_email(), email_verified=True)
        browser = new_browser(house)
        me = signed_in(browser, come_back(browser, provider.sign_in(start(browser))))
        assert me["user"]["role"] == "member"
        assert provider.refusals == []

    def test_a_new_key_is_fetched(self, house: Postern, provider: Provider) -> None:
        subject, email = unique(), new_email()
        for key in (None, Key(unique())):
            provider.key = key or provider.key
            provider.is_signed_in(subject, email=email, email_verified=True)
            browser = new_browser(house)
            answer = come_back(browser, provider.sign_in(start(browser)))
            if answer.status_code == 403:
                # Another test's unknown key made Postern look less than a minute ago.
                assert "key that the provider does not have" in answer.json()["detail"]
                house.restart()
                browser = new_browser(house)
                answer = come_back(browser, provider.sign_in(start(browser)))
            signed_in(browser, answer)

    def test_a_provider_that_is_away_is_named_and_comes_back(
        self, new_postern: Callable[..., Postern], provider: Provider
    ) -> None:
        provider.status = 503
        postern = new_postern(**configuration(provider.issuer))
        postern.start()
        browser = new_browser(postern)
        answer = browser.api("GET", "/auth/oidc/start", allow_redirects=False)
        assert (answer.status_code, answer.json()["code"]) == (502, "sign_in_unavailable"), describe(answer)
        # Whoever has a password is not kept out by it.
        assert postern.owner(new_address()).is_signed_in
        provider.status = None

        def begun() -> bool:
            return browser.api("GET", "/auth/oidc/start", allow_redirects=False).status_code == 303

        until(begun, "the provider is found again", 15)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda document: json.dumps({**document, "issuer": document["issuer"] + "/"}), "another issuer"),
            (lambda document: json.dumps({**document, "issuer": "https://accounts.example.com"}), "another issuer"),
            (lambda document: json.dumps({**document, "token_endpoint": "http://192.0.2.1/token"}), "token_endpoint"),
            (lambda document: json.dumps({**document, "jwks_uri": "file:///etc/passwd"}), "jwks_uri"),
            (lambda document: json.dumps({**document, "authorization_endpoint": "javascript:x"}), "authorization"),
            (lambda document: "{", "not a JSON object"),
            (lambda document: json.dumps(document) + " " * 300_000, "larger than"),
            (lambda document: json.dumps(document) + " " * 6_000_000, "larger than"),
        ],
        ids=["slash", "issuer", "token", "keys", "authorization", "malformed", "large", "huge"],
    )
    def test_a_wrong_discovery_document_sends_nobody_anywhere(
        self, new_postern: Callable[..., Postern], provider: Provider, change: Callable[[dict], str], words: str
    ) -> None:
        provider.discovery = lambda document: change(document).encode()
        postern = new_postern(**configuration(provider.issuer))
        postern.start()
        answer = new_browser(postern).api("GET", "/auth/oidc/start", allow_redirects=False)
        assert (answer.status_code, answer.json()["code"]) == (502, "sign_in_unavailable"), describe(answer)
        assert words in answer.json()["detail"]
        assert "Location" not in answer.headers


class TestBrowsers:
    def test_a_sign_in_belongs_to_the_browser_that_began_it(self, house: Postern, provider: Provider) -> None:
        """Nobody is signed in as the attacker by a link of theirs (login CSRF)."""
        provider.is_signed_in(unique(), email=new_email(), email_verified=True)
        attacker, victim = new_browser(house), new_browser(house)
        back = provider.sign_in(start(attacker))
        refused(come_back(victim, back), 403, "sign_in_refused")
        start(victim)
        refused(come_back(victim, back), 403, "sign_in_refused")
        assert not victim.is_signed_in
        # Neither of these used it up.
        signed_in(attacker, come_back(attacker, back))

    def test_an_answer_is_good_once(self, house: Postern, provider: Provider) -> None:
        provider.is_signed_in(unique(), email=new_email(), email_verified=True)
        browser = new_browser(house)
        back = provider.sign_in(start(browser))
        signed_in(browser, come_back(browser, back))
        before = len(provider.requests)
        assert "finished before" in refused(come_back(browser, back), 403, "sign_in_refused")["detail"]
        assert len(provider.requests) == before

    @pytest.mark.parametrize("field", ["state", "code"])
    def test_a_field_that_is_there_twice_is_refused(self, house: Postern, provider: Provider, field: str) -> None:
        browser = new_browser(house)
        back = provider.sign_in(start(browser))
        refused(come_back(browser, f"{back}&{field}=x"), 422, "validation_failed")

    def test_an_answer_of_another_provider_is_refused(self, house: Postern, provider: Provider) -> None:
        for issuer in ("&iss=https%3A%2F%2Faccounts.example.com", ""):
            browser = new_browser(house)
            back = provider.sign_in(start(browser))
            own = next(part for part in back.split("&") if part.startswith("iss="))
            before = len(provider.requests)
            refused(come_back(browser, back.replace(f"&{own}", issuer)), 403, "sign_in_refused")
            assert len(provider.requests) == before

    @pytest.mark.parametrize(
        "path",
        [
            "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "javascript:alert(1)",
            "evil", "/\tevil", "/\r\nSet-Cookie: a=b", "///evil.example", "http:evil.example",
        ],
    )  # fmt: skip
    def test_the_way_back_leads_to_our_own_pages_only(self, house: Postern, path: str) -> None:
        answer = new_browser(house).api(
            "GET", "/auth/oidc/start", params={"return_to": path}, allow_redirects=False
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), describe(answer)

    def test_people_get_a_page_and_programs_a_problem(self, house: Postern, provider: Provider) -> None:
        browser = new_browser(house)
        back = provider.sign_in(start(browser, return_to="/a?b=<c>&d"))
        provider.lie = unsigned
        answer = come_back(browser, back, Accept="text/html,application/xhtml+xml")
        assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "/auth/oidc/start?return_to=%2Fa%3Fb%3D%3Cc%3E%26d" in answer.text and "<c>" not in answer.text
        answer = browser.api("GET", "/auth/oidc/callback?state=<script>", headers={"Accept": "text/html"})
        assert answer.status_code == 403 and "<script>" not in answer.text
        refused(browser.api("GET", "/auth/oidc/callback"), 422, "validation_failed")

    def test_codes_that_do_not_count_have_an_end(self, house: Postern, provider: Provider) -> None:
        browser = new_browser(house)
        for _ in range(ATTEMPTS):
            back = provider.sign_in(start(browser))
            code = parse_qs(urlsplit(back).query)["code"][0]
            refused(come_back(browser, back.replace(code, "guessed")), 403, "sign_in_refused")
        before = len(provider.requests)
        back = provider.sign_in(start(browser))
        answer = come_back(browser, back)
        refused(answer, 429, "too_many_attempts")
        assert int(answer.headers["Retry-After"]) > 0
        assert len(provider.requests) == before + 1


def test_any_process_may_finish_what_another_began(tmp_path: Path, database: Database, provider: Provider) -> None:
    public = "http://127.0.0.1:1"
    environment = configuration(provider.issuer, POSTERN_OIDC_DEFAULT_ROLE="member", POSTERN_PUBLIC_URL=public)
    with Fleet(tmp_path, database, 2, **environment) as fleet:
        email = new_email()
        provider.is_signed_in(unique(), email=email, email_verified=True)
        # Cookies do not look at ports: it is one browser.
        first, second = Browser(fleet[0].url, new_address()), Browser(fleet[1].url, new_address())
        second._session.cookies = first._session.cookies
        path = provider.sign_in(start(first)).removeprefix(public)
        signed_in(second, second.api("GET", path, allow_redirects=False))
        again = first.api("GET", path, allow_redirects=False)
        assert "finished before" in refused(again, 403, "sign_in_refused")["detail"]
        assert first.call("GET", "/auth/me")["user"]["email"] == email


class TestPeople:
    def test_an_account_keeps_its_role_and_is_known_by_its_subject_ever_after(
        self, house: Postern, provider: Provider
    ) -> None:
        owner = house.owner(new_address())
        person, subject = join(owner, role="viewer"), unique()
        for email, verified in ((person.email.upper(), True), (new_email(), True), (new_email(), False)):
            provider.is_signed_in(subject, email=email, email_verified=verified)
            browser = new_browser(house)
            me = signed_in(browser, come_back(browser, provider.sign_in(start(browser))))
            assert (me["user"]["id"], me["user"]["email"], me["user"]["role"]) == (person.id, person.email, "viewer")
        # Somebody else who has the address now does not get the account with it.
        provider.is_signed_in(unique(), email=person.email, email_verified=True)
        browser = new_browser(house)
        answer = come_back(browser, provider.sign_in(start(browser)))
        assert "another identity" in refused(answer, 403, "sign_in_refused")["detail"]

    def test_who_was_disabled_stays_out(self, house: Postern, provider: Provider) -> None:
        provider.is_signed_in(unique(), email=new_email(), email_verified=True)
        browser = new_browser(house)
        me = signed_in(browser, come_back(browser, provider.sign_in(start(browser))))
        owner = house.owner(new_address())
        owner.call("PATCH", f"/api/users/{me['user']['id']}", json={"state": "disabled"})
        assert not browser.is_signed_in
        answer = come_back(browser, provider.sign_in(start(browser)))
        assert "disabled" in refused(answer, 403, "sign_in_refused")["detail"]

    def test_who_was_deleted_stays_out_until_invited_again(self, house: Postern, provider: Provider) -> None:
        email = new_email()
        provider.is_signed_in(unique(), email=email, email_verified=True)
        browser = new_browser(house)
        me = signed_in(browser, come_back(browser, provider.sign_in(start(browser))))
        owner = house.owner(new_address())
        owner.call("DELETE", f"/api/users/{me['user']['id']}", expect=204)
        answer = come_back(browser, provider.sign_in(start(browser)))
        assert "deleted" in refused(answer, 403, "sign_in_refused")["detail"]
        invite(owner, email)
        signed_in(browser, come_back(browser, provider.sign_in(start(browser))))


class TestFreshness:
    """What is dangerous wants a sign-in of the last minutes, and the provider's word for when that was."""

    def sign_in(self, house: Postern, provider: Provider) -> Browser:
        provider.is_signed_in(unique(), email=new_email(), email_verified=True)
        browser = new_browser(house)
        signed_in(browser, come_back(browser, provider.sign_in(start(browser))))
        return browser

    def test_an_old_sign_in_at_the_provider_is_not_fresh_here(self, house: Postern, provider: Provider) -> None:
        provider.authenticated_at = time.time() - 3600
        browser = self.sign_in(house, provider)
        refused(browser.api("POST", "/auth/totp"), 403, "reauthentication_required")
        # The provider lets them through without asking: that renews nothing.
        url = start(browser, reauthenticate="true", return_to="/account")
        asked = parse_qs(urlsplit(url).query)
        assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
        assert "auth_time" in refused(come_back(browser, provider.sign_in(url)), 403, "sign_in_refused")["detail"]
        refused(browser.api("POST", "/auth/totp"), 403, "reauthentication_required")

        provider.authenticated_at = None
        before = browser.cookies["postern_session"]
        url = start(browser, reauthenticate="true", return_to="/account")
        signed_in(browser, come_back(browser, provider.sign_in(url)), "/account")
        assert browser.cookies["postern_session"] != before
        assert browser.api("POST", "/auth/totp").status_code == 200

    def test_a_provider_that_does_not_say_when_makes_nothing_fresh(self, house: Postern, provider: Provider) -> None:
        provider.says_when = False
        browser = self.sign_in(house, provider)
        refused(browser.api("POST", "/auth/totp"), 403, "reauthentication_required")
        answer = come_back(browser, provider.sign_in(start(browser, reauthenticate="true")))
        assert "does not say when" in refused(answer, 403, "sign_in_refused")["detail"]

    def test_somebody_else_at_the_provider_renews_nobody(self, house: Postern, provider: Provider) -> None:
        browser = self.sign_in(house, provider)
        me = browser.call("GET", "/auth/me")
        provider.is_signed_in(unique(), email=new_email(), email_verified=True)
        answer = come_back(browser, provider.sign_in(start(browser, reauthenticate="true")))
        assert "somebody else" in refused(answer, 403, "sign_in_refused")["detail"]
        assert browser.call("GET", "/auth/me")["user"]["id"] == me["user"]["id"]


class TestPrograms:
    """The command line signs in through a browser, and waits on the loopback (RFC 8252)."""

    def begin(self, house: Postern, verifier: str, **changes: str) -> tuple[Browser, requests.Response]:
        browser = new_browser(house)
        query = {
            "redirect_uri": "http://127.0.0.1:7777/callback", "state": "st4te", "code_challenge_method": "S256",
            "code_challenge": base64url(hashlib.sha256(verifier.encode()).digest()), **changes,
        }  # fmt: skip
        return browser, browser.api("GET", "/auth/oidc/start", params=query, allow_redirects=False)

    def code(self, house: Postern, provider: Provider, verifier: str) -> str:
        browser, answer = self.begin(house, verifier)
        back = come_back(browser, provider.sign_in(answer.headers["Location"]))
        assert back.status_code == 303 and "postern_session" not in cookies(back), describe(back)
        parts = urlsplit(back.headers["Location"])
        assert (parts.scheme, parts.netloc, parts.path) == ("http", "127.0.0.1:7777", "/callback")
        fields = parse_qs(parts.query)
        assert fields["state"] == ["st4te"]
        return fields["code"][0]

    def redeem(self, house: Postern, code: str, verifier: str) -> requests.Response:
        return requests.post(
            f"{house.url}/auth/oidc/token", json={"code": code, "code_verifier": verifier}, timeout=30,
            headers=forwarded(new_address()),
        )  # fmt: skip

    def test_a_program_redeems_its_code_once(self, house: Postern, provider: Provider) -> None:
        email, verifier = new_email(), secrets.token_urlsafe(48)
        provider.is_signed_in(unique(), email=email, email_verified=True)
        code = self.code(house, provider, verifier)
        refused(self.redeem(house, code, secrets.token_urlsafe(48)), 403, "sign_in_refused")
        refused(self.redeem(house, code[:-2] + "xx", verifier), 403, "sign_in_refused")
        answer = self.redeem(house, code, verifier)
        assert answer.status_code == 200, describe(answer)
        assert set(answer.json()) == {"token", "refresh_token", "expires_in", "user"}
        person = Person(house.url, answer.json(), password=PASSWORD, address=new_address())
        assert person.email == email and person.is_signed_in
        assert person.refreshed().is_signed_in
        refused(self.redeem(house, code, verifier), 403, "sign_in_refused")

    @pytest.mark.parametrize(
        "redirect",
        [
            "http://evil.example/", "http://localhost:7777/", "http://127.0.0.1/",
            "http://127.0.0.1:7777@evil.example/",
            "http://127.0.0.1.evil.example:7777/",
            "https://127.0.0.1:7777/", "http://127.0.0.1:7777/?x=1",
            "http://0.0.0.0:7777/", "app://callback", "//127.0.0.1:7777/",
        ],
    )  # fmt: skip
    def test_codes_go_to_the_loopback_only(self, house: Postern, redirect: str) -> None:
        _, answer = self.begin(house, secrets.token_urlsafe(48), redirect_uri=redirect)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), describe(answer)

    def test_without_a_proof_there_is_no_code(self, house: Postern) -> None:
        for changes in ({"code_challenge_method": "plain"}, {"code_challenge": ""}, {"code_challenge": "short"}):
            _, answer = self.begin(house, secrets.token_urlsafe(48), **changes)
            assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), describe(answer)

    def test_a_refusal_reaches_the_program(self, house: Postern, provider: Provider) -> None:
        provider.is_signed_in(unique(), email=new_email(), email_verified=False)
        browser, answer = self.begin(house, secrets.token_urlsafe(48))
        back = come_back(browser, provider.sign_in(answer.headers["Location"]))
        fields = parse_qs(urlsplit(back.headers["Location"]).query)
        assert fields["error"] == ["access_denied"] and "verified" in fields["error_description"][0]
        assert "code" not in fields and fields["state"] == ["st4te"]


class TestConfiguration:
    def check(self, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        directory.mkdir(exist_ok=True)
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        return run("check", cwd=directory, POSTERN_MASTER_KEY=key, POSTERN_DATA_DIR=str(directory), **environment)

    def test_what_does_not_fit_together_is_said_all_at_once(self, tmp_path: Path) -> None:
        ended = self.check(
            tmp_path / "a",
            POSTERN_OIDC_ISSUER="http://accounts.example.com",
            POSTERN_OIDC_CLIENT_SECRET="x",
            POSTERN_OIDC_CLIENT_SECRET_FILE="/nowhere",
            POSTERN_OIDC_DEFAULT_ROLE="owner",
            POSTERN_OIDC_GROUP_ROLES="staff=chief,=admin,ops",
        )
        said = ended.stdout + ended.stderr
        assert ended.returncode != 0
        missing, wrong = ("_CLIENT_ID is unset", "no group", "has no ="), ("https://", "viewer, member", "chief")
        for words in (*missing, *wrong, "are both set"):
            assert words in said, said

    def test_without_a_provider_there_is_no_way(self, shadow: Postern) -> None:
        for path in ("/auth/oidc/start", "/auth/oidc/callback"):
            assert requests.get(f"{shadow.url}{path}", timeout=10).status_code == 404
        assert requests.get(f"{shadow.url}/auth/providers", timeout=10).json()["openid"] is None
