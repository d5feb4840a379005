"""What failures cost: runs in which nothing fails, in which all do, in one kind and in a thousand. Run by `bench/run.py --only failures`.

A thousand names are a thousand time series, whether something fails or not, so runs with as many names are compared. They take turns. The log
is off. Requests go to nginx, where it is installed.
"""
import statistics

from http_client import free_ports, nginx
from process import beyond

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


def compared(without, results):
    """How much more the others take: in CPU, and in memory."""
    (cpu, peaks), (other_cpu, other_peaks) = zip(*without), zip(*results)
    middle = statistics.median(cpu)
    shares = ", ".join(f"{more / middle:+.1%}" for more in beyond(cpu, other_cpu))
    return f"{shares} of {middle:.2f} s of CPU, {statistics.median(other_peaks) - statistics.median(peaks):+.1f} MiB"


def row(b, what, can_succeed, **env):
    def run(fails, kinds):
        return lambda core: measure(b, what, fails, kinds, core, **env)

    wanted = [(fails, kinds) for kinds in KINDS for fails in ([False, True] if can_succeed else [True])]
    results = b.in_turn({one: run(*one) for one in wanted})
    few, many = KINDS
    print(f"  {what}, {FAILURES[what]:,} times (least, lower quartile, median):")
    if can_succeed:
        for kinds in KINDS:
            print(f"    failing costs, {kinds} names: {compared(results[False, kinds], results[True, kinds])}")
        print(f"    {many} names without failures cost more than {few}: {compared(results[False, few], results[False, many])}")
    print(f"    {many} kinds of failures cost more than {few}: {compared(results[True, few], results[True, many])}", flush=True)


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
