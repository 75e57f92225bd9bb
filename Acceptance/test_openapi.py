"""The API's own description is valid, and describes what there is."""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests
from harness.api import describe, only_id
from harness.mail import token
from harness.people import Person
from harness.postern import Postern
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DIALECTS = ("canonical", "simple", "mime", "sendy", "odoo", "ses", "sendgrid", "mailgun", "postmark", "resend")
EXPECTED = {
    ("post", "/v1/send"), ("post", "/v1/messages"), ("get", "/v1/messages"), ("get", "/v1/messages/{id}"),
    ("get", "/v1/messages/{id}/events"), ("get", "/v1/messages/{id}/raw"), ("post", "/v1/messages/{id}/cancel"),
    ("post", "/v1/messages/{id}/retry"), ("get", "/v1/keys"), ("post", "/v1/keys"), ("delete", "/v1/keys/{id}"),
    ("post", "/v1/keys/{id}/rotate"), ("get", "/v1/smtp-users"), ("post", "/v1/smtp-users"),
    ("delete", "/v1/smtp-users/{id}"), ("get", "/v1/settings"), ("patch", "/v1/settings"), ("get", "/v1/ip-pools"),
    ("post", "/v1/ip-pools"), ("delete", "/v1/ip-pools/{id}"), ("get", "/v1/me"), ("get", "/healthz"),
    ("get", "/readyz"), ("get", "/metrics"), ("get", "/openapi.json"), ("get", "/v1/queues"),
    ("post", "/v1/queues/failure/drain"), ("post", "/v1/queues/failure/requeue"), ("get", "/v1/mailerq/{path}"),
    ("post", "/v1/mailerq/{path}"), ("get", "/v1/alerts"), ("get", "/v1/audit"), ("get", "/v1/secrets"),
    ("put", "/v1/secrets/{name}"), ("get", "/v1/settings/{key}"), ("patch", "/v1/ip-pools/{id}"),
    ("patch", "/v1/keys/{id}"), ("patch", "/v1/smtp-users/{id}"), ("post", "/ses/"),
    ("post", "/ses/v2/email/outbound-emails"), ("post", "/sendgrid/v3/mail/send"),
    ("post", "/mailgun/v3/{domain}/messages"), ("post", "/postmark/email"), ("post", "/resend/emails"),
    *(("post", f"/v1/{verb}/{dialect}") for verb in ("send", "map") for dialect in DIALECTS),
}  # fmt: skip
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def document(shadow: Postern) -> dict[str, Any]:
    answer = shadow.api("GET", "/openapi.json", headers={"Authorization": ""})
    assert answer.status_code == 200, "the description needs no key"
    return answer.json()


def test_it_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_it_describes_every_route_of_the_design(document: dict[str, Any]) -> None:
    described = {(method, path) for path, item in document["paths"].items() for method in item if method in METHODS}
    missing = {f"{method} {path}" for method, path in EXPECTED - described}
    assert not missing


def test_every_described_route_is_there(shadow: Postern, document: dict[str, Any]) -> None:
    ids = things(shadow)
    for path, item in document["paths"].items():
        # Which of MailerQ's operations are there is for test_queues.py to see.
        for method in METHODS & item.keys() if is_ours(path) and "{path}" not in path else ():
            if method == "get":
                answer = shadow.api("GET", with_id(path, ids))
                parameters = item["get"].get("parameters", [])
                needs = [one for one in parameters if one.get("in") == "query" and one.get("required")]
                # No alert is open in a vault where nothing is wrong.
                there = 404 if path == "/v1/alerts/{id}" else 200
                assert answer.status_code == (422 if needs else there), f"{path}: {describe(answer)}"
            else:
                # A body that nothing takes: the route answers, and does nothing.
                real = path.replace("{id}", "none_0000000000000000").replace("{name}", "no_such_thing")
                answer = shadow.api(method.upper(), real, json={"no": "such"})
                assert answer.status_code in (400, 404, 415, 422), f"{method} {path}: {answer.status_code}"
                assert "{" in path or answer.status_code != 404, f"{method} {path} is not there"


