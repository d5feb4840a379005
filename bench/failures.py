"""What failures cost: runs in which nothing fails, in which all do, in one kind and in a thousand. Run by `bench/run.py --only failures`.

A thousand names are a thousand time series, whether something fails or not, so runs with as many names are compared. The runs of a
row alternate, and each figure is the median of its runs. The log is off. Requests go to nginx, where it is installed.
"""
import statistics

from http_client import free_ports, nginx

# What fails, how often. A run takes a second or a few.
FAILURES = {"checks": 1_000_000, "exceptions": 200_000, "sockets": 100_000, "refused": 50_000, "requests": 50_000}
KINDS = (1, 1000)


def measure(b, what, fails, kinds, **env):
    """CPU seconds and peak MiB of a run, in which as much failed as should."""
    count = FAILURES[what]
    metrics, cpu, peak = b.run(
        "failures.js", "--log-output=none", "--workers=1", WHAT=what, N=count, KINDS=kinds, FAILS=int(fails), **env
    )
    counted = {
        "checks": lambda: metrics["checks"]["fails"],
        "exceptions": lambda: metrics.get("iterations_failed", {}).get("count", 0),
        "sockets": lambda: metrics["tcp_errors"]["count"],
    }.get(what, lambda: metrics["http_req_failed"]["passes"])()
    assert counted == (count if fails else 0), f"{what}: {counted} failures"
    return cpu, peak / 1024


def row(b, what, can_succeed, **env):
    runs = [(fails, kinds) for kinds in KINDS for fails in ((False, True) if can_succeed else (True,))]
    figures = {run: [] for run in runs}
    for _ in range(b.runs):  # in turn, so that drift hits all alike
        for fails, kinds in runs:
            figures[fails, kinds].append(measure(b, what, fails, kinds, **env))
    cpu = {run: statistics.median(cpu for cpu, _ in of) for run, of in figures.items()}
    peak = {run: statistics.median(peak for _, peak in of) for run, of in figures.items()}
    print(f"  {what}, {FAILURES[what]:,} times:")
    for kinds in KINDS:
        told = []
        for fails in (False, True):
            if (fails, kinds) in cpu:
                told.append(f"{'all fail' if fails else 'none fails'} {cpu[fails, kinds]:.2f} s, {peak[fails, kinds]:.1f} MiB")
        if can_succeed:
            told.append(f"failing costs {(cpu[True, kinds] / cpu[False, kinds] - 1) * 100:+.1f} %")
        print(f"    {kinds:5} names: {'; '.join(told)}", flush=True)
    more = (cpu[True, 1000] / cpu[True, 1] - 1) * 100
    print(f"    a thousand kinds of failures cost {more:+.1f} % more than one", end="")
    if can_succeed:
        print(f"; a thousand names without failures {(cpu[False, 1000] / cpu[False, 1] - 1) * 100:+.1f} %", end="")
    print(flush=True)


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
