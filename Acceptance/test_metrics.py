"""/metrics is what Prometheus reads, and counts what happens."""

from __future__ import annotations

from harness.api import only_id
from harness.mail import plain
from harness.postern import Postern
from prometheus_client.parser import text_string_to_metric_families


def counters(postern: Postern) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = postern.api("GET", "/metrics", headers={"Authorization": ""})
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.name.startswith(("postern_", "process_")), family.name
        assert family.type != "unknown" and family.documentation, f"{family.name} has no TYPE or HELP"
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert (sample.name, labels) not in found, f"{sample.name} {labels} twice"
            found[sample.name, labels] = sample.value
    return found


def test_an_accepted_message_is_counted_at_its_door(shadow: Postern) -> None:
    before = counters(shadow)
    shadow.wait_status(only_id(shadow.send()), "captured")
    shadow.wait_status(shadow.submit(plain(), ["bob@receiver.test"]), "captured")
    after = counters(shadow)
    grown = {key for key, value in after.items() if value > before.get(key, 0) and key[0].endswith("_total")}
    for door in ("http", "smtp"):
        assert [key for key in grown if door in str(key) and "accepted" in str(key)], (
            f"nothing grew for {door}: {grown}"
        )


def test_labels_hold_nothing_that_callers_choose(shadow: Postern) -> None:
    """A label for each address or path would let a caller fill the memory of whoever reads this."""
    shadow.send(to=["someone-in-particular@receiver.test"])
    shadow.api("GET", "/v1/messages/msg_0000000000000000")
    shadow.api("GET", "/no/such/path/at-all")
    labels = str([labels for _, labels in counters(shadow)])
    for word in ("someone-in-particular", "msg_0", "at-all", shadow.card["smtp"]["username"]):
        assert word not in labels
