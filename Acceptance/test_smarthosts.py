"""Smart hosts as they come: late, refusing, silent, gone, distrustful. Every message still ends well or says why."""

from __future__ import annotations

import email
import email.policy

import pytest
from conftest import use_smarthost
from harness.api import ids, only_id
from harness.mail import header, plain, token, without_trace
from harness.network import free_port, reachable_address
from harness.peers import Drop, Hang, Outage, Peer, Say, silent_peer
from harness.postern import Postern
from harness.tls import Authority
from harness.waiting import until


@pytest.fixture(autouse=True)
def to_the_scripted_peer(relay: Postern, peer: Peer) -> None:
    use_smarthost(relay, peer.port)


@pytest.fixture
def recipient() -> str:
    return f"{token()}@receiver.test"


def check_timeline(events: list[dict], last: str) -> None:
    """What holds for every finished message's events."""
    assert [event["type"] for event in events][0] == "accepted"
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    assert [event["attempt"] for event in events] == sorted(event["attempt"] for event in events)
    assert [event["type"] for event in events][-1] == last
    assert len({event["id"] for event in events}) == len(events)


def test_a_4xx_is_tried_again_until_the_2xx(relay: Postern, peer: Peer, recipient: str) -> None:
    peer.on(recipient, Say("451 4.3.0 come back later"), Say("450 4.2.1 still busy", at="data"))
    id = only_id(relay.send(to=[recipient]))
    message = relay.wait_status(id, "delivered")
    events = relay.events(id)
    check_timeline(events, "delivered")
    told = [event["type"] for event in events if event["type"] in ("attempted", "deferred", "delivered")]
    assert told == ["attempted", "deferred", "attempted", "deferred", "attempted", "delivered"]
    deferred = [event for event in events if event["type"] == "deferred"]
    assert "451 4.3.0 come back later" in str(deferred[0]["detail"])
    assert "450 4.2.1 still busy" in str(deferred[1]["detail"])
    assert [event["attempt"] for event in deferred] == [1, 2]
    assert message["attempts"] == 3
    attempts = peer.attempts(recipient)
    assert len(attempts) == 3 and attempts[1] - attempts[0] >= 0.1, "it waits before it tries again"
    assert len(peer.to(recipient)) == 1


@pytest.mark.parametrize("place", ["rcpt", "data"])
def test_a_5xx_bounces_with_the_peers_words(relay: Postern, peer: Peer, recipient: str, place: str) -> None:
    peer.always(recipient, Say("550 5.1.1 We know nobody of that name", at=place))
    id = only_id(relay.send(to=[recipient]))
    relay.wait_status(id, "bounced")
    events = relay.events(id)
    check_timeline(events, "bounced")
    assert "550 5.1.1 We know nobody of that name" in str(events[-1]["detail"])
    assert len(peer.attempts(recipient)) == 1, "a no is a no"


def test_one_recipients_refusal_is_not_the_others(relay: Postern, peer: Peer) -> None:
    word = token()
    refused, deferred, fine = (f"{word}-{name}@receiver.test" for name in ("refused", "deferred", "fine"))
    peer.always(refused, Say("550 5.1.1 no"))
    peer.on(deferred, Say("451 4.2.0 later"))
    made = dict(zip((refused, deferred, fine), ids(relay.send(to=[refused, deferred, fine])), strict=True))
    relay.wait_status(made[refused], "bounced")
    relay.wait_status(made[deferred], "delivered")
    relay.wait_status(made[fine], "delivered")
    assert len(peer.to(fine)) == len(peer.to(deferred)) == 1 and not peer.to(refused)


@pytest.mark.parametrize("place", ["rcpt", "middle"])
def test_a_dropped_connection_is_tried_again(relay: Postern, peer: Peer, recipient: str, place: str) -> None:
    peer.on(recipient, Drop(place), Drop(place))
    raw = plain(body=b"line\r\n" * 20_000)
    id = relay.submit(raw, [recipient])
    relay.wait_status(id, "delivered")
    assert relay.event_types(id).count("deferred") == 2
    (delivery,) = peer.to(recipient)
    assert without_trace(delivery.content) == raw


def test_a_lost_final_answer_may_repeat_but_under_the_same_id(relay: Postern, peer: Peer, recipient: str) -> None:
    peer.on(recipient, Drop("after"))
    id = only_id(relay.send(to=[recipient]))
    relay.wait_status(id, "delivered")
    copies = peer.to(recipient)
    assert [copy.answered for copy in copies] == [False, True]
    assert header(copies[0].content, "Message-ID") == header(copies[1].content, "Message-ID")