def test_every_described_path_of_a_provider_is_there_and_wants_a_key(shadow: Postern, document: dict[str, Any]) -> None:
    seen = 0
    for path, item in document["paths"].items():
        for method in METHODS & item.keys() if not is_ours(path) and not is_for_people(path) else ():
            real = path.replace("{domain}", "example.com").replace("{id}", "none_0000000000000000")
            answer = shadow.api(method.upper(), real, headers={"Authorization": ""})
            assert answer.status_code in (401, 403), f"{method} {path}: {answer.status_code} {answer.text[:300]}"
            seen += 1
    assert seen > 15
    for base in ("/ses/v2", "/sendgrid", "/mailgun", "/postmark", "/resend"):
        answer = shadow.api("POST", f"{base}/nothing/here")
        assert answer.status_code == 404, f"{base}: {answer.status_code}"
        assert "problem+json" not in answer.headers["Content-Type"], f"{base} refuses in the provider's own form"


def test_every_described_path_for_people_is_there_and_wants_one(
    shadow: Postern, owner: Person, document: dict[str, Any]
) -> None:
    seen = 0
    for path, item in document["paths"].items():
        for method in METHODS & item.keys() if is_for_people(path) else ():
            # What nothing has, and a body that nothing takes: the route answers, and does nothing.
            request = (method.upper(), re.sub(r"\{\w+\}", "none_0000000000000000", path))
            body = {} if method == "get" else {"json": {"no": "such"}}
            for here in spellings(request[1]):
                stranger = requests.request(method, shadow.url + here, timeout=30, allow_redirects=False, **body)
                if item[method].get("security") != []:
                    assert stranger.status_code == 401, f"{method} {here}: {describe(stranger)}"
                    assert shadow.api(method, here, **body).status_code in (401, 403, 404), "a key is no person"
                answer = owner.api(method, here, allow_redirects=False, **body)
                assert answer.status_code not in (401, 405) and answer.status_code < 500, f"{method} {here}"
                assert "nothing at this path" not in answer.text, f"{method} {here} is not there"
                seen += 1
    assert seen > 60 and owner.is_signed_in


def spellings(path: str) -> list[str]:
    """What is under /api answers under /api/engine as well."""
    return [path, path.replace("/api/", "/api/engine/")] if path.startswith("/api/") else [path]


def is_for_people(path: str) -> bool:
    return path.startswith(("/api/", "/auth/"))


def is_ours(path: str) -> bool:
    return path.startswith(("/v1/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/"))


def things(shadow: Postern) -> dict[str, str]:
    """One of each kind of thing that has an id, by the word in its path."""
    id = only_id(shadow.send())
    shadow.wait_status(id, "captured")
    made = {
        "keys": {"label": "described", "scopes": ["read"]},
        "smtp-users": {"label": "described"},
        "alert-rules": {"condition": "bounce_rate"},
        "ip-pools": {"domain": f"{token()}.example", "pool": "described", "ips": ["192.0.2.1"]},
    }
    ids = {kind: shadow.call("POST", f"/v1/{kind}", expect=201, json=body)["id"] for kind, body in made.items()}
    return {"messages": id, "alerts": "alr_0000000000000000", **ids}


def with_id(path: str, ids: dict[str, str]) -> str:
    """`/v1/keys/{id}` with the id of a key."""
    path = path.replace("{key}", "default_priority")
    return path.replace("{id}", ids[path.split("/")[2]]) if "{id}" in path else path


def test_a_route_that_is_not_described_is_not_there(shadow: Postern, document: dict[str, Any]) -> None:
    shadow.problem("GET", "/v1/nothing", 404, "not_found")
    shadow.problem("DELETE", "/v1/messages", 405, "method_not_allowed")


