"""The send log: found by caller, status, time, recipient or id, page by page, newest first."""

from __future__ import annotations

import re

import pytest
from harness.api import ids, only_id
from harness.mail import token
from harness.postern import Postern


@pytest.fixture(scope="module")
def prefix(shadow: Postern) -> str:
    """The beginning of 25 recipients' addresses."""
    word = token("log")
    for start in range(0, 25, 5):
        made = shadow.send(to=[f"{word}-{number:02}@receiver.test" for number in range(start, start + 5)])
        for id in ids(made):
            shadow.wait_status(id, "captured")
    return word


def test_pages_hold_everything_once_newest_first(shadow: Postern, prefix: str) -> None:
    whole = shadow.all_messages(q=prefix)
    assert sorted(row["recipient"] for row in whole) == [f"{prefix}-{n:02}@receiver.test" for n in range(25)]
    assert [row["created_at"] for row in whole] == sorted((row["created_at"] for row in whole), reverse=True)
    for limit in (1, 7, 25, 200):
        assert [row["id"] for row in shadow.all_messages(q=prefix, limit=limit)] == [row["id"] for row in whole]


def test_new_messages_do_not_shift_a_page(shadow: Postern, prefix: str) -> None:
    first = shadow.call("GET", "/v1/messages", params={"limit": 10})
    shadow.send()
    second = shadow.call("GET", "/v1/messages", params={"limit": 10, "cursor": first["next_cursor"]})
    both = [row["id"] for row in first["data"] + second["data"]]
    assert len(set(both)) == 20 and both == sorted(both, reverse=True)


@pytest.mark.parametrize("limit", ["0", "201", "-1", "ten"])
def test_a_limit_out_of_bounds_is_refused(shadow: Postern, limit: str) -> None:
    shadow.problem("GET", f"/v1/messages?limit={limit}", {400, 422}, "validation_failed")


@pytest.mark.parametrize("query", ["cursor=nonsense", "status=lost", "since=yesterday", "colour=red"])
def test_a_query_that_makes_no_sense_is_refused(shadow: Postern, query: str) -> None:
    shadow.problem("GET", f"/v1/messages?{query}", {400, 422}, "validation_failed")


def test_each_filter_narrows(shadow: Postern, prefix: str) -> None:
    one = shadow.all_messages(recipient=f"{prefix}-03@receiver.test")
    assert len(one) == 1
    (row,) = one
    assert shadow.all_messages(q=row["id"]) == one
    assert len(shadow.all_messages(q=row["correlation_id"])) == 5
    assert shadow.all_messages(q=prefix, status="bounced") == []
    assert len(shadow.all_messages(q=prefix, status="captured")) == 25
    assert shadow.all_messages(q=prefix, caller="nobody") == []
    whole = shadow.all_messages(q=prefix)
    oldest, newest = whole[-1]["created_at"], whole[0]["created_at"]
    assert len(shadow.all_messages(q=prefix, since=oldest)) == 25
    assert shadow.all_messages(q=prefix, until=oldest) == []
    assert 0 < len(shadow.all_messages(q=prefix, since=newest)) <= 5


def test_wildcards_mean_themselves(shadow: Postern, prefix: str) -> None:
    for text in ("%", "_" * len(prefix), prefix + "%", "' OR 1=1 --"):
        assert shadow.all_messages(q=text) == []


def test_a_row_is_the_message(shadow: Postern, prefix: str) -> None:
    (row,) = shadow.all_messages(recipient=f"{prefix}-00@receiver.test")
    one = shadow.message(row["id"])
    assert {key: one[key] for key in row} == row
    assert re.fullmatch(r"msg_[0-9a-z]{16}", row["id"])
    assert row["route"] == "shadow"
    for time in (row["created_at"], row["updated_at"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)


def test_what_is_not_there_is_404(shadow: Postern) -> None:
    for id in ("msg_0000000000000000", "msg_short", "key_0000000000000000", "..%2f..", "%00"):
        for path in ("", "/events", "/raw"):
            shadow.problem("GET", f"/v1/messages/{id}{path}", 404, "not_found")


def test_events_tell_the_whole_story_in_order(shadow: Postern) -> None:
    id = only_id(shadow.send())
    shadow.wait_status(id, "captured")
    events = shadow.events(id)
    assert [event["type"] for event in events][0] == "accepted"
    assert [event["type"] for event in events][-1] == "captured"
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    assert all(re.fullmatch(r"evt_[0-9a-z]{16}", event["id"]) for event in events)
