"""What the benchmarks run on, and what a process costs there: all that is read from /proc and the file system."""

import contextlib
import os
import pathlib
import resource
import socket
import time

TICKS = os.sysconf("SC_CLK_TCK")


def describe(directory):
    """The machine in a few lines that name no host."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu,
        "memory_gib": round(memory / 1024**2, 1),
        "kernel": ".".join(os.uname().release.split(".")[:2]),
        "filesystem": filesystem(directory),
    }


def filesystem(directory):
    """The type of the file system that holds `directory`."""
    directory = os.path.realpath(directory)
    mounts = [line.split()[1:3] for line in open("/proc/self/mounts")]
    inside = directory.rstrip("/") + "/"
    holding = [(point, kind) for point, kind in mounts if inside.startswith(point.rstrip("/") + "/")]
    return max(holding, key=lambda mount: len(mount[0]))[1]


def syncs_per_second(directory, seconds=0.3):
    """How often a second one thread can append 4 KiB and make it durable: the disk's share in every figure here.

    Shared disks give bursts of thousands and then some hundreds for minutes; hence a look before each run.
    """
    path = pathlib.Path(directory, "sync-probe")
    block, count = b"x" * 4096, 0
    with open(path, "wb", buffering=0) as file:
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            file.write(block)
            os.fdatasync(file.fileno())
            count += 1
        elapsed = time.monotonic() - started
    path.unlink()
    return count / elapsed


def free_ports(count):
    """Ports of 127.0.0.1 that nobody holds; all are found before the first is given back."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def raise_file_limit():
    """A thousand connections need as many descriptors on both sides; children inherit the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def accepts(port):
    """Whether something listens there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def wait_until(condition, seconds, what, interval=0.05):
    """Polls until `condition()` holds and returns what it returned."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(interval)
    raise TimeoutError(f"{what}: not within {seconds} s")


class Processes:
    """A server's process, or several servers', and all that descend from them.

    `rest` is the share of one core that they may use and still count as quiet.
    """

    def __init__(self, *roots, rest=0.05):
        self.roots = roots
        self.rest = rest

    def cpu_seconds(self):
        """Processor time of the living and of those that their parents have waited for."""
        total = 0
        for pid in self._all():
            # A server's helper that ends between the list and the look (an autovacuum worker) is its parent's account now.
            with contextlib.suppress(OSError):
                total += sum(self._stat(pid)[1])
        return total / TICKS

    def memory(self):
        """{"rss", "pss"} in KiB, over all processes."""
        total = {"rss": 0, "pss": 0}
        for pid in self._all():
            for line in open(f"/proc/{pid}/smaps_rollup"):
                name = line.split(":")[0].lower()
                if name in total:
                    total[name] += int(line.split()[1])
        return total

    def wait_until_quiet(self, for_seconds=0.5, share=None, within=120):
        """Until the processes have used less than `share` of one core over `for_seconds`."""
        share = self.rest if share is None else share
        last = [self.cpu_seconds(), time.monotonic()]

        def is_quiet():
            if time.monotonic() - last[1] < for_seconds:
                return False
            used, elapsed = self.cpu_seconds() - last[0], time.monotonic() - last[1]
            last[:] = [self.cpu_seconds(), time.monotonic()]
            return used / elapsed < share

        wait_until(is_quiet, within, "the server does not come to rest")

    def _all(self):
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    children.setdefault(self._stat(int(entry))[0], []).append(int(entry))
                except OSError:
                    continue  # gone meanwhile
        found = list(self.roots)
        for pid in found:
            found += children.get(pid, [])
        return found

    @staticmethod
    def _stat(pid):
        # The name, in brackets, can hold anything: count from the last bracket on.
        fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
        return int(fields[1]), [int(ticks) for ticks in fields[11:15]]
