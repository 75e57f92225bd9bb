"""The audit log as evidence: refusals in it, its chain broken in each way and found, exports that are checked anywhere."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.api import Api
from harness.cli import Cli
from harness.mail import token
from harness.people import try_to_sign_in
from harness.postern import Postern, run
from harness.vaults import move_in
from harness.waiting import until


@pytest.fixture
def postern(new_postern: Callable[..., Postern]) -> Postern:
    made = new_postern()
    made.start()
    return made


def everything(caller: Api, path: str = "/v1/audit", **query: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    query.setdefault("limit", 200)
    while True:
        page = caller.call("GET", path, params=query)
        rows += page["data"]
        if not page["next_cursor"]:
            return rows
        query["cursor"] = page["next_cursor"]


def change(postern: Postern, count: int = 3) -> None:
    for priority in range(1, count + 1):
        postern.call("PATCH", "/v1/settings", json={"default_priority": priority})


def sealed(caller: Api) -> dict[str, Any]:
    """The vault's chain, as soon as all of it has its seal."""

    def is_sealed() -> dict[str, Any] | None:
        chain = verdict(caller)["chains"][0]
        return chain if chain["sealed"] == chain["last"] else None

    return until(is_sealed, "the chain has its seal", 30)


def verdict(caller: Api, path: str = "/v1/audit/verify", **query: Any) -> dict[str, Any]:
    return caller.call("GET", path, params=query)


