"""Mail with a time of its own: kept until then, cancelled before it, sent after it even across a restart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from harness.api import only_id
from harness.mail import plain
from harness.postern import Postern
from harness.waiting import until


def moment(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def at(event: dict) -> datetime:
    return datetime.fromisoformat(event["at"].replace("Z", "+00:00"))


def test_a_message_waits_for_its_time(shadow: Postern) -> None:
    due = moment(1.5)
    accepted = shadow.send(send_at=text(due))
    id = only_id(accepted)
    assert accepted["messages"][0]["status"] == shadow.message(id)["status"] == "scheduled"
    shadow.wait_status(id, "captured")
    events = shadow.events(id)
    assert [event["type"] for event in events][:2] == ["accepted", "scheduled"]
    assert at(events[-1]) >= due - timedelta(milliseconds=1)
    assert at(events[-1]) <= due + timedelta(seconds=5)


def test_another_time_zone_is_the_same_moment(shadow: Postern) -> None:
    there = moment(3600).astimezone(timezone(timedelta(hours=5, minutes=30)))
    id = only_id(shadow.send(send_at=there.isoformat(timespec="seconds")))
    assert datetime.fromisoformat(shadow.message(id)["send_at"].replace("Z", "+00:00")) == there.replace(microsecond=0)
    shadow.call("POST", f"/v1/messages/{id}/cancel")


def test_a_time_that_has_passed_is_now(shadow: Postern) -> None:
    id = only_id(shadow.send(send_at=text(moment(-60))))
    shadow.wait_status(id, "captured")


def test_a_scheduled_message_can_be_cancelled(shadow: Postern) -> None:
    due = moment(2)
    id = only_id(shadow.send(send_at=text(due)))
    assert shadow.call("POST", f"/v1/messages/{id}/cancel")["status"] == "cancelled"
    assert shadow.event_types(id) == ["accepted", "scheduled", "cancelled"]
    later = only_id(shadow.send(send_at=text(due + timedelta(milliseconds=200))))
    shadow.wait_status(later, "captured")
    assert shadow.message(id)["status"] == "cancelled", "its time came and it stayed"
    events = shadow.events(id)
    assert shadow.call("POST", f"/v1/messages/{id}/cancel")["status"] == "cancelled", "asking twice is no mistake"
    assert shadow.events(id) == events
    shadow.problem("POST", f"/v1/messages/{later}/cancel", 409, "conflict")


def test_what_has_ended_cannot_be_cancelled(shadow: Postern) -> None:
    id = only_id(shadow.send())
    shadow.wait_status(id, "captured")
    for action in ("cancel", "retry"):
        shadow.problem("POST", f"/v1/messages/{id}/{action}", 409, "conflict")


def test_a_schedule_survives_kill_9(shadow: Postern) -> None:
    due = moment(1)
    id = only_id(shadow.send(send_at=text(due)))
    shadow.kill9()
    until(lambda: datetime.now(UTC) > due, "its time has come")
    shadow.start()
    shadow.wait_status(id, "captured")


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_no_message_no_action(shadow: Postern, action: str) -> None:
    shadow.problem("POST", f"/v1/messages/msg_0000000000000000/{action}", 404, "not_found")


def test_a_raw_message_is_sent_now_whatever_its_date_says(shadow: Postern) -> None:
    raw = plain().replace(b"20 Nov 2025", b"20 Nov 2099")
    shadow.wait_status(only_id(shadow.send_mime(raw)), "captured")
