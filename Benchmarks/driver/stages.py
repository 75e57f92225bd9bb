"""What is measured. Each stage starts the servers that it needs, yields its rows of the table, and stops them again."""

import contextlib
import dataclasses
import pathlib
import time

from . import arrivals, auditlog, company, filler, pairs, report, sendlog
from .bare import Bare
from .fleet import Members
from .postern import Postern
from .postfix import Postfix
from .postgres import PgBench, PostgresPostern
from .relay import BarePublisher, RelayingPostern


@dataclasses.dataclass
class Sizes:
    """How much of everything; `quick` is for a look, not for figures to keep."""

    pairs: int = 3
    messages: int = 20_000
    sessions: int = 32
    size: int = 4_096
    one_each: int = 4_000
    idle_connections: int = 1_000
    few_rows: int = 10_000
    many_rows: int = 1_000_000
    requests: int = 500
    relayed: int = 12_000
    latency_rate: int = 200
    #: Through the stand-in, which does one thing after another.
    delivered_rate: int = 50
    latency_seconds: int = 5
    #: Also the shapes of session that no goal speaks of.
    thorough: bool = True

    @classmethod
    def quick(cls):
        return cls(
            messages=3_000, idle_connections=300, few_rows=5_000, many_rows=100_000, requests=100, relayed=4_000,
            latency_seconds=2, thorough=False,
        )  # fmt: skip


@dataclasses.dataclass
class Bench:
    """What every stage needs."""

    binary: str
    bare_binary: str
    publisher_binary: str
    load: object
    workdir: pathlib.Path
    sizes: Sizes
    environment: dict
    say: object

    def postern(self, name, label=None):
        server = Postern(self.binary, self.workdir / name, self.environment)
        server.name = label or server.name
        return server


