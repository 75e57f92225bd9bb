"""What somebody tries who wants to send as somebody else, or to do more than was given: names that look alike, authors
that hide behind others, addresses in odd quoting, another vault's keys and things.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from harness.api import Api, describe, only_id
from harness.mail import parsed, plain, token
from harness.postern import Postern
from harness.smtp import SMTPSession
from harness.vaults import Neighbour, move_in

SIMPLE = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hello", "text": "Hi"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postern, Neighbour]]:
    """An instance with two vaults: `example.com` is the first one's, `example.net` the other's."""
    directory = tmp_path_factory.mktemp("house")
    with Postern(directory / "house") as postern:
        neighbour = move_in(postern)
        neighbour.api.call("PATCH", "/v1/settings", json={"allowed_sender_domains": ["example.net"]})
        yield postern, neighbour


@pytest.fixture(autouse=True)
def no_row_behind(shadow: Postern) -> Iterator[None]:
    """Whatever is tried on this instance is refused, or it is said otherwise in the test."""
    before = shadow.message_ids()
    yield
    rows = [shadow.message(id) for id in shadow.message_ids() - before]
    ours = ("example.com", "xn--bcher-kva.example", "bücher.example")
    strangers = [row["from"] for row in rows if row["from"].rpartition("@")[2].lower() not in ours]
    assert not strangers, strangers
    shadow.set(allowed_sender_domains=["example.com"])


def is_refused(answer: requests.Response) -> str:
    """The code of a refusal that is the caller's doing."""
    assert answer.status_code in (400, 403, 404, 413, 422), describe(answer)
    return answer.json().get("code", "")


# Sender domains that look alike