def verify(postern: Postern, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`postern audit verify` on the server's own machine."""
    return run("audit", "verify", *arguments, cwd=postern.directory, POSTERN_DATA_DIR=str(postern.data), **environment)


def tamper(postern: Postern, *statements: str) -> None:
    """Lays hands on the database of a server that is down."""
    with sqlite3.connect(postern.data / "postern.db") as database:
        for statement in statements:
            assert database.execute(statement).rowcount != 0, statement


# Refusals


def test_refusals_are_written_down_and_counted(postern: Postern) -> None:
    id, narrow = postern.new_key("read")
    for _ in range(25):
        narrow.problem("PATCH", "/v1/settings", 403, "forbidden", json={"default_priority": 3})
    narrow.problem("GET", "/v1/audit", 403, "forbidden")

    def written() -> list[dict[str, Any]] | None:
        rows = everything(postern, actor=id, outcome="refused")
        return rows if {row["action"] for row in rows} == {"settings.write", "audit.read"} else None

    rows = until(written, "the refusals are in the log")
    assert all(row["reason"].startswith("forbidden: ") and row["address"] == "127.0.0.1" for row in rows)
    postern.restart()
    rows = everything(postern, actor=id, action="settings.write", outcome="refused")
    assert len(rows) <= 3, "a flood of refusals is no flood of records"
    assert sum((row["after"] or {"count": 1})["count"] for row in rows) == 25
    assert verdict(postern)["intact"]


def test_sign_ins_and_failures_are_in_the_log_of_the_instance(postern: Postern) -> None:
    owner = postern.owner()
    email = f"{token()}@nobody.test"
    planted = token("planted")
    assert try_to_sign_in(postern.url, email, planted).status_code == 401
    rows = everything(owner, "/api/audit", action="session.begin")
    assert any(row["outcome"] == "done" and owner.email in json.dumps(row) for row in rows)
    assert planted not in json.dumps(everything(owner, "/api/audit"))
    assert everything(owner, "/api/audit", action="session.", outcome="failed")
    assert owner.call("GET", "/api/engine/audit")["data"]
    # The log of the instance is not the vault's.
    assert not {row["id"] for row in everything(postern)} & {row["id"] for row in everything(owner, "/api/audit")}


# The chain


def test_records_have_numbers_without_gaps_and_the_chain_is_verified(postern: Postern, tmp_path: Path) -> None:
    change(postern)
    rows = everything(postern)
    assert [row["sequence"] for row in rows] == list(range(len(rows), 0, -1))
    chain = sealed(postern)
    assert (chain["state"], chain["last"], chain["digest"]) == ("intact", rows[0]["sequence"], rows[0]["digest"])
    owner = postern.owner()
    all_chains = verdict(owner, "/api/audit/verify")
    assert all_chains["intact"] and {each["chain"] for each in all_chains["chains"]} >= {"instance", chain["chain"]}
    anchor = f"{rows[1]['sequence']}:{rows[1]['digest']}"
    assert verdict(postern, anchor=anchor)["intact"]
    wrong = verdict(postern, anchor=f"{rows[1]['sequence']}:{rows[0]['digest']}")
    assert not wrong["intact"] and wrong["chains"][0]["findings"][0]["kind"] == "anchor"
    postern.problem("GET", "/v1/audit/verify", 422, "validation_failed", params={"anchor": "12"})
    # On the machine, while the server runs.
    done = verify(postern, "--anchor", f"{chain['chain']}={anchor}")
    assert done.returncode == 0 and "as it was written" in done.stdout, done.stdout + done.stderr
    postern.terminate()
    done = verify(postern, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["intact"]
    assert verify(postern, "--anchor", "nonsense").returncode == 2
    anchors = re.findall(r"vlt_\w+=\d+:[0-9a-f]{64}", postern.log_tail())
    assert anchors, "the server's log says where the chains ended"
    assert verify(postern, *(f"--anchor={anchor}" for anchor in anchors)).returncode == 0
    other = verify(postern, POSTERN_MASTER_KEY="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    assert other.returncode == 1 and "master key" in other.stderr


VAULT = "chain LIKE 'vlt_%'"
NEWEST = f"(SELECT max(sequence) FROM audit_records WHERE {VAULT})"


@pytest.mark.parametrize(
    ("kind", "sequence", "statements"),
    [
        ("changed", 3, [f"UPDATE audit_records SET actor_label = 'nobody' WHERE {VAULT} AND sequence = 3"]),
        ("missing", 1, [f"DELETE FROM audit_records WHERE {VAULT} AND sequence = 1"]),
        ("missing", 4, [f"DELETE FROM audit_records WHERE {VAULT} AND sequence = 4"]),
        ("missing", None, [f"DELETE FROM audit_records WHERE {VAULT} AND sequence = {NEWEST}"]),
        (
            "cut", None,
            [
                f"DELETE FROM audit_records WHERE {VAULT} AND sequence > 4",
                f"UPDATE audit_heads SET sequence = 4, digest = (SELECT digest FROM audit_records WHERE {VAULT} AND sequence = 4)"
                f" WHERE {VAULT}",
            ],
        ),
        (
            "changed", 2,
            [
                f"UPDATE audit_records SET sequence = -2 WHERE {VAULT} AND sequence = 2",
                f"UPDATE audit_records SET sequence = 2 WHERE {VAULT} AND sequence = 3",
                f"UPDATE audit_records SET sequence = 3 WHERE {VAULT} AND sequence = -2",
            ],
        ),
        ("unsealed", None, [f"DELETE FROM audit_seals WHERE {VAULT}"]),
    ],
)  # fmt: skip
def test_whatever_is_done_to_the_tables_is_found(
    postern: Postern, kind: str, sequence: int | None, statements: list[str]
) -> None:
    change(postern)
    # The last thing that a server does is to seal.
    postern.terminate()
    assert verify(postern).returncode == 0
    tamper(postern, *statements)
    done = verify(postern, "--json")
    assert done.returncode == 1, done.stdout
    findings = [finding for chain in json.loads(done.stdout)["chains"] for finding in chain["findings"]]
    assert any(each["kind"] == kind and sequence in (None, each["sequence"]) for each in findings), findings
    assert "NOT AS IT WAS WRITTEN" in verify(postern).stdout
    # The server goes on, says so, and seals nothing over it.
    postern.start()
    if kind in ("cut", "unsealed"):
        # What is about the end of the chain is seen at once, the rest when all of it is gone through.
        until(lambda: "the audit log is not as it was written" in postern.log_tail(), "the server's log says so", 30)
    assert not verdict(postern.owner(), "/api/audit/verify")["intact"]
    change(postern)
    assert everything(postern)[0]["after"] == {"default_priority": 3}
    assert verify(postern).returncode == 1


# Exports


def export(caller: Api, path: str = "/v1/audit/export", **query: Any) -> bytes:
    answer = caller.api("GET", path, params=query)
    assert answer.status_code == 200, answer.text
    assert "attachment" in answer.headers["Content-Disposition"]
    return answer.content


def test_an_export_is_the_log_and_is_checked_without_the_server(postern: Postern, cli: Cli, tmp_path: Path) -> None:
    change(postern, 5)
    lines = export(postern).splitlines()
    rows = everything(postern)
    assert rows[0]["action"] == "audit.export" and rows[0]["after"] == {"format": "jsonl"}
    for line, row in zip(lines, rows, strict=True):
        read = json.loads(line)
        assert {name: read[name] for name in row} == row
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")

    def check(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run("audit", "verify", "--file", str(file), *arguments, cwd=tmp_path)

    assert check().returncode == 0
    assert check("--anchor", f"{rows[0]['sequence']}:{rows[0]['digest']}").returncode == 0
    altered = file.read_text().replace('"default_priority":2', '"default_priority":9')
    file.write_text(altered)
    done = check()
    assert done.returncode == 1 and "is not as it was written" in done.stdout
    file.write_bytes(b"\n".join(lines[:3] + lines[4:]) + b"\n")
    assert "is missing" in check().stdout and check("--filtered").returncode == 0
    file.write_bytes(b"\n".join(lines[1:]) + b"\n")
    assert check().returncode == 0, "a cut end is seen by an anchor only"
    assert check("--anchor", f"{rows[0]['sequence']}:{rows[0]['digest']}").returncode == 1
    by_cli = tmp_path / "by-cli.jsonl"
    cli.said("audit", "export", "--output", str(by_cli), "--action", "settings.")
    assert {json.loads(line)["action"] for line in by_cli.read_text().splitlines()} == {"settings.write"}
    assert by_cli.stat().st_mode & 0o077 == 0
    assert "is there already" in cli.refused("audit", "export", "--output", str(by_cli))
    assert "intact" in cli.said("audit", "check")


def test_csv_holds_no_formulas(postern: Postern) -> None:
    evil = '=HYPERLINK("http://evil.test","x")'
    postern.call("POST", "/v1/keys", expect=201, json={"label": evil, "scopes": ["admin", "read"]})
    made = postern.call("POST", "/v1/keys", expect=201, json={"label": "+1", "scopes": ["admin", "read"]})
    postern.as_key(made["key"]).call("PATCH", "/v1/settings", json={"default_priority": 1})
    text = export(postern, format="csv").decode()
    assert text.count("\r\n") == text.count("\n")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(everything(postern))
    for row in rows:
        for name, cell in row.items():
            assert not cell.lstrip()[:1] in ("=", "+", "-", "@") or name == "sequence", (name, cell)
    assert any(row["actor_label"] == "'+1" for row in rows) and evil.replace('"', '\\"') in text.replace('""', '"')


def test_an_export_holds_nothing_of_another_vault(postern: Postern) -> None:
    neighbour = move_in(postern)
    change(postern)
    ours, theirs = export(postern), export(neighbour.api)
    assert neighbour.id.encode() not in ours
    assert all(json.loads(line)["chain"] == neighbour.id for line in theirs.splitlines())
    postern.new_key("read")[1].problem("GET", "/v1/audit/export", 403, "forbidden")
    postern.problem("GET", "/v1/audit/export", 422, "validation_failed", params={"format": "xml"})
    owner = postern.owner()
    instance = [json.loads(line) for line in export(owner, "/api/audit/export").splitlines()]
    assert {row["chain"] for row in instance} == {"instance"} and instance[0]["action"] == "audit.export"