def test_a_hanging_peer_holds_up_nobody_else(relay: Postern, peer: Peer, recipient: str) -> None:
    peer.on(recipient, Hang("data"))
    hung = only_id(relay.send(to=[recipient]))
    until(lambda: recipient in peer.hanging, "the peer hangs")
    others = [only_id(relay.send(to=[f"{token()}@receiver.test"])) for _ in range(10)]
    for id in others:
        relay.wait_status(id, "delivered")
    assert relay.message(hung)["status"] == "in_flight"
    peer.release()
    relay.wait_status(hung, "delivered")
    assert "deferred" in relay.event_types(hung)


@pytest.mark.parametrize("place", ["rcpt", "data"])
def test_a_peer_that_stays_silent_is_given_up_and_another_takes_over(
    impatient: Postern, peer: Peer, recipient: str, authority: Authority, place: str
) -> None:
    with Peer(starttls=authority.issue(f"silent-{place}", "DNS:localhost").server_context()) as silent:
        silent.always(recipient, Hang(place))
        use_smarthost(impatient, silent.port)
        id = only_id(impatient.send(to=[recipient]))
        until(lambda: "deferred" in impatient.event_types(id), "the attempt is given up", 20)
        use_smarthost(impatient, peer.port)
        impatient.wait_status(id, "delivered")
    assert len(peer.to(recipient)) == 1 and not silent.to(recipient)


def test_a_peer_that_never_greets_is_given_up(impatient: Postern, peer: Peer, recipient: str) -> None:
    with silent_peer() as port:
        use_smarthost(impatient, port)
        id = only_id(impatient.send(to=[recipient]))
        until(lambda: "deferred" in impatient.event_types(id), "the attempt is given up", 20)
    use_smarthost(impatient, peer.port)
    impatient.wait_status(id, "delivered")


def test_mail_waits_while_the_smart_host_is_down(relay: Postern, recipient: str) -> None:
    outage = Outage()
    use_smarthost(relay, outage.port, tls="none")
    id = only_id(relay.send(to=[recipient]))
    until(lambda: "deferred" in relay.event_types(id), "the first attempt has failed")
    peer = outage.recover()
    try:
        relay.wait_status(id, "delivered")
        assert len(peer.to(recipient)) == 1
    finally:
        outage.end()


def test_what_is_not_delivered_by_its_deadline_expires(impatient: Postern, peer: Peer, recipient: str) -> None:
    peer.always(recipient, Say("451 4.3.0 never ready"))
    use_smarthost(impatient, peer.port)
    impatient.restart(POSTERN_DELIVERY_DEADLINE="3")
    id = only_id(impatient.send(to=[recipient]))
    impatient.wait_status(id, "expired", 20)
    events = impatient.events(id)
    check_timeline(events, "expired")
    assert len([event for event in events if event["type"] == "deferred"]) >= 2
    assert "451 4.3.0 never ready" in str(events)
    tries = len(peer.attempts(recipient))
    peer.always(recipient, None)
    fresh = only_id(impatient.send(to=[f"{token()}@receiver.test"]))
    impatient.wait_status(fresh, "delivered")
    assert len(peer.attempts(recipient)) == tries, "an expired message is not tried again"


# Encryption and identity


def test_nothing_goes_in_clear_when_tls_is_required(relay: Postern, recipient: str) -> None:
    with Peer() as clear:
        use_smarthost(relay, clear.port, tls="required")
        id = only_id(relay.send(to=[recipient]))
        until(lambda: "deferred" in relay.event_types(id), "the attempt has failed")
        assert not clear.attempts(recipient)
        use_smarthost(relay, clear.port, tls="opportunistic")
        relay.wait_status(id, "delivered")
        assert not clear.delivered(recipient).encrypted


@pytest.mark.parametrize("flaw", ["unknown authority", "other name"])
def test_a_certificate_that_cannot_be_verified_stops_the_attempt(
    relay: Postern,
    peer: Peer,
    recipient: str,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
    flaw: str,
) -> None:
    if flaw == "other name":
        certificate = authority.issue("other", "DNS:other.test")
    else:
        certificate = Authority(tmp_path_factory.mktemp("stranger")).issue("stranger", "DNS:localhost")
    with Peer(starttls=certificate.server_context()) as impostor:
        use_smarthost(relay, impostor.port)
        id = only_id(relay.send(to=[recipient]))
        until(lambda: "deferred" in relay.event_types(id), "the attempt has failed")
        assert "certificate" in str(relay.events(id)).lower()
        assert not impostor.attempts(recipient)
    use_smarthost(relay, peer.port)
    relay.wait_status(id, "delivered")


