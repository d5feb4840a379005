"""A browser for pictures and tests of the page: chromium over the pipe of the DevTools protocol, with nothing but Python."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

WEB = os.path.dirname(os.path.abspath(__file__))


def find():
    """The path of chromium, or None."""
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


def slim(text):
    """Without indentation and comment lines, as the binary embeds the page."""
    lines, in_comment = [], False
    for line in text.splitlines():
        line = line.strip()
        if in_comment or line.startswith("/*"):
            in_comment = not line.endswith("*/")
        elif line and not (line.startswith("//") or line.startswith("<!--") and line.endswith("-->")):
            lines.append(line)
    return "\n".join(lines)


def one_file(document=None):
    """The page as one file, as the binary makes it; with a document, it is a report."""
    import gzip

    page = open(os.path.join(WEB, "index.html"), encoding="utf-8").read()
    data = ""
    if document is not None:
        packed = gzip.compress(json.dumps(document, separators=(",", ":")).encode(), 6)
        data = f'<script id="senary-data" type="application/octet-stream">{base64.b64encode(packed).decode()}</script>'

    def content(name):
        text = open(os.path.join(WEB, name), encoding="utf-8").read()
        return text if name.startswith("vendor/") else slim(text)

    page = page.replace("<!-- senary:data -->", data)
    page = re.sub(r'<link rel="stylesheet" href="(.*?)">', lambda m: f"<style>{content(m[1])}</style>", page)
    return re.sub(r'<script src="(.*?)"></script>', lambda m: f"<script>{content(m[1])}</script>", page)


class Browser:
    """One browser with one page. What the console says and which addresses are asked for is kept."""

    def __init__(self, path=None):
        self.folder = tempfile.mkdtemp(prefix="senary-browser-")
        to_us, from_it = os.pipe()
        from_us, to_it = os.pipe()

        def pipes():
            # The protocol is spoken over the descriptors 3 (commands) and 4 (answers).
            a, b = os.dup(from_us), os.dup(from_it)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [path or find(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
             "--disable-background-networking", "--disable-component-update", "--no-first-run", f"--user-data-dir={self.folder}", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(from_us)
        os.close(from_it)
        self.to, self.back = os.fdopen(to_it, "wb", 0), os.fdopen(to_us, "rb", 0)
        self.buffer, self.last, self.session = b"", 0, None
        self.console, self.requests, self.events = [], [], []
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def message(self):
        while b"\0" not in self.buffer:
            part = os.read(self.back.fileno(), 1 << 20)
            if not part:
                raise EOFError("the browser has gone")
            self.buffer += part
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.last += 1
        command = {"id": self.last, "method": method, "params": params}
        if self.session:
            command["sessionId"] = self.session
        self.to.write(json.dumps(command).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.note(answer)

    def note(self, event):
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.consoleAPICalled":
            self.console.append(f"{params['type']}: " + " ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append("exception: " + details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded":
            self.console.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def size(self, width, height, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600)

    def scheme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, address):
        self.console, self.requests = [], []
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        return answer["result"].get("value")

    def wait(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.run(f"Boolean({condition})"):
                return
            time.sleep(0.05)
        raise TimeoutError(f"{condition} did not come true in {seconds} s; the console: {self.console}")

    def picture(self, path, whole=True):
        height = self.run("document.documentElement.scrollHeight") if whole else None
        params = {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": self.run("innerWidth"), "height": height, "scale": 1}} if whole else {}
        data = self.call("Page.captureScreenshot", format="png", **params)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