@contextlib.contextmanager
def running(*servers):
    """Starts the servers and stops those that were started, whatever happens."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        yield servers


def smtp(bench):
    """SMTP accept, durable, beside Postfix."""
    reason = Postfix.why_not()
    if reason:
        bench.say(f"  left out: {reason}")
        yield report.Row("SMTP accept beside Postfix", f"left out: {reason}", goal="≥ 5 ×", met=False)
        return
    sizes = bench.sizes
    shapes = {"SMTP accept, durable": (5, dict(messages=sizes.messages))}
    if sizes.thorough:
        shapes |= {
            "SMTP accept, pipelined": (None, dict(messages=sizes.messages, pipelining=True)),
            "SMTP accept, one message a session": (None, dict(messages=sizes.one_each, per_session=1, sources=50)),
        }
    with running(bench.postern("smtp"), Postfix(bench.workdir, sizes.sessions)) as servers:
        for what, (goal, options) in shapes.items():
            bench.say(f"{what}: Postern and Postfix {Postfix.version()} by turns")
            run = lambda server: bench.load.smtp(server, sessions=sizes.sessions, size=sizes.size, **options)
            yield from report.compared(what, *pairs.measure(servers, run, bench), goal_ratio=goal)


def http(bench):
    """HTTP accept, durable, beside a handler that only decodes and commits."""
    sizes = bench.sizes
    with running(bench.postern("http"), Bare(bench.bare_binary, bench.workdir)) as servers:
        bench.say("HTTP accept, durable: Postern and the bare handler by turns")
        run = lambda server: bench.load.http(server, sizes.messages, sizes.sessions, sizes.size)
        ours, peer = pairs.measure(servers, run, bench)
        yield from report.compared("HTTP accept, durable", ours, peer, goal_ratio=0.6)


#: Each kind of limit, far above what a run sends, so that all of them are counted and none is hit.
LIMITS = {
    "send_rate_limit": 1_000_000_000,
    "key_send_rate_limit": 1_000_000_000,
    "domain_send_rate_limit": 1_000_000_000,
    "approve_over_rate_threshold": 1_000_000_000,
    "auto_reply_limit": 1_000,
}


def rules(bench):
    """HTTP accept with every limit set, beside the same without any; and with the guard against repetitions too."""
    sizes = bench.sizes
    plain, limited, guarded = (
        bench.postern(f"rules-{number}", name)
        for number, name in enumerate(["no limits", "all limits", "limits and repeat_limit"])
    )
    with running(plain, limited, guarded) as servers:
        limited.patch("/v1/settings", LIMITS)
        guarded.patch("/v1/settings", LIMITS | {"repeat_limit": 1_000_000})
        bench.say("HTTP accept with limits, with limits and repeat_limit, and without any, by turns")
        run = lambda server: bench.load.http(server, sizes.messages, sizes.sessions, sizes.size)
        without, with_limits, with_guard = pairs.measure(servers, run, bench)
        yield from report.compared("HTTP accept, all limits set", with_limits, without, goal_ratio=0.9)
        yield from report.compared("HTTP accept, limits and repeat_limit", with_guard, without, goal_ratio=0.9)


def memory(bench):
    """Memory at rest, after load, and of connections that do nothing."""
    count = bench.sizes.idle_connections
    with running(bench.postern("memory")) as (server,):
        bench.say("memory")
        server.processes.wait_until_quiet(for_seconds=5, share=0.02)
        fresh = server.processes.memory()
        yield report.Row(
            "memory, idle: RSS, MiB",
            f"{fresh['rss'] / 1024:.1f} (PSS {fresh['pss'] / 1024:.1f})",
            goal="≤ 64 MiB",
            met=fresh["rss"] <= 64 * 1024,
        )
        # Twice, because the first connections also pay for what is made once and kept.
        for time in ("first", "again"):
            before = server.processes.memory()
            with bench.load.idle(server, count, sources=100):
                server.processes.wait_until_quiet(for_seconds=2)
                after = server.processes.memory()
            server.processes.wait_until_quiet(for_seconds=2)
            each = (after["rss"] - before["rss"]) / count
            bench.say(f"  {count} idle SMTP connections, {time}: {each:.1f} KiB each")
            if time == "first":
                yield report.Row(
                    f"memory of an idle SMTP connection (of {count:,}), KiB",
                    f"{each:.1f}",
                    goal="≤ 32 KiB",
                    met=each <= 32,
                )
        bench.load.smtp(server, bench.sizes.messages, bench.sizes.sessions, bench.sizes.size)
        server.processes.wait_until_quiet(for_seconds=5, share=0.02)
        worked = server.processes.memory()
        yield report.Row(
            f"memory at rest after {bench.sizes.messages:,} messages: RSS, MiB",
            f"{worked['rss'] / 1024:.1f} (PSS {worked['pss'] / 1024:.1f})",
        )


def log(bench):
    """The send log when it is long: what a search takes, and what a new message costs."""
    sizes = bench.sizes
    short = bench.postern("short-log", f"at {sizes.few_rows:,} rows")
    long = bench.postern("long-log", f"at {sizes.many_rows:,} rows")
    for server, rows in [(short, sizes.few_rows), (long, sizes.many_rows)]:
        bench.say(f"send log {server.name}")
        with running(server):
            bench.load.http(server, 100, 4, 1_024)
            server.processes.wait_until_quiet()
        filler.fill(server.database, rows, bench.say)

    with running(long):
        for name, file in sendlog.queries(long, bench.workdir, sizes.many_rows).items():
            bench.load.get(long, file, min(50, sizes.requests))
            figures = bench.load.get(long, file, sizes.requests)
            bench.say(f"  {name:<46} p50 {figures['p50_ms']:.2f} ms   p99 {figures['p99_ms']:.2f} ms")
            yield report.Row(
                f"send log {long.name}, {name}: p99, ms",
                f"{figures['p99_ms']:.1f} (p50 {figures['p50_ms']:.1f}, max {figures['max_ms']:.1f})",
                goal="< 50 ms",
                met=figures["p99_ms"] < 50,
            )

    with running(long, short) as servers:
        bench.say("HTTP accept with a long log and a short one by turns")
        run = lambda server: bench.load.http(server, sizes.messages, sizes.sessions, sizes.size)
        yield from report.compared(f"HTTP accept {long.name}", *pairs.measure(servers, run, bench), goal_ratio=0.9)


def audit(bench):
    """The audit log when it is long: what a search takes, and going through all of it."""
    rows = bench.sizes.many_rows
    server = bench.postern("long-audit", f"at {rows:,} records")
    bench.say(f"audit log {server.name}")
    with running(server):
        server.processes.wait_until_quiet()
    auditlog.fill(server.database, rows, bench.say)
    with running(server):
        auditlog.wait_until_sealed(server.database, rows)
        server.processes.wait_until_quiet()
        for name, file in auditlog.queries(server, bench.workdir).items():
            bench.load.get(server, file, min(50, bench.sizes.requests))
            figures = bench.load.get(server, file, bench.sizes.requests)
            bench.say(f"  {name:<46} p50 {figures['p50_ms']:.2f} ms   p99 {figures['p99_ms']:.2f} ms")
            yield report.Row(
                f"audit log {server.name}, {name}: p99, ms",
                f"{figures['p99_ms']:.1f} (p50 {figures['p50_ms']:.1f}, max {figures['max_ms']:.1f})",
                goal="< 50 ms",
                met=figures["p99_ms"] < 50,
            )
        started = time.monotonic()
        verdict = server.get("/v1/audit/verify")
        seconds = time.monotonic() - started
        if not verdict["intact"] or verdict["chains"][0]["records"] < rows:
            raise RuntimeError(f"the filled log does not verify: {verdict}")
        yield report.Row(f"audit log {server.name}, verified as a whole: s", f"{seconds:.1f}")


def relay(bench):
    """Relay to RabbitMQ with confirms, beside a bare librabbitmq publisher."""
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(company.Broker(company.authority(bench.workdir)))
        version = broker.version()
        for kind in ("classic", "quorum"):
            vhost = broker.virtual_host()
            servers = RelayingPostern(bench, vhost, kind), BarePublisher(bench.publisher_binary, bench, vhost, kind)
            with running(*servers):
                bench.say(f"relay to RabbitMQ {version}, {kind} queue: Postern and a bare publisher by turns")
                ours, peer = pairs.measure(servers, lambda server: server.relay(bench.sizes.relayed), bench)
            figures = [("publisher's CPU, µs/message", "cpu_us", 0), ("disk before each run, syncs/s", "syncs", 0)]
            what = f"relay to RabbitMQ, {kind} queue, confirmed"
            yield from report.compared(what, ours, peer, goal_ratio=0.5, figures=figures)


def postgres(bench):
    """Accept on PostgreSQL, beside rows as large committed by pgbench, and beside the embedded database."""
    sizes = bench.sizes
    with company.DatabaseServer(company.authority(bench.workdir)) as server:
        ours = PostgresPostern(bench, server, "postgres")
        peer = PgBench(server, bench, pattern=ours.rows_of_a_message)
        with running(ours, peer, bench.postern("sqlite", "Postern on SQLite")) as servers:
            bench.say(f"HTTP accept on PostgreSQL {server.version()}, pgbench, and HTTP accept on SQLite by turns")

            def run(server):
                if server is peer:
                    return peer.run(sizes.messages)
                return bench.load.http(server, sizes.messages, sizes.sessions, sizes.size)

            on_postgres, pgbench, on_sqlite = pairs.measure(servers, run, bench)
            yield from report.compared("HTTP accept on PostgreSQL", on_postgres, pgbench)
            yield from report.compared("HTTP accept on PostgreSQL beside SQLite", on_postgres, on_sqlite, figures=[])


def processes(bench):
    """Accept with one process and with two, on one PostgreSQL and one RabbitMQ."""
    with contextlib.ExitStack() as stack:
        authority = company.authority(bench.workdir)
        broker = stack.enter_context(company.Broker(authority))
        server = stack.enter_context(company.DatabaseServer(authority))
        members = [Members(bench, server, broker, count) for count in (2, 1)]
        with running(*members):
            bench.say("HTTP accept on PostgreSQL with relay: two processes and one by turns")
            two, one = pairs.measure(members, lambda server: server.run(bench.sizes.messages), bench)
        figures = [("until all is at the broker, messages/s", "relayed_per_second", 0), *report.ACCEPTING]
        yield from report.compared("HTTP accept with relay, two processes", two, one, figures=figures)


def latency(bench):
    """From the submission to the outbox queue, and to the delivery on the timeline."""
    sizes = bench.sizes
    with contextlib.ExitStack() as stack:
        authority = company.authority(bench.workdir)
        broker = stack.enter_context(company.Broker(authority))
        server = stack.enter_context(company.DatabaseServer(authority))
        vhost = broker.virtual_host()
        vhost.declare(*company.QUEUES)
        postern = PostgresPostern(bench, server, "latency", broker.environment(vhost))
        stack.enter_context(running(postern))

        bench.say(f"latency at {sizes.latency_rate} messages/s: submission to the outbox queue")
        with arrivals.QueueWatch(vhost) as watch:
            runs = arrivals.measure(postern, watch, sizes.latency_rate, bench)
        yield from report.latencies(f"latency at {sizes.latency_rate} messages/s, submission → 202", runs, "answer")
        yield from report.latencies(
            f"latency at {sizes.latency_rate} messages/s, submission → outbox queue", runs, "arrival"
        )

        bench.say(f"latency at {sizes.delivered_rate} messages/s: submission to the delivery on the timeline")
        with arrivals.mailerq(vhost), arrivals.TimelineWatch(postern.rows) as watch:
            runs = arrivals.measure(postern, watch, sizes.delivered_rate, bench)
        yield from report.latencies(
            f"latency at {sizes.delivered_rate} messages/s, submission → delivered", runs, "arrival"
        )


def _in_company(stage, goal="—"):
    """The stage, or a row that says why it was left out."""

    def either(bench):
        reason = company.why_not()
        if reason:
            bench.say(f"  left out: {reason}")
            yield report.Row(stage.__doc__, f"left out: {reason}", goal=goal, met=None if goal == "—" else False)
        else:
            yield from stage(bench)

    return either


ALL = {
    "smtp": smtp,
    "http": http,
    "rules": rules,
    "memory": memory,
    "log": log,
    "audit": audit,
    "relay": _in_company(relay, goal="≥ 0.5 ×"),
    "postgres": _in_company(postgres),
    "processes": _in_company(processes),
    "latency": _in_company(latency),
}
