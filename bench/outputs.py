"""What outputs cost: CPU per sample beyond a run without any, beside `json` and `csv`. Run by `bench/run.py --only outputs`.

The receiver is a process of its own and takes everything at once, so that its work is not counted.
"""
import multiprocessing
import socketserver
import statistics

SAMPLES = 1_000_000

# What follows --out, and the environment; {port} is the receiver's.
OUTPUTS = {
    "json": ("json=/dev/null", {}),
    "csv": ("csv=/dev/null", {}),
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
}


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


def outputs(b):
    server = Server(("127.0.0.1", 0), Taker)
    process = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
    process.start()
    port = server.server_address[1]
    try:
        for series in (10, 1000):
            # In turn, so that drift hits all alike.
            costs = {name: [] for name in OUTPUTS}
            for _ in range(b.runs):
                bare = b.run("series.js", SERIES=series)[1]
                for name, (out, env) in OUTPUTS.items():
                    env = {key: value.format(port=port) for key, value in env.items()}
                    cpu = b.run("series.js", "--out", out.format(port=port), SERIES=series, **env)[1]
                    costs[name].append((cpu - bare) * 1e9 / SAMPLES)
                    for line in filter(lambda line: "is incomplete" in line, b.log.splitlines()):
                        print(f"    {name}: {line}")
            medians = {name: statistics.median(all_of_them) for name, all_of_them in costs.items()}
            print(f"  {series} time series, CPU per sample beside that of `json` ({medians['json']:.0f} ns):")
            for name, cost in medians.items():
                print(f"    {name:14} {cost / medians['json']:.2f}  ({cost:.0f} ns)")
    finally:
        process.kill()
        process.join()