def test_answers_have_the_shape_that_is_described(shadow: Postern, document: dict[str, Any]) -> None:
    body = {"from": "ada@example.com", "to": ["bob@receiver.test"], "subject": "Hi", "text": "x", "tags": ["a"]}
    accepted = shadow.api("POST", "/v1/messages", json=body)
    check(document, "post", "/v1/messages", accepted)
    ids = things(shadow)
    for path in ("/v1/messages", "/v1/messages/{id}", "/v1/messages/{id}/events", "/v1/keys", "/v1/keys/{id}",
                 "/v1/smtp-users", "/v1/smtp-users/{id}", "/v1/settings", "/v1/settings/{key}", "/v1/ip-pools",
                 "/v1/ip-pools/{id}", "/v1/me", "/v1/audit", "/v1/secrets", "/healthz", "/readyz"):  # fmt: skip
        check(document, "get", path, shadow.api("GET", with_id(path, ids)))
    check(document, "post", "/v1/map/simple", shadow.api("POST", "/v1/map/simple", json=body))
    check(document, "patch", "/v1/settings", shadow.api("PATCH", "/v1/settings", json={"default_tags": ["a"]}))
    secret = shadow.api("PUT", "/v1/secrets/described", json={"value": "x"})
    check(document, "put", "/v1/secrets/{name}", secret)
    turned = shadow.api("POST", f"/v1/keys/{ids['keys']}/rotate", json={"overlap_seconds": 60})
    check(document, "post", "/v1/keys/{id}/rotate", turned)
    limited = {"label": "limited", "scopes": ["send"], "send_rate_limit": 1}
    narrow = shadow.as_key(shadow.call("POST", "/v1/keys", expect=201, json=limited)["key"])
    for status in (202, 429):
        answer = narrow.api("POST", "/v1/messages", json=body)
        assert answer.status_code == status
        check(document, "post", "/v1/messages", answer)
        missing = [name for name in rate_fields(document, "/v1/messages", answer) if name not in answer.headers]
        assert not missing, f"{status} without {missing}"
    check(document, "get", "/v1/me", narrow.api("GET", "/v1/me"))
    check(document, "post", "/v1/messages", shadow.api("POST", "/v1/messages", json={**body, "colour": "red"}))
    check(document, "get", "/v1/messages", shadow.api("GET", "/v1/messages", headers={"Authorization": ""}))


def check(document: dict[str, Any], method: str, path: str, answer: Any) -> None:
    """The answer's status is described, and its body fits what is said of it."""
    where = f"{method.upper()} {path} {answer.status_code}"
    responses = document["paths"][path][method]["responses"]
    wanted = (str(answer.status_code), f"{answer.status_code // 100}XX", "default")
    described = [status for status in wanted if status in responses]
    assert described, f"{where} is not described"
    place = ["paths", path, method, "responses", described[0]]
    if "$ref" in responses[described[0]]:
        place = responses[described[0]]["$ref"].removeprefix("#/").split("/")
    place += ["content", answer.headers["Content-Type"].split(";")[0], "schema"]
    # By reference into the whole document, so that the references in it find their targets.
    pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in place)
    registry = Registry().with_resource("postern:openapi", Resource(document, DRAFT202012))
    validator = OAS31Validator({"$ref": f"postern:openapi#/{pointer}"}, registry=registry)
    errors = list(validator.iter_errors(answer.json()))
    assert not errors, f"{where}: {[(list(error.absolute_path), error.message) for error in errors]}"


def rate_fields(document: dict[str, Any], path: str, answer: Any) -> list[str]:
    """The fields about rates that are described for the answer."""
    name = document["paths"][path]["post"]["responses"][str(answer.status_code)]["$ref"].rpartition("/")[2]
    described = document["components"]["responses"][name]["headers"]
    return [name for name in described if name.startswith("RateLimit") or name == "Retry-After"]
