"""What requests and WebSocket messages cost, and what a VU takes that keeps a connection. Run by `bench/run.py --only http`.

The servers are nginx, and the echo of WebSockets in `crates/senary-testkit/examples`. With `--k6 PROGRAM`, the reference runs the same
scripts beside. A row in which a request or a message is missing, or failed, says LOST.
"""
import os
import shutil
import socket
import statistics
import subprocess
import time

VUS, REQUESTS, MESSAGES = 50, 1000, 2000

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; {user}
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 100000000; keepalive_timeout 300;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    server {{ listen 127.0.0.1:{http}; location / {{ return 200 'hello'; }} }}
    server {{ listen 127.0.0.1:{https} ssl; location / {{ return 200 'hello'; }} }}
    server {{ listen 127.0.0.1:{http2} ssl http2; location / {{ return 200 'hello'; }} }}
}}
"""


def free_ports(count):
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in taken]
    for server in taken:
        server.close()
    return ports


def nginx(folder):
    """The process, and the addresses by the names of rows."""
    names = ("http", "https", "http2")
    ports = dict(zip(names, free_ports(len(names))))
    certificate = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    argv = ["openssl", *certificate.split(), "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem"]
    subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
    user = "user root;" if os.geteuid() == 0 else ""
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(NGINX.format(folder=folder, user=user, **ports))
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        return None, {}
    server = subprocess.Popen([program, "-p", folder, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"])
    for port in ports.values():
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.01)
    return server, {name: f"{'http' if name == 'http' else 'https'}://127.0.0.1:{port}/" for name, port in ports.items()}


def requests(b, url):
    """µs of CPU for a request over a kept connection, and how many are lost."""
    lost = 0

    def run(count):
        nonlocal lost
        metrics, cpu, *_ = b.run("http.js", URL=url, VUS=VUS, N=count)
        failed = metrics["http_req_failed"]
        lost += VUS * count - metrics["http_reqs"]["count"] + failed.get("passes", 0)
        return cpu

    cost = b.median(lambda: (run(REQUESTS) - run(1)) * 1e6 / (VUS * (REQUESTS - 1)))
    return cost, lost


def messages(b, url, module):
    """µs of CPU for a message there and back, and how many are lost."""
    lost = 0

    def run(count):
        nonlocal lost
        metrics, cpu, *_ = b.run("websocket.js", URL=url, VUS=VUS, N=count, MODULE=module)
        for name in ("ws_msgs_sent", "ws_msgs_received"):
            lost += VUS * count - metrics[name]["count"]
        return cpu

    cost = b.median(lambda: (run(MESSAGES) - run(1)) * 1e6 / (VUS * (MESSAGES - 1)))
    return cost, lost


def told(cost, lost):
    return f"{cost:.1f} us" + (f" LOST {lost:.0f}" if lost else "")


def http(b):
    server, urls = nginx(b.folder)
    programs = [("Senary", b.binary)] + ([("k6", b.k6)] if b.k6 else [])
    try:
        for name, url in urls.items():
            costs = [f"{program} {told(*requests(b.of(binary), url))}" for program, binary in programs]
            print(f"  a request, {name}: {', '.join(costs)}", flush=True)
        for name, url in urls.items():
            one = statistics.median(b.run("http_idle.js", URL=url, VUS=1).peak for _ in range(b.runs))
            peak = b.median(lambda: b.run("http_idle.js", URL=url, VUS=1000).peak)
            print(f"  1,000 VUs with a kept connection each, {name}: {(peak - one) / 999:.1f} KiB each", flush=True)
    finally:
        if server:
            server.terminate()
            server.wait()
        else:
            print("  nginx is not installed: no rows for requests")
    echo = f"{os.path.dirname(b.binary)}/examples/websocket_echo"
    if not os.path.exists(echo):
        print(f"  no {echo}: cargo build --release -p senary-testkit --example websocket_echo")
        return
    server = subprocess.Popen([echo], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        for module in ("k6/ws", "k6/websockets"):
            costs = [f"{program} {told(*messages(b.of(binary), url, module))}" for program, binary in programs]
            print(f"  a message there and back, {module}: {', '.join(costs)}", flush=True)
    finally:
        server.terminate()
        server.wait()
