#!/usr/bin/env python3
"""What the parts' benches cannot show: memory, growth, scale, punctuality and truth of the whole program.

    cargo build --release && bench/run.py [--bin target/release/senary] [--only NAME ...] [--runs 3]

Everything runs on loopback against `senary echo`, and ends by itself. Needs a C compiler for `computing`, `latency`
and `paced`, whose bare clients it is compared with. Figures are medians of the runs; docs/performance.md says what they mean.
"""
import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile

from failures import failures
from http_client import http
from merge import merge
from outputs import outputs
from process import Run, measured

HERE = os.path.dirname(os.path.abspath(__file__))


class Bench:
    def __init__(self, binary, runs, folder, k6=None):
        self.binary, self.runs, self.folder, self.k6 = binary, runs, folder, k6
        self.server = subprocess.Popen(
            [binary, "echo", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.port = self.server.stdout.readline().strip().rsplit(":", 1)[1].split()[0]

    def of(self, binary):
        """The same for another program."""
        other = copy.copy(self)
        other.binary = binary
        return other

    def close(self):
        self.server.kill()
        self.server.wait()

    def run(self, script, *flags, cores=None, **env):
        """One run, on some cores only if they are given."""
        summary = tempfile.mktemp(".json", "summary-", self.folder)
        env = {**os.environ, "TCP_HOST": "127.0.0.1", "TCP_PORT": self.port, **{k: str(v) for k, v in env.items()}}
        argv = [self.binary, "run", "--quiet", "--summary-export", summary, *flags, f"{HERE}/{script}"]
        taken = measured(argv, env, cores)
        with open(summary) as file:
            return Run(json.load(file)["metrics"], taken.cpu, taken.peak, taken.log)

    def in_turn(self, runs):
        """The results of each of several kinds of runs, by name. They take turns on one core, several times, so that what else the machine
        does hits all alike, and each is given this core."""
        core = {max(os.sched_getaffinity(0))}
        results = {name: [] for name in runs}
        for _ in range(3 * self.runs):
            for name, run in runs.items():
                results[name].append(run(core))
        return results

    def median(self, measure):
        return statistics.median(measure() for _ in range(self.runs))


def compiled(b, name):
    """A bare client of this folder."""
    subprocess.run(["cc", "-O2", "-o", f"{b.folder}/{name}", f"{HERE}/{name}.c"], check=True)
    return f"{b.folder}/{name}"


def memory(b):
    one = b.median(lambda: b.run("idle_vus.js", VUS=1).peak)
    print(f"  one VU: peak of {one / 1024:.1f} MiB")
    for vus in (100, 1000, 10000):
        print(f"  {vus:5} VUs with a socket each: {(b.run('idle_vus.js', VUS=vus).peak - one) / (vus - 1):.1f} KiB each")


def sockets(b):
    few, many = (b.median(lambda: b.run("idle_sockets.js", SOCKETS=n).peak) for n in (10, 5000))
    print(f"  5,000 idle sockets in one VU: {(many - few) / 4990:.2f} KiB each")


def growth(b):
    for vus in (10, 100, 1000, 10000):
        n = max(200000 // vus, 20)

        def cost():
            run = b.run("ping.js", VUS=vus, N=n)
            assert run.metrics["round_trips"]["count"] == vus * n, "lost round trips"
            made = b.run("ping.js", VUS=vus, N=1).cpu
            return (run.cpu - made) * 1e6 / (vus * (n - 1))

        print(f"  {vus:5} connections: {b.median(cost):.1f} us of CPU per round trip")
    for series in (10, 100, 1000, 10000, 100000):
        cost = b.median(lambda: b.run("series.js", SERIES=series).cpu)
        print(f"  {series:6} time series: {cost:.2f} us of CPU per sample")


def computing(b):
    client = compiled(b, "computing")
    for connections in (50, 1000):
        n = 300000 // connections

        def bare(nanoseconds, lines):
            argv = [client, b.port, connections, connections * n, nanoseconds, lines]
            return float(subprocess.run(list(map(str, argv)), capture_output=True, check=True, timeout=120).stdout)

        def senary():
            made, all_of_it = (b.run("ping.js", "--workers", "1", VUS=connections, N=k).cpu for k in (1, n))
            return (all_of_it - made) * 1e6 / (connections * (n - 1))

        runs = [(bare(0, 0), bare(1600, 0), bare(1600, 60), senary()) for _ in range(b.runs)]
        idle, busy, cold, own = (statistics.median(costs) for costs in zip(*runs))
        print(
            f"  {connections:5} connections: bare client {idle:.1f} us a round trip, computing for 1.6 us {busy:.1f}, "
            f"and touching 60 cold lines {cold:.1f}; Senary with one worker {own:.1f}"
        )


def scale(b):
    def done(workers):
        return b.median(lambda: b.run("compute.js", "--workers", str(workers)).metrics["iterations"]["rate"])

    one, two = done(1), done(2)
    print(f"  script alone: {one:.0f}/s with one worker, {two:.0f}/s with two: {two / one:.2f} times the work")


def punctual(b):
    for rate in (5000, 100):
        metrics, cpu, *_ = b.run("punctual.js", RATE=rate)
        m, dropped = metrics["start_offset"], metrics.get("dropped_iterations", {}).get("count", 0)
        late = " ".join(f"{name} {m[name] - m['min']:.3f} ms" for name in ("med", "p(99)", "max"))
        print(f"  {rate}/s for 30 s: late by {late}; {dropped:.0f} dropped; {cpu / 0.3:.1f} % of a core")


def latency(b):
    client = compiled(b, "latency")
    for _ in range(b.runs):  # in turn, so that drift hits all alike
        bare = []
        for at_once in (1, 5):
            argv = [client, b.port, "50000", str(at_once)]
            out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout
            bare.append([float(x) for x in out.split()])
        # One worker: the target needs a core, too, and a worker that shares it waits for it.
        m = b.run("latency.js", "--workers", "1").metrics["round_trip"]
        print(
            f"  median {m['med'] * 1e3:.1f} us (bare client {bare[0][0]:.1f}, five at once {bare[1][0]:.1f}), "
            f"p99 {m['p(99)'] * 1e3:.1f} us ({bare[0][1]:.1f}, {bare[1][1]:.1f})"
        )


def paced(b):
    client, vus, rate, seconds = compiled(b, "paced"), 50, 20000, 5

    def bare(step):
        argv = [client, b.port, vus, rate, rate * seconds, step]
        return float(subprocess.run(list(map(str, argv)), capture_output=True, check=True, timeout=120).stdout)

    def senary(by):
        run = b.run("paced.js", "--workers", "1", VUS=vus, RATE=rate, SECONDS=seconds, BY=by)
        done = run.metrics["round_trips"]["count"]
        assert done > 0.98 * rate * seconds, f"{by}: only {done} round trips"
        return run.cpu * 1e6 / done

    for _ in range(b.runs):  # in turn, so that drift hits all alike
        print(
            f"  {rate} messages/s over {vus} connections, CPU per message: bare client {bare(0):.1f} us, in steps of 0.25 ms {bare(250000):.1f}, "
            f"pump {senary('pump'):.1f}, script {senary('script'):.1f}",
            flush=True,
        )


PARTS = dict(
    memory=memory,
    sockets=sockets,
    growth=growth,
    computing=computing,
    scale=scale,
    punctual=punctual,
    latency=latency,
    paced=paced,
    outputs=outputs,
    http=http,
    merge=merge,
    failures=failures,
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=f"{HERE}/../target/release/senary")
    parser.add_argument("--only", nargs="*", default=[], choices=PARTS, metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--k6", help="the reference, for the rows that both can run")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(os.path.abspath(args.bin), args.runs, folder, args.k6)
        try:
            for name, part in PARTS.items():
                if not args.only or name in args.only:
                    print(name, flush=True)
                    part(bench)
        finally:
            bench.close()


if __name__ == "__main__":
    main()
