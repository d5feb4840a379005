"""What outputs cost: CPU per sample beyond a run without any, beside `json` and `csv`. Run by `bench/run.py --only outputs`.

The receiver is a process of its own and takes everything at once, so that its work is not counted. A run without an output goes on
beside each run with one.
"""
import multiprocessing
import socket
import socketserver
import statistics
import threading
import time

SAMPLES = 1_000_000

# What follows --out, and the environment; {port} is the receiver's.
OUTPUTS = {
    "json": ("json=/dev/null", {}),
    "csv": ("csv=/dev/null", {}),
    "junit": ("junit=/dev/null", {}),
    "prometheus": ("experimental-prometheus-rw=http://127.0.0.1:{port}/write", {"K6_PROMETHEUS_RW_PUSH_INTERVAL": "1s"}),
    "statsd": ("statsd=127.0.0.1:{datagrams}", {}),
    "influxdb": ("influxdb=http://127.0.0.1:{port}/db", {}),
    "opentelemetry": (
        "opentelemetry",
        {
            "K6_OTEL_EXPORTER_PROTOCOL": "http/protobuf",
            "K6_OTEL_HTTP_EXPORTER_ENDPOINT": "127.0.0.1:{port}",
            "K6_OTEL_HTTP_EXPORTER_INSECURE": "true",
            "K6_OTEL_EXPORT_INTERVAL": "1s",
        },
    ),
    "dashboard": ("web-dashboard=port=-1&period=1s", {}),
    "watched": ("web-dashboard=port={watched}&period=1s", {}),
}


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def watch(port):
    """Follows a run as its page does, until it is over."""
    for _ in range(500):
        try:
            stream = socket.create_connection(("127.0.0.1", port), timeout=60)
            break
        except OSError:
            time.sleep(0.01)
    else:
        return
    with stream, stream.makefile("rb") as lines:
        stream.sendall(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        any(b'"complete":true' in line for line in lines)


class Taker(socketserver.StreamRequestHandler):
    """One request per connection, whose body is thrown away."""

    def handle(self):
        length = 0
        while (line := self.rfile.readline()).strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while length > 0:
            length -= len(self.rfile.read(min(length, 1 << 20)))
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


def watched_share(b):
    """What a dashboard costs that somebody watches: its share of the CPU of a run of 20,000 iterations a second."""

    def watched(cores):
        port = free_port()
        threading.Thread(target=watch, args=(port,), daemon=True).start()
        return b.run("steady.js", "--workers=1", "--out", f"web-dashboard=port={port}&period=1s", cores=cores).cpu

    pairs = b.pairs(lambda cores: b.run("steady.js", "--workers=1", cores=cores).cpu, watched)
    shares = sorted(cpu / bare - 1 for bare, cpu in pairs)
    shown = ", ".join(f"{share:+.1%}" for share in shares)
    print(f"  20,000 iterations/s: a watched dashboard takes {statistics.median(shares):+.1%} more CPU ({shown})")


def cost_of(b, series, out, env, ports):
    """Nanoseconds of CPU per sample beyond a run without the output: the median, and the median distance from it."""

    def bare(cores):
        return b.run("series.js", "--workers=1", SERIES=series, cores=cores).cpu

    def with_output(cores):
        own = {**ports, "watched": free_port()}
        if "{watched}" in out:
            threading.Thread(target=watch, args=(own["watched"],), daemon=True).start()
        variables = {key: value.format(**own) for key, value in env.items()}
        run = b.run("series.js", "--workers=1", "--out", out.format(**own), SERIES=series, cores=cores, **variables)
        for line in filter(lambda line: "is incomplete" in line, run.log.splitlines()):
            print(f"    {out}: {line}")
        return run.cpu

    costs = [(cpu - without) * 1e9 / SAMPLES for without, cpu in b.pairs(bare, with_output)]
    middle = statistics.median(costs)
    return middle, statistics.median(abs(cost - middle) for cost in costs)


def outputs(b):
    server = Server(("127.0.0.1", 0), Taker)
    process = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
    process.start()
    # What nobody reads is thrown away by the system.
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    ports = {"port": server.server_address[1], "datagrams": datagrams.getsockname()[1]}
    try:
        for series in (10, 1000):
            costs = {name: cost_of(b, series, out, env, ports) for name, (out, env) in OUTPUTS.items()}
            json, json_spread = costs["json"]
            print(f"  {series} time series, CPU per sample:")
            for name, (cost, spread) in costs.items():
                # Beside a figure that is no more than noise, nothing has a size.
                beside = f"; {cost / json:.2f} times that of json" if json > 2 * json_spread else ""
                print(f"    {name:14} {cost:.0f} ns, half of the runs within {spread:.0f} ns of it{beside}", flush=True)
        watched_share(b)
    finally:
        process.kill()
        process.join()
