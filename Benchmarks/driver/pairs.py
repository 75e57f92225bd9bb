"""Runs two servers by turns, A B A B …, one at rest while the other is measured, so that drift hits both alike."""

import os
import statistics

from . import machine


class Series:
    """The figures of one side over all its runs."""

    def __init__(self, name):
        self.name = name
        self.runs = []

    def values(self, figure):
        return [run[figure] for run in self.runs]

    def median(self, figure):
        return statistics.median(self.values(figure))


def measure(servers, run, bench):
    """`run(server)` for each server in turn, as many pairs as the bench wants; a Series for each.

    A first run of each is thrown away: processes start, caches and files grow.
    """
    series = [Series(server.name) for server in servers]
    pairs = bench.sizes.pairs
    for number in range(pairs + 1):
        for server, figures in zip(servers, series):
            result = _one(server, run, bench.workdir)
            if number > 0:
                figures.runs.append(result)
            bench.say(f"  {f'{number}/{pairs}' if number else 'warm':<4} {server.name:<22} {_line(result)}")
    return series


def _line(result):
    """What a run found, for whoever looks on."""
    texts = [f"{result['per_second']:>8,.0f} /s"]
    if "p50_ms" in result:
        texts.append(f"p50 {result['p50_ms']:>5.1f} ms   p99 {result['p99_ms']:>6.1f} ms")
    texts.append(f"server {result['cpu_us']:>5.0f} µs CPU/message")
    if "client_cpu_us" in result:
        texts.append(f"client {result['client_cpu_us']:.0f} µs")
    return "   ".join([*texts, f"disk {result['syncs']:,.0f} syncs/s"])


def _one(server, run, workdir):
    """One run, checked against the server's own store: as many new messages there as the client was told yes.

    A run may say itself what a message cost, where its measured time is not all that the server did.
    """
    if hasattr(server, "reset"):
        server.reset()
    server.processes.wait_until_quiet()
    # Nothing that one side has left to write may be written while the other is measured.
    os.sync()
    syncs = machine.syncs_per_second(workdir)
    stored, cpu = server.accepted(), server.processes.cpu_seconds()
    result = run(server)
    stored = server.accepted() - stored
    if stored != result["accepted"]:
        raise RuntimeError(f"{server.name} said yes {result['accepted']} times and has stored {stored}")
    # What a server does after its yes is part of a message's cost, and must be over before the next run.
    server.processes.wait_until_quiet()
    result.setdefault("cpu_us", (server.processes.cpu_seconds() - cpu) / result["accepted"] * 1e6)
    result["syncs"] = syncs
    if "client_cpu_seconds" in result:
        result["client_cpu_us"] = result["client_cpu_seconds"] / result["accepted"] * 1e6
    return result
