#!/usr/bin/env python3
"""What pumps promise, shown with many connections.

    bench/pumps.py --bin target/release/senary [--only standstill same fair]

standstill  an open loop of 20,000/s over 50 connections meets a server that stands still for 200 ms: p99 of
            tcp_req_duration shows it, and tcp_req_waiting, the service time, stays what it was
same        two runs with the same rate send the same number of requests
fair        10,000 connections are pumped by one process: what the one that gets least has, beside the median

The server is in this file: a thread that sends back what it gets. Everything runs on loopback.
"""
import argparse, json, os, select, socket, statistics, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))


def serve(listener, standstill):
    """Echoes; stands still once, for that many seconds, when it has served for two."""
    poll = select.epoll()
    listener.setblocking(False)
    poll.register(listener.fileno(), select.EPOLLIN)
    clients, begun = {}, None
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                while True:
                    try:
                        client, _ = listener.accept()
                    except BlockingIOError:
                        break
                    client.setblocking(False)
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    clients[client.fileno()] = client
                    poll.register(client.fileno(), select.EPOLLIN)
                continue
            client = clients[fd]
            try:
                data = client.recv(65536)
                if data:
                    client.sendall(data)
            except OSError:
                data = b""
            if not data:
                poll.unregister(fd)
                clients.pop(fd).close()
                continue
            begun = begun or time.monotonic()
        if standstill and begun and time.monotonic() - begun > 2:
            time.sleep(standstill)
            standstill = 0


def run(binary, standstill=0, connecting=3, **env):
    listener = socket.create_server(("127.0.0.1", 0), backlog=16384)
    threading.Thread(target=serve, args=(listener, standstill), daemon=True).start()
    with tempfile.TemporaryDirectory() as tmp:
        env = {name: str(value) for name, value in env.items()}
        env.update(PATH=os.environ["PATH"], HOME=tmp, PORT=str(listener.getsockname()[1]),
                   BEGIN=str(int((time.time() + connecting) * 1000)))
        argv = [binary, "run", "--quiet", "--log-format", "raw", "--console-output", f"{tmp}/log",
                "--summary-export", f"{tmp}/summary.json", f"{HERE}/pumps.js"]
        done = subprocess.run(argv, env=env, cwd=tmp, capture_output=True, text=True, timeout=600)
        if done.returncode:
            sys.exit(f"exit code {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
        results = [tuple(map(int, of.split("/"))) for of in open(f"{tmp}/log").read().split()]
        return results, json.load(open(f"{tmp}/summary.json"))["metrics"]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bin", required=True)
    ap.add_argument("--only", nargs="*", default=[])
    a = ap.parse_args()
    binary = os.path.abspath(a.bin)
    open_loop = dict(VUS=50, SOCKETS=1, RATE=400, SECONDS=5)
    if not a.only or "standstill" in a.only:
        results, metrics = run(binary, standstill=0.2, **open_loop)
        of = lambda name: {key: round(metrics[name][key], 2) for key in ("med", "p(99)", "max")}
        print("standstill  requests", sum(r for r, _ in results), "failed", sum(f for _, f in results))
        for name in ("tcp_req_duration", "tcp_req_waiting", "tcp_req_blocked"):
            print("           ", name, of(name), "ms", flush=True)
    if not a.only or "same" in a.only:
        counts = [run(binary, **open_loop)[1]["tcp_reqs"]["count"] for _ in range(2)]
        print("same        requests of two runs", counts, flush=True)
    if not a.only or "fair" in a.only:
        results, _ = run(binary, connecting=30, VUS=100, SOCKETS=100, SECONDS=15)
        got = sorted(received for received, _ in results)
        print(f"fair        {len(got)} connections: least {got[0]}, median {statistics.median(got):.0f}, most {got[-1]} requests")


if __name__ == "__main__":
    main()
