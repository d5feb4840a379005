#!/usr/bin/env python3
"""Pictures of the page, taken with chromium.

    web/pictures.py readme target/release/senary     docs/images/report.png, from a real run of examples/shop.js
    web/pictures.py all FOLDER                       of made-up runs, in both themes and two widths, to be looked at
"""

import os
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

import browser
import made_up

ROOT = os.path.dirname(browser.WEB)


class Shop(socketserver.ThreadingTCPServer):
    """Sends back what it gets, except between two moments: then it takes nobody in, and resets who is there."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256
    is_down = False

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                while data := self.request.recv(4096):
                    if self.server.is_down:
                        return
                    self.request.sendall(data)
            except OSError:
                pass

    RequestHandlerClass = Handler


def drawn(page, address):
    page.open(address)
    page.wait("globalThis.Senary && Senary.page && Senary.page.model")
    page.run("Senary.page.stack.drawAll()")
    time.sleep(0.3)


def readme(binary, seconds=90):
    """A run whose server is away for some seconds in the middle, at the size of a README."""
    shop = Shop(("127.0.0.1", 0), Shop.Handler)
    threading.Thread(target=shop.serve_forever, daemon=True).start()
    for after, is_down in ((seconds * 0.6, True), (seconds * 0.7, False)):
        threading.Timer(after, setattr, (shop, "is_down", is_down)).start()
    with tempfile.TemporaryDirectory() as folder, browser.Browser() as page:
        report = os.path.join(folder, "shop.html")
        variables = {**os.environ, "TCP_HOST": "127.0.0.1", "TCP_PORT": str(shop.server_address[1]), "DURATION": f"{seconds}s"}
        subprocess.run([os.path.abspath(binary), "run", "--quiet", "--report", report, os.path.join(ROOT, "examples/shop.js")], env=variables, cwd=folder, check=False)
        page.size(1100, 880)
        page.scheme("light")
        drawn(page, f"file://{report}")
        os.makedirs(os.path.join(ROOT, "docs/images"), exist_ok=True)
        page.picture(os.path.join(ROOT, "docs/images/report.png"), whole=False)


def all_of_them(folder):
    os.makedirs(folder, exist_ok=True)
    with browser.Browser() as page:
        for name, run in made_up.RUNS.items():
            file = os.path.join(folder, f"{name}.html")
            with open(file, "w", encoding="utf-8") as out:
                out.write(browser.one_file(run().document()))
            for scheme in ("light", "dark"):
                for width in (1280, 390):
                    page.size(width, 900)
                    page.scheme(scheme)
                    drawn(page, f"file://{os.path.abspath(file)}")
                    page.picture(os.path.join(folder, f"{name}-{scheme}-{width}.png"))
                    print(name, scheme, width, page.console or "no word in the console")


if __name__ == "__main__":
    if browser.find() is None:
        sys.exit("chromium is not installed")
    if len(sys.argv) == 3 and sys.argv[1] in ("readme", "all"):
        {"readme": readme, "all": all_of_them}[sys.argv[1]](sys.argv[2])
    else:
        sys.exit(__doc__)