def test_a_login_is_given_under_tls_and_kept_secret(relay: Postern, recipient: str, authority: Authority) -> None:
    password = token("secret")
    context = authority.issue("login", "DNS:localhost").server_context()
    with Peer(starttls=context, login=("postern", password)) as guarded:
        use_smarthost(relay, guarded.port, username="postern", password="not " + password)
        id = only_id(relay.send(to=[recipient]))
        until(lambda: "deferred" in relay.event_types(id), "the wrong password was refused")
        assert ("postern", False) in guarded.logins
        use_smarthost(relay, guarded.port, username="postern", password=password)
        relay.wait_status(id, "delivered")
        assert guarded.delivered(recipient).username == "postern"
    shown = relay.settings()["smarthost_password"]["value"]
    assert shown == {"set": True}
    assert password not in str(relay.events(id)) + str(relay.settings()) + relay.log_tail(most=10**9)
    assert not [path for path in relay.data.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]


def test_a_login_is_not_given_in_clear(relay: Postern, peer: Peer, recipient: str) -> None:
    """On the loopback interface nobody listens in, and it would be; so the peer is on another one."""
    address = reachable_address()
    if address is None:
        pytest.skip("this machine has no address but the loopback one")
    with Peer(login=("postern", "secret"), host=address) as clear:
        use_smarthost(relay, clear.port, host=address, tls="opportunistic", username="postern", password="secret")
        id = only_id(relay.send(to=[recipient]))
        until(lambda: "deferred" in relay.event_types(id), "the attempt has failed")
        assert not clear.logins
    use_smarthost(relay, peer.port)
    relay.wait_status(id, "delivered")


# What the peer can take


def test_eight_bits_are_not_forced_on_a_seven_bit_peer(relay: Postern, recipient: str, authority: Authority) -> None:
    context = authority.issue("seven", "DNS:localhost").server_context()
    raw = plain(
        body="naïve π\r\n",
        extra="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
    )
    with Peer(starttls=context, without=frozenset({"8BITMIME", "SMTPUTF8"})) as narrow:
        use_smarthost(relay, narrow.port)
        id = relay.submit(raw, [recipient], options=("BODY=8BITMIME",))
        if relay.wait_status(id, {"delivered", "bounced", "failed"})["status"] == "delivered":
            (copy,) = narrow.to(recipient)
            assert copy.content.isascii()
            message = email.message_from_bytes(copy.content, policy=email.policy.default)
            assert message.get_content().splitlines() == ["naïve π"]  # type: ignore[attr-defined]
        else:
            assert "5.6.3" in str(relay.events(id))
            assert not narrow.to(recipient)


def test_an_international_address_bounces_where_it_cannot_be_written(relay: Postern, authority: Authority) -> None:
    word = token()
    recipient = f"grüße-{word}@receiver.test"
    context = authority.issue("ascii", "DNS:localhost").server_context()
    with Peer(starttls=context, without=frozenset({"SMTPUTF8"})) as narrow:
        use_smarthost(relay, narrow.port)
        id = relay.submit(plain(), [recipient], options=("SMTPUTF8",))
        relay.wait_status(id, {"bounced", "failed"})
        assert "5.6.7" in str(relay.events(id))
        assert not [delivery for delivery in narrow.deliveries if word in str(delivery.recipients)]


def test_connections_are_used_again(relay: Postern, peer: Peer) -> None:
    word, before = token(), peer.connections
    made = [only_id(relay.send(to=[f"{word}-{number}@receiver.test"])) for number in range(30)]
    for id in made:
        relay.wait_status(id, "delivered")
    assert len([delivery for delivery in peer.deliveries if delivery.recipients[0].startswith(word)]) == 30
    assert peer.connections - before < 15


# By hand


def test_a_bounced_message_can_be_sent_again(relay: Postern, peer: Peer, recipient: str) -> None:
    peer.on(recipient, Say("550 5.7.1 not today"))
    id = only_id(relay.send(to=[recipient]))
    relay.wait_status(id, "bounced")
    relay.api("POST", f"/v1/messages/{id}/retry").raise_for_status()
    relay.wait_status(id, "delivered")
    types = relay.event_types(id)
    assert types.index("bounced") < types.index("retried") < types.index("delivered")
    relay.problem("POST", f"/v1/messages/{id}/retry", 409, "conflict")
    relay.problem("POST", f"/v1/messages/{id}/cancel", 409, "conflict")
    assert len(peer.to(recipient)) == 1


def test_a_message_between_attempts_can_be_cancelled(relay: Postern, peer: Peer, recipient: str) -> None:
    use_smarthost(relay, free_port())
    id = only_id(relay.send(to=[recipient]))
    until(lambda: "deferred" in relay.event_types(id), "the first attempt has failed")

    def cancelled() -> bool:
        # While an attempt runs the answer is a conflict; between attempts it is yes.
        return relay.api("POST", f"/v1/messages/{id}/cancel").status_code == 200

    until(cancelled, "it can be cancelled")
    use_smarthost(relay, peer.port)
    assert relay.wait_status(id, "cancelled")
    marker = only_id(relay.send(to=[f"{token()}@receiver.test"]))
    relay.wait_status(marker, "delivered")
    assert not peer.attempts(recipient)
    check_timeline(relay.events(id), "cancelled")
