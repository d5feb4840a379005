#!/usr/bin/env python3
"""Runs what a profile of the program is made of: the work that users' tests do most, against servers on loopback.

    packaging/training/train.py BINARY

It ends by itself, within a minute or two. The exit code is not 0 if a run failed.
"""
import http.server
import json
import os
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
PUMP = ["--framing", '{"fixed":34}', "--message", "ping-pong-payload-0123456789abcdef", "--quiet"]

RUNS = [
    ["run", "--quiet", f"{HERE}/churn.js"],
    ["run", "--quiet", f"{HERE}/frames.js"],
    ["run", "--quiet", f"{HERE}/requests.js"],
    ["run", "--quiet", f"{HERE}/pages.js"],
    ["run", "--quiet", f"{HERE}/iterations.js"],
    ["run", "--quiet", "--out", "json=/dev/null", f"{HERE}/iterations.js"],
    ["run", "--quiet", "-e", "VUS=50", "-e", "N=2000", f"{HERE}/../../bench/ping.js"],
    ["run", "--quiet", "-e", "VUS=500", "-e", "N=100", f"{HERE}/../../bench/ping.js"],
    ["tcp", "{target}", *PUMP, "--connections", "50", "--count", "100000"],
    ["tcp", "{target}", *PUMP, "--connections", "50", "--count", "400000", "--window", "16"],
    ["tcp", "{target}", *PUMP, "--connections", "20", "--rate", "10000", "--duration", "2s"],
]


class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.answer({"items": [{"id": n, "name": f"item {n}"} for n in range(1, 20)]})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"ok": True})

    def log_message(self, *_):
        pass


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    shop = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    echo = subprocess.Popen([binary, "echo", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    try:
        port = echo.stdout.readline().strip().rsplit(":", 1)[1].split()[0]
        target = f"127.0.0.1:{port}"
        env = {**os.environ, "TCP_HOST": "127.0.0.1", "TCP_PORT": port, "URL": f"http://127.0.0.1:{shop.server_port}"}
        for arguments in RUNS:
            argv = [binary, *(argument.replace("{target}", target) for argument in arguments)]
            print(" ".join(argv[1:]), file=sys.stderr, flush=True)
            subprocess.run(argv, env=env, check=True, timeout=600, stdout=subprocess.DEVNULL)
    finally:
        echo.terminate()
        echo.wait()


if __name__ == "__main__":
    main()