LOOKALIKES = {
    "Cyrillic а": "ada@exаmple.com",
    "Cyrillic е": "ada@еxample.com",
    "Greek ο": "ada@example.cοm",
    "A-label of a homoglyph": "ada@" + "exаmple.com".encode("idna").decode(),
    "dotless ı": "ada@examрle.com",
    "zero-width space": "ada@exam\u200bple.com",
    "zero-width joiner": "ada@exam\u200dple.com",
    "soft hyphen": "ada@exam\u00adple.com",
    "combining dot": "ada@exampl\u0117\u0307.com",
    "right-to-left override": "ada@\u202emoc.elpmaxe",
    "ideographic stop": "ada@example。com.evil.test",
    "a subdomain of somebody": "ada@example.com.evil.test",
    "somebody's subdomain": "ada@evil.example.com",
    "a hyphen more": "ada@example-com.test",
    "the end of another name": "ada@notexample.com",
    "a trailing dot": "ada@example.com..",
    "a port": "ada@example.com:25",
    "an address literal": "ada@[127.0.0.1]",
    "a NUL": "ada@example.com\x00.evil.test",
    "a percent": "ada@evil.test%example.com",
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_a_domain_that_looks_like_an_allowed_one_is_another(shadow: Postern, name: str) -> None:
    sender = LOOKALIKES[name]
    assert is_refused(shadow.api("POST", "/v1/messages", json={**SIMPLE, "from": sender})) in (
        "sender_domain_not_allowed", "validation_failed",
    )  # fmt: skip
    canonical = {"recipient": "bob@receiver.test", "envelope": sender,
                 "mime": {"to": "bob@receiver.test", "from": {"address": "ada@example.com"}, "text": "x"}}  # fmt: skip
    is_refused(shadow.api("POST", "/v1/send", json=canonical))
    canonical["mime"]["from"]["address"] = sender  # type: ignore[index]
    canonical["envelope"] = "ada@example.com"
    is_refused(shadow.api("POST", "/v1/send", json=canonical))
    is_refused(shadow.api("POST", "/resend/emails", json=SIMPLE | {"from": sender}))
    raw = plain().replace(b"ada@example.com", sender.encode())
    with shadow.smtp() as session:
        done = session.submit("ada@example.com", ["bob@receiver.test"], raw)
        assert done.refusal.code // 100 == 5, str(done)


def test_widths_and_stops_of_other_scripts_are_one_name(shadow: Postern) -> None:
    """Full-width letters and the ideographic full stop are the same domain by IDNA; what is sent has the plain name."""
    for sender in ("ada@ｅｘａｍｐｌｅ.com", "ada@example。com", "ada@EXAMPLE.com"):
        answer = shadow.api("POST", "/v1/messages", json={**SIMPLE, "from": sender})
        if answer.status_code == 202:
            raw = shadow.raw(answer.json()["id"])
            assert str(parsed(raw)["From"]).lower().endswith("@example.com"), sender
        else:
            assert is_refused(answer) in ("sender_domain_not_allowed", "validation_failed")


def test_an_international_domain_is_one_domain_in_both_forms(shadow: Postern) -> None:
    shadow.set(allowed_sender_domains=["example.com", "bücher.example"])
    for sender in (
        "ada@bücher.example",
        "ada@xn--bcher-kva.example",
        "ada@BÜCHER.EXAMPLE",
        "ada@XN--BCHER-KVA.example",
    ):
        shadow.call("POST", "/v1/messages", expect=202, json={**SIMPLE, "from": sender})
    for other in ("ada@bucher.example", "ada@bü\u0308cher.example", "ada@bűcher.example", "ada@xn--bcher-kvb.example"):
        is_refused(shadow.api("POST", "/v1/messages", json={**SIMPLE, "from": other}))


@pytest.mark.parametrize(
    "pattern", ["*", "*.", "*.com.*", "**.example.com", "exаmple..com", "ex ample.com", "@example.com", ".com"]
)
def test_a_rule_for_domains_is_no_pattern_language(shadow: Postern, pattern: str) -> None:
    shadow.problem("PATCH", "/v1/settings", 422, "validation_failed", json={"allowed_sender_domains": [pattern]})


# Authors that hide behind others


SEVERAL_AUTHORS = {
    "two": "ada@example.com, eve@evil.test",
    "two, the stranger first": "eve@evil.test, ada@example.com",
    "two with names": '"Ada" <ada@example.com>, "Eve" <eve@evil.test>',
    "a group": "Friends: ada@example.com, eve@evil.test;",
    "an empty group": "Friends:;",
    "a semicolon": "ada@example.com; eve@evil.test",
    "angle brackets twice": "<ada@example.com> <eve@evil.test>",
    "nested brackets": "<eve@evil.test <ada@example.com>>",
    "a comment": "eve@evil.test (ada@example.com)",
    "a comment inside": "ada@(example.com)evil.test",
    "an address as the name": "ada@example.com <eve@evil.test>",
    "a quoted address as the name": '"ada@example.com" <eve@evil.test>',
    "an encoded address as the name": "=?utf-8?q?ada=40example=2Ecom?= <eve@evil.test>",
    "an encoded address": "=?utf-8?q?ada=40example=2Ecom?=",
    "an encoded line end": "=?utf-8?q?Ada=0D=0AFrom=3A_eve=40evil=2Etest?= <eve@evil.test>",
}


@pytest.mark.parametrize("name", SEVERAL_AUTHORS)
def test_a_stranger_among_the_authors_is_seen(shadow: Postern, name: str) -> None:
    author = SEVERAL_AUTHORS[name]
    for path in ("/v1/messages", "/v1/send/resend", "/resend/emails"):
        is_refused(shadow.api("POST", path, json={**SIMPLE, "from": author}))
    is_refused(shadow.api("POST", "/v1/send/mailgun", data={**SIMPLE, "from": author, "to": "bob@receiver.test"}))
    raw = plain(sender=author)
    query, content = {"from": "ada@example.com", "to": "bob@receiver.test"}, {"Content-Type": "message/rfc822"}
    is_refused(shadow.api("POST", "/v1/send/mime", params=query, data=raw, headers=content))
    with shadow.smtp() as session:
        done = session.submit("ada@example.com", ["bob@receiver.test"], raw)
        assert done.data is not None and done.data.code in (550, 554), str(done)


HIDDEN_AUTHORS = {
    "a second From": b"From: eve@evil.test\r\n",
    "a second From in other letters": b"FROM: eve@evil.test\r\n",
    "a From with a space before its colon": b"From : eve@evil.test\r\n",
    "a From with a tab before its colon": b"From\t: eve@evil.test\r\n",
    "a folded From": b"From:\r\n eve@evil.test\r\n",
    "a second From behind an odd line": b"X-Odd:\r\nFrom: eve@evil.test\r\n",
}


@pytest.mark.parametrize("name", HIDDEN_AUTHORS)
@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_a_second_author_field_is_refused(shadow: Postern, name: str, first: bool) -> None:
    field = HIDDEN_AUTHORS[name]
    raw = field + plain() if first else plain(extra=field)
    query, content = {"from": "ada@example.com", "to": "bob@receiver.test"}, {"Content-Type": "message/rfc822"}
    assert is_refused(shadow.api("POST", "/v1/send/mime", params=query, data=raw, headers=content)) in (
        "malformed_message", "sender_domain_not_allowed",
    )  # fmt: skip
    with shadow.smtp() as session:
        done = session.submit("ada@example.com", ["bob@receiver.test"], raw)
        assert done.data is not None and done.data.code in (550, 554), str(done)


def test_a_display_name_stays_a_name(shadow: Postern) -> None:
    """It may say what it likes, but it is written so that no reader takes it for the address."""
    for name in (
        "eve@evil.test",
        "<eve@evil.test>",
        "Eve <eve@evil.test>",
        "Eve, Ltd.",
        'Eve "the boss"',
        "Eve\\",
        "Éve",
    ):
        mime = {"to": "bob@receiver.test", "from": {"address": "ada@example.com", "name": name}, "text": "x"}
        accepted = shadow.call("POST", "/v1/send", expect=202, json={"recipient": "bob@receiver.test", "mime": mime})
        header = parsed(shadow.raw(only_id(accepted)))["From"]
        assert [address.addr_spec for address in header.addresses] == ["ada@example.com"], name
        assert header.addresses[0].display_name == name
    for name in ("Eve\r\nBcc: eve@evil.test", "Eve\nX: y", "Eve\x00", "Eve\x1b[2J"):
        mime = {"to": "bob@receiver.test", "from": {"address": "ada@example.com", "name": name}, "text": "x"}
        is_refused(shadow.api("POST", "/v1/send", json={"recipient": "bob@receiver.test", "mime": mime}))
        sendgrid = {
            "personalizations": [{"to": [{"email": "bob@receiver.test"}]}],
            "subject": "x",
            "from": {"email": "ada@example.com", "name": name},
            "content": [{"type": "text/plain", "value": "x"}],
        }
        is_refused(shadow.api("POST", "/v1/send/sendgrid", json=sendgrid))


@pytest.mark.parametrize(
    "field",
    [
        "Sender",
        "Resent-From",
        "Resent-Sender",
        "From",
        "Return-Path",
        "Received",
        "Bcc",
        "To",
        "Message-ID",
        "Date",
        "Content-Type",
        "MIME-Version",
    ],
)
def test_fields_that_say_who_wrote_it_are_not_a_callers_to_give(shadow: Postern, field: str) -> None:
    headers = {field: "eve@evil.test"}
    answer = shadow.api("POST", "/v1/messages", json={**SIMPLE, "headers": headers})
    assert is_refused(answer) in ("validation_failed", "sender_domain_not_allowed")
    if field == "Message-ID":
        # Some providers' clients may choose it; dialects say which.
        return
    email = {"From": "ada@example.com", "To": "bob@receiver.test", "Subject": "x", "TextBody": "x",
             "Headers": [{"Name": field, "Value": "eve@evil.test"}]}  # fmt: skip
    is_refused(shadow.api("POST", "/v1/send/postmark", json=email))
    is_refused(
        shadow.api(
            "POST",
            "/v1/send/mailgun",
            data={
                "from": "ada@example.com",
                "to": "bob@receiver.test",
                "subject": "x",
                "text": "x",
                f"h:{field}": "eve@evil.test",
            },
        )
    )


# Addresses in odd quoting


def test_a_quoted_local_part_is_one_local_part(shadow: Postern) -> None:
    """What counts is behind the last at sign, and it is written back in its quotes."""
    for sender in (
        '"eve@evil.test"@example.com',
        '"eve@evil.test> <x"@example.com',
        '"a b"@example.com',
        '"a,b"@example.com',
    ):
        accepted = shadow.api("POST", "/v1/messages", json={**SIMPLE, "from": sender})
        if accepted.status_code != 202:
            assert is_refused(accepted) == "validation_failed"
            continue
        raw = shadow.raw(only_id(accepted.json()))
        assert [address.domain for address in parsed(raw)["From"].addresses] == ["example.com"], sender
    for sender in (
        '"ada@example.com"@evil.test',
        '"ada@example.com\\"@evil.test',
        '"ada@example.com',
        'ada@example.com"@evil.test',
        '"ada"@example.com@evil.test',
        '"a"b@example.com@evil.test',
    ):
        is_refused(shadow.api("POST", "/v1/messages", json={**SIMPLE, "from": sender}))
        with shadow.raw_smtp() as session:
            refused = session.command(f"MAIL FROM:<{sender}>")
            assert refused.code in (501, 550, 553), f"{sender}: {refused}"


@pytest.mark.parametrize(
    "path",
    [
        "@evil.test:ada@example.com",
        "@example.com:eve@evil.test",
        "@a.test,@b.test:eve@evil.test",
        "ada%evil.test@evil.test",
        "evil.test!ada@evil.test",
        "ada@example.com@evil.test",
        "ada@evil.test@",
        "ada@example.com>@evil.test",
    ],
)
def test_a_source_route_leads_nowhere(shadow: Postern, path: str) -> None:
    """RFC 5321 §4.1.1.3 lets a receiver ignore the route: then the address counts. Refusing is as good."""
    with shadow.raw_smtp() as session:
        answer = session.command(f"MAIL FROM:<{path}>")
        if "evil.test" in path.rpartition("@")[2]:
            assert answer.code in (501, 550, 553, 555), str(answer)
        elif answer.code == 250:
            assert session.command("RCPT TO:<bob@receiver.test>").code == 250
            assert session.command("DATA").code == 354
            session.send(plain() + b".\r\n")
            accepted = session.reply()
            assert accepted.code == 250 and shadow.message(accepted.ids[0])["from"] == "ada@example.com"
    with shadow.raw_smtp() as session:
        assert session.command("MAIL FROM:<ada@example.com>").code == 250
        routed = session.command("RCPT TO:<@relay.evil.test:bob@receiver.test>")
        if routed.code == 250:
            assert session.command("DATA").code == 354
            session.send(plain() + b".\r\n")
            assert shadow.message(session.reply().ids[0])["recipient"] == "bob@receiver.test"
        else:
            assert routed.code in (501, 550, 553), str(routed)
    is_refused(shadow.api("POST", "/v1/messages", json={**SIMPLE, "from": f"<{path}>"})) if "evil" in path.rpartition(
        "@"
    )[2] else None


@pytest.mark.parametrize(
    "recipient", ["bob@receiver.test\r\nRCPT TO:<eve@evil.test>", "bob@receiver.test>\r\nDATA",
                  "bob@receiver.test\nBcc: eve@evil.test", "<bob@receiver.test> SIZE=1", "bob@receiver.test\x00"],
)  # fmt: skip
def test_a_recipient_is_no_command(shadow: Postern, recipient: str) -> None:
    is_refused(shadow.api("POST", "/v1/messages", json={**SIMPLE, "to": [recipient]}))
    canonical = {"recipient": recipient, "mime": {"to": recipient, "from": {"address": "ada@example.com"}, "text": "x"}}
    is_refused(shadow.api("POST", "/v1/send", json=canonical))
    is_refused(shadow.api("POST", "/v1/send/mime", params={"from": "ada@example.com", "to": recipient}, data=plain(),
                          headers={"Content-Type": "message/rfc822"}))  # fmt: skip


# Keys of another vault


def test_a_key_opens_its_own_vault_only(house: tuple[Postern, Neighbour]) -> None:
    postern, neighbour = house
    assert neighbour.api.call("GET", "/v1/me")["vault"] == neighbour.id != postern.call("GET", "/v1/me")["vault"]
    postern.call("POST", "/v1/messages", expect=202, json=SIMPLE)
    neighbour.api.problem("POST", "/v1/messages", 403, "sender_domain_not_allowed", json=SIMPLE)
    postern.problem(
        "POST", "/v1/messages", 403, "sender_domain_not_allowed", json={**SIMPLE, "from": "ada@example.net"}
    )
    # A key has its vault; another one is not there for it, no more than one that nobody has.
    refusals = [
        postern.problem("GET", "/v1/me", 404, "not_found", headers={"X-Postern-Vault": named})
        for named in (neighbour.id, neighbour.slug, "vlt_0000000000000000", "nobody")
    ]
    assert len({(refusal["detail"], refusal["fix"]) for refusal in refusals}) == 1


def test_a_login_opens_its_own_vault_only(house: tuple[Postern, Neighbour]) -> None:
    postern, neighbour = house
    login = (neighbour.username, neighbour.password)
    with SMTPSession.opened(postern.smtp_port, "starttls", login) as session:
        refused = session.submit("ada@example.com", ["bob@receiver.test"], plain()).refusal
        assert (refused.code, refused.enhanced) == (550, "5.7.1")
        raw = plain(sender="ada@example.net")
        id = session.submit("ada@example.net", ["bob@receiver.test"], raw).accepted_id
    assert neighbour.api.call("GET", f"/v1/messages/{id}")["vault"] == neighbour.id
    postern.problem("GET", f"/v1/messages/{id}", 404, "not_found")
    # One's own name with the other's password.
    own = postern.card["smtp"]["username"]
    Api.with_password(postern.url, own, neighbour.password).problem(
        "POST", "/v1/messages", 401, "unauthorized", json=SIMPLE
    )


def test_what_belongs_to_another_vault_is_not_found(house: tuple[Postern, Neighbour]) -> None:
    """By reading, changing or deleting; and the answer is the one for what is nowhere."""
    postern, neighbour = house
    other = neighbour.api
    later = {"send_at": "2027-01-01T00:00:00Z"}
    message = other.call("POST", "/v1/messages", expect=202, json={**SIMPLE, **later, "from": "ada@example.net"})["id"]
    key = other.call("POST", "/v1/keys", expect=201, json={"label": "theirs", "scopes": ["send"]})["id"]
    user = other.call("POST", "/v1/smtp-users", expect=201, json={"username": token("theirs")})["id"]
    pool = other.call(
        "POST", "/v1/ip-pools", expect=201, json={"domain": "example.net", "pool": "theirs", "ips": ["192.0.2.1"]}
    )["id"]
    other.call("PUT", "/v1/secrets/theirs", json={"value": "x"})
    tries = [
        ("GET", f"/v1/messages/{message}", None), ("GET", f"/v1/messages/{message}/events", None),
        ("GET", f"/v1/messages/{message}/raw", None), ("GET", f"/v1/messages/{message}/mailerq", None),
        ("POST", f"/v1/messages/{message}/cancel", None), ("POST", f"/v1/messages/{message}/retry", None),
        ("GET", f"/v1/keys/{key}", None), ("PATCH", f"/v1/keys/{key}", {"label": "ours"}),
        ("POST", f"/v1/keys/{key}/rotate", None), ("DELETE", f"/v1/keys/{key}", None),
        ("GET", f"/v1/smtp-users/{user}", None), ("PATCH", f"/v1/smtp-users/{user}", {"label": "ours"}),
        ("POST", f"/v1/smtp-users/{user}/rotate", None), ("DELETE", f"/v1/smtp-users/{user}", None),
        ("GET", f"/v1/ip-pools/{pool}", None), ("PATCH", f"/v1/ip-pools/{pool}", {"pool": "ours"}),
        ("PUT", f"/v1/ip-pools/{pool}", {"domain": "example.com", "pool": "ours", "ips": ["192.0.2.2"]}),
        ("DELETE", f"/v1/ip-pools/{pool}", None), ("DELETE", "/v1/secrets/theirs", None),
    ]  # fmt: skip
    for method, path, body in tries:
        told = postern.problem(method, path, 404, "not_found", json=body)
        nowhere = path.replace(message, "msg_0000000000000000").replace(key, "key_0000000000000000")
        nowhere = nowhere.replace(user, "smtp_0000000000000000").replace(pool, "pool_0000000000000000")
        assert postern.problem(method, nowhere, 404, "not_found", json=body)["detail"] == told["detail"], path
    for path in (f"/resend/emails/{message}",):
        assert postern.api("GET", path).status_code == postern.api("POST", f"{path}/cancel").status_code == 404
    for path in (
        "/v1/messages",
        "/v1/keys",
        "/v1/smtp-users",
        "/v1/ip-pools",
        "/v1/secrets",
        "/v1/audit",
        "/v1/alerts",
    ):
        text = postern.api("GET", path, params={} if path == "/v1/secrets" else {"limit": 200}).text
        assert not [id for id in (message, key, user, pool, neighbour.id, "theirs") if id in text], path
    assert other.call("GET", f"/v1/messages/{message}")["status"] == "scheduled"
    assert other.call("GET", f"/v1/keys/{key}")["revoked_at"] is None


def test_a_pool_of_another_vault_is_no_pool(house: tuple[Postern, Neighbour]) -> None:
    postern, neighbour = house
    body = {"domain": "vip.example", "pool": "vip", "ips": ["192.0.2.77"]}
    neighbour.api.call("POST", "/v1/ip-pools", expect=201, json=body)
    postern.problem("PATCH", "/v1/settings", 422, "validation_failed", json={"ip_pool_strategy": "fixed:vip"})
    sendgrid = {"personalizations": [{"to": [{"email": "bob@receiver.test"}]}], "from": {"email": "ada@example.com"},
                "subject": "x", "content": [{"type": "text/plain", "value": "x"}], "ip_pool_name": "vip"}  # fmt: skip
    answer = postern.api("POST", "/v1/send/sendgrid", json=sendgrid)
    assert is_refused(answer) in ("validation_failed", "no_ip_pool")
    # The same domain has a pool in each vault, without a word about the other one.
    postern.call("POST", "/v1/ip-pools", expect=201, json={**body, "ips": ["192.0.2.78"]})


def test_one_vaults_idempotency_keys_and_limits_are_not_the_others(house: tuple[Postern, Neighbour]) -> None:
    postern, neighbour = house
    key = {"Idempotency-Key": token()}
    ours = postern.call("POST", "/v1/messages", expect=202, json=SIMPLE, headers=key)
    theirs = neighbour.api.call(
        "POST", "/v1/messages", expect=202, json={**SIMPLE, "from": "ada@example.net"}, headers=key
    )
    assert ours["id"] != theirs["id"]
    postern.set(send_rate_limit=1)
    try:
        postern.call("POST", "/v1/messages", expect=202, json=SIMPLE)
        postern.problem("POST", "/v1/messages", 429, "rate_limited", json=SIMPLE)
        for _ in range(2):
            neighbour.api.call("POST", "/v1/messages", expect=202, json={**SIMPLE, "from": "ada@example.net"})
    finally:
        postern.set(send_rate_limit=None)


# Keys in the wrong place


@pytest.mark.parametrize(
    "path", ["/v1/me", "/resend/emails/msg_0000000000000000", "/sendgrid/v3/scopes", "/postmark/server"]
)
def test_half_a_key_is_no_key(shadow: Postern, path: str) -> None:
    key = shadow.card["api_key"]
    tries = [
        key[:-1],
        key + "A",
        key.upper(),
        key[:11],
        f"{key} ",
        key.replace("ak_", "ak-"),
        f"{key}\x00"[:-1] + "%00",
        "",
    ]
    for text in tries:
        headers = {"Authorization": f"Bearer {text}", "X-Postmark-Server-Token": text}
        if text.strip() == key:
            continue
        answer = shadow.api("GET", path, headers=headers)
        assert answer.status_code in (401, 403), f"{text!r}: {describe(answer)}"
        assert key not in answer.text and (not text or text not in answer.text)


def test_no_provider_repeats_a_key_or_takes_one_from_the_address(shadow: Postern) -> None:
    key = shadow.card["api_key"]
    for path in (
        "/v1/me",
        "/resend/emails",
        "/sendgrid/v3/mail/send",
        "/postmark/email",
        "/mailgun/v3/example.com/messages",
    ):
        for query in ({"api_key": key}, {"access_token": key}, {"key": key}):
            stranger = Api(shadow.url, None)
            answer = stranger.api("POST" if path != "/v1/me" else "GET", path, params=query, json={})
            assert answer.status_code in (401, 403, 422), f"{path}: {describe(answer)}"
            assert answer.status_code != 422 or path.startswith("/postmark"), f"{path}: {describe(answer)}"
            assert key not in answer.text
    assert key not in shadow.log_tail(most=10_000_000)


def test_scopes_hold_at_every_door(shadow: Postern, tmp_path: Path) -> None:
    """A key that may only read sends through no provider's door either."""
    _, reader = shadow.new_key("read")
    key = (reader.authorization or "").removeprefix("Bearer ")
    email: dict[str, Any] = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "x", "text": "x"}
    doors = {
        "/resend/emails": ({"json": email}, {}),
        "/sendgrid/v3/mail/send": ({"json": {}}, {}),
        "/postmark/email": ({"json": {}}, {"X-Postmark-Server-Token": key, "Authorization": ""}),
    }  # fmt: skip
    for path, (content, headers) in doors.items():
        answer = reader.api("POST", path, headers=headers, **content)
        assert answer.status_code in (401, 403) or path.startswith("/postmark") and answer.status_code == 422, describe(
            answer
        )
        assert "message.send" in answer.text, f"{path}: {describe(answer)}"
    mailgun = Api.with_password(shadow.url, "api", key)
    answer = mailgun.api("POST", "/mailgun/v3/example.com/messages", data={"from": "ada@example.com"})
    assert answer.status_code in (401, 403), describe(answer)
    for verb in ("send", "map"):
        for dialect in ("sendy", "odoo", "ses", "sendgrid", "mailgun", "postmark", "resend"):
            reader.problem("POST", f"/v1/{verb}/{dialect}", 403, "forbidden", json={})
