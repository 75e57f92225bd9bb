"""A long audit log: filled in past the server as a chain that verifies, and how long it takes to search it."""

import datetime
import hashlib
import pathlib
import random
import sqlite3
import struct
import time
import urllib.parse

from . import filler, machine

PAGE = 50
DAYS = 90
BATCH = 20_000
BUSY = "deploy-pipeline"
#: Who acts: the first does two fifths of everything, and is never refused; the last has acted a hundred times.
ACTORS = [(f"key_{number:016}", BUSY if number == 0 else f"tool-{number:03}") for number in range(200)]
RARE = ACTORS[-1]
#: What is done, with how often of a thousand.
ACTIONS = {
    "key.write": 180, "settings.write": 150, "smtp_user.write": 120, "message.cancel": 120, "pool.write": 80,
    "secret.write": 80, "member.write": 60, "alert.acknowledge": 60, "queue.repair": 50, "mailerq.write": 40,
    "message.retry": 30, "audit.export": 29, "alert_rule.write": 1,
}  # fmt: skip
RESOURCES = 20_000


def fill(path, rows, say):
    """Adds records to the vault's chain until it has `rows`, each with the digest that the server would have given it."""
    started = time.monotonic()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -400000")
    (vault,) = database.execute("SELECT id FROM vaults WHERE slug = 'default'").fetchone()
    sequence, digest = database.execute("SELECT sequence, digest FROM audit_heads WHERE chain = ?", [vault]).fetchone()
    chance = random.Random(1)
    names, weights = list(ACTIONS), list(ACTIONS.values())
    missing = rows - sequence
    oldest = int(time.time() * 1000) - DAYS * 86_400_000
    step = DAYS * 86_400_000 // max(missing, 1)
    for first in range(0, missing, BATCH):
        numbers = range(first, min(first + BATCH, missing))
        actions = chance.choices(names, weights, k=len(numbers))
        batch = []
        for number, action in zip(numbers, actions):
            at, sequence = oldest + number * step, sequence + 1
            actor, label = _actor(number, chance)
            outcome = "done" if label == BUSY else chance.choices(["done", "refused", "failed"], [95, 4, 1])[0]
            resource = "settings" if action == "settings.write" else f"thing_{chance.randrange(RESOURCES):016}"
            reason = None if outcome == "done" else "forbidden: the key lacks the scope admin"
            fields = [
                filler.identifier("aud_", at, number), at, actor, label, "http", "192.0.2.7", f"req_{number:016}", action,
                resource, outcome, reason, None, '{"label":"a label of some length","scopes":["send","read"]}',
            ]  # fmt: skip
            digest = _digest(vault, sequence, digest, fields)
            batch.append([*fields, vault, vault, sequence, digest])
        database.execute("BEGIN")
        database.executemany(
            """INSERT INTO audit_records (id, at, actor_id, actor_label, door, address, request_id, action, resource,
                   outcome, reason, before_value, after_value, vault_id, chain, sequence, digest)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            batch,
        )
        database.execute("COMMIT")
    database.execute("UPDATE audit_heads SET sequence = ?, digest = ? WHERE chain = ?", [sequence, digest, vault])
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    say(f"  filled to {sequence:,} audit records in {time.monotonic() - started:.0f} s")


def _actor(number, chance):
    if number % 10_000 == 7:
        return RARE
    return ACTORS[0] if chance.random() < 0.4 else ACTORS[1 + chance.randrange(len(ACTORS) - 2)]


def _digest(chain, sequence, previous, fields):
    """As Core/Store/AuditRecord.swift: every field with its presence and its length."""
    data = bytearray([1])
    for value in [previous, chain, sequence, *fields]:
        if value is None:
            data.append(0)
            continue
        if isinstance(value, int):
            value = struct.pack(">q", value)
        elif isinstance(value, str):
            value = value.encode()
        data += b"\x01" + struct.pack(">Q", len(value)) + value
    return hashlib.sha256(data).digest()


def wait_until_sealed(path, rows):
    """The server seals what it finds, some hundred thousand records a round."""

    def is_sealed():
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as database:
            (sequence,) = database.execute(
                "SELECT max(sequence) FROM audit_seals WHERE kind = 'head' AND chain NOT IN ('instance', 'chains')"
            ).fetchone()
        return (sequence or 0) >= rows

    machine.wait_until(is_sealed, 600, "the audit log is not sealed")


def queries(server, workdir):
    """Name → file of paths, for every way that the log is searched, each with changing values."""
    first = server.get(f"/v1/audit?limit={PAGE}")
    labels = [label for _, label in ACTORS[1:-1]]
    windows = [_window(day) for day in range(1, DAYS - 2)]
    things = [f"thing_{number:016}" for number in range(0, RESOURCES, 400)]
    quiet = ["audit.export", "message.retry", "mailerq.write"]
    sets = {
        "no filter": [{}],
        "next page": [{"cursor": first["next_cursor"]}],
        "actor by id": [{"actor": actor} for actor, _ in ACTORS],
        "actor by label": [{"actor": label} for label in labels],
        "busy actor": [{"actor": BUSY}],
        "rare actor": [{"actor": RARE[1]}],
        "nobody": [{"actor": f"nobody-{number}"} for number in range(20)],
        "action": [{"action": action} for action in ACTIONS],
        "action prefix": [{"action": prefix} for prefix in ("message.", "key.", "settings.", "alert.", "member.")],
        "action that never was": [{"action": "vault.delete"}],
        "resource": [{"resource": thing} for thing in things],
        "common resource": [{"resource": "settings"}],
        "outcome": [{"outcome": outcome} for outcome in ("done", "refused", "failed")],
        "window of a day": windows,
        "window of an hour long ago": [_window(day, hours=1) for day in range(60, 80)],
        "actor and action": [{"actor": label, "action": "secret.write"} for label in labels],
        "busy actor and rare action": [{"actor": BUSY, "action": "alert_rule.write"}],
        "rare actor and common action": [{"actor": RARE[1], "action": "key.write"}],
        "busy actor, refused: never was": [{"actor": BUSY, "outcome": "refused"}],
        "actor, refused": [{"actor": label, "outcome": "refused"} for label in labels],
        "action prefix, failed": [{"action": prefix, "outcome": "failed"} for prefix in ("message.", "key.", "alert.")],
        "actor, action, outcome and window": [
            {"actor": label, "action": action, "outcome": "refused", **_window(day)}
            for label, action, day in zip(labels, quiet * 30, range(1, DAYS - 2))
        ],
        "busy actor, common action and window of a day": [{"actor": BUSY, "action": "key.write", **each} for each in windows],
        "resource and actor": [{"resource": thing, "actor": label} for thing, label in zip(things, labels)],
        "common resource, failed, window": [{"resource": "settings", "outcome": "failed", **each} for each in windows],
    }
    files = {}
    for number, (name, filters) in enumerate(sets.items()):
        files[name] = pathlib.Path(workdir, f"audit-paths-{number}")
        files[name].write_text("".join(f"{_path(**each)}\n" for each in filters))
        _check(server, name, _path(**filters[0]))
    return files


def _path(**filters):
    return "/v1/audit?" + urllib.parse.urlencode({"limit": PAGE, **filters})


def _window(day, hours=24):
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=day + 1)
    form = "%Y-%m-%dT%H:%M:%SZ"
    return {"since": start.strftime(form), "until": (start + datetime.timedelta(hours=hours)).strftime(form)}


def _check(server, name, path):
    """A search that finds nothing would be fast and prove nothing."""
    answer = server.get(path)
    if not answer["data"] and not answer["next_cursor"] and not any(
        word in name for word in ("nobody", "never", " and ", "refused", "failed", "outcome")
    ):
        raise RuntimeError(f"{path} finds nothing")
