"""What failures cost: runs in which nothing fails, in which all do, in one kind and in a thousand. Run by `bench/run.py --only failures`.

A thousand names are a thousand time series, whether something fails or not, so runs with as many names are compared. The two
runs of a pair go on at the same time, and each figure is the median of the pairs. The log is off. Requests go to nginx, where it is installed.
"""
import statistics

from http_client import free_ports, nginx

# What fails, how often. A run takes a second or a few.
FAILURES = {"checks": 1_000_000, "exceptions": 200_000, "sockets": 100_000, "refused": 50_000, "requests": 50_000}
KINDS = (1, 1000)


def measure(b, what, fails, kinds, cores, **env):
    """CPU seconds and peak MiB of a run, in which as much failed as should."""
    count = FAILURES[what]
    run = b.run(
        "failures.js", "--log-output=none", "--workers=1", cores=cores, WHAT=what, N=count, KINDS=kinds, FAILS=int(fails), **env
    )
    counted = {
        "checks": lambda: run.metrics["checks"]["fails"],
        "exceptions": lambda: run.metrics.get("iterations_failed", {}).get("count", 0),
        "sockets": lambda: run.metrics["tcp_errors"]["count"],
    }.get(what, lambda: run.metrics["http_req_failed"]["passes"])()
    assert counted == (count if fails else 0), f"{what}: {counted} failures"
    return run.cpu, run.peak / 1024


def compared(b, one, other):
    """How much more the other one takes: in CPU, with the spread of the pairs, and in memory."""
    pairs = b.pairs(one, other)
    shares = sorted(b_cpu / a_cpu - 1 for (a_cpu, _), (b_cpu, _) in pairs)
    more = statistics.median(b_peak - a_peak for (_, a_peak), (_, b_peak) in pairs)
    seconds = statistics.median(cpu for (cpu, _), _ in pairs)
    return f"{statistics.median(shares):+.1%} ({shares[0]:+.1%} to {shares[-1]:+.1%}) of {seconds:.2f} s of CPU, {more:+.1f} MiB"


def row(b, what, can_succeed, **env):
    def runs(fails, kinds):
        return lambda cores: measure(b, what, fails, kinds, cores, **env)

    print(f"  {what}, {FAILURES[what]:,} times:")
    if can_succeed:
        for kinds in KINDS:
            print(f"    failing costs, {kinds} names: {compared(b, runs(False, kinds), runs(True, kinds))}", flush=True)
    kinds = compared(b, runs(True, KINDS[0]), runs(True, KINDS[1]))
    print(f"    a thousand kinds of failures cost more than one: {kinds}", flush=True)
    if can_succeed:
        names = compared(b, runs(False, KINDS[0]), runs(False, KINDS[1]))
        print(f"    a thousand names without failures cost more than one: {names}", flush=True)


def failures(b):
    row(b, "checks", True)
    row(b, "exceptions", True)
    (closed,) = free_ports(1)
    row(b, "sockets", False, PORT=closed)
    row(b, "refused", False, URL=f"http://127.0.0.1:{closed}/")
    server, urls = nginx(b.folder)
    if not server:
        print("  nginx is not installed: no row for answers that are not expected")
        return
    try:
        row(b, "requests", True, URL=urls["http"])
    finally:
        server.terminate()
        server.wait()
