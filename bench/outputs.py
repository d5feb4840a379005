"""What outputs cost: CPU per sample beyond a run without any, beside `json` and `csv`. Run by `bench/run.py --only outputs`.

The receiver is a process of its own and takes everything at once, so that its work is not counted. Runs without an output and with each of
them take turns.
"""
import multiprocessing
import socket
import socketserver
import statistics
import threading
import time

from process import beyond

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


def shown(without, costs, unit):
    return ", ".join(f"{more:+{unit}}" for more in beyond(without, costs))


def with_output(b, out, env, ports, script, core, **variables):
    """CPU seconds of a run with an output."""
    own = {**ports, "watched": free_port()}
    if "{watched}" in out:
        threading.Thread(target=watch, args=(own["watched"],), daemon=True).start()
    variables |= {key: value.format(**own) for key, value in env.items()}
    flags = ["--out", out.format(**own)] if out else []
    run = b.run(script, "--workers=1", *flags, cores=core, **variables)
    for line in filter(lambda line: "is incomplete" in line, run.log.splitlines()):
        print(f"    {out}: {line}")
    return run.cpu


def costs_of(b, names, script, ports, **variables):
    """CPU seconds of runs without an output, which are called "", and with each of some."""
    wanted = {"": ("", {}), **{name: OUTPUTS[name] for name in names}}

    def run(out, env):
        return lambda core: with_output(b, out, env, ports, script, core, **variables)

    return b.in_turn({name: run(out, env) for name, (out, env) in wanted.items()})


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
            costs = costs_of(b, OUTPUTS, "series.js", ports, SERIES=series)
            without = costs.pop("")
            print(f"  {series} time series, {min(without) * 1e9 / SAMPLES:.0f} ns of CPU per sample; more with an output (least, lower quartile, median):")
            for name, cpu in costs.items():
                nanoseconds = [[seconds * 1e9 / SAMPLES for seconds in runs] for runs in (without, cpu)]
                print(f"    {name:14} {shown(*nanoseconds, '.0f')} ns", flush=True)
        costs = costs_of(b, ["dashboard", "watched"], "steady.js", ports)
        without = costs.pop("")
        print(f"  20,000 iterations/s, {min(without):.2f} s of CPU; more with a dashboard:")
        for name, cpu in costs.items():
            shares = [[seconds / statistics.median(without) for seconds in runs] for runs in (without, cpu)]
            print(f"    {name:14} {shown(*shares, '.1%')}", flush=True)
    finally:
        process.kill()
        process.join()
