"""A headless Chromium, driven by its DevTools protocol over a pair of pipes: no port, no driver, no package.

The protocol: https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
LIMIT = 300  # seconds of one answer: for what hangs, not for what is slow
NOT_YET = "the page is being loaded"

FLAGS = (
    "--headless",
    # Refused to root, and by some kernels to everybody. What it opens here is our own.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    # It connects only to the page's server.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    # What it is told over descriptor 3 and tells over 4, each message with a zero byte behind it.
    "--remote-debugging-pipe",
)


class BrowserError(Exception):
    """The browser refused, ended or does not answer."""


def installed():
    """The browser's path, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One browser with one tab, from `with` to its end."""

    def __init__(self):
        self._program = installed()
        if not self._program:
            raise BrowserError("chromium is not installed: run scripts/install")
        self._numbers = 0
        self._rest = b""
        self._session = None
        self._events = []
        self._process = None

    def __enter__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="revoker-browser."))
        try:
            self._start()
            tab = self._call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._call("Target.attachToTarget", targetId=tab, flatten=True)["sessionId"]
            for domain in ("Page", "Log", "Runtime"):
                self._call(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._process:
            # Its own group, with all that it started itself.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            os.close(self._to)
            os.close(self._from)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self):
        told, self._to = _high_pipe()
        self._from, tells = _high_pipe()
        profile = f"--user-data-dir={self._folder}/profile"
        with open(self._folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", f'exec "$@" 3<&{told} 4>&{tells}', "bash", self._program, *FLAGS, profile],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(told, tells),
                start_new_session=True,
            )
        os.close(told)
        os.close(tells)

    def set_window(self, width, height, scheme, scale=1):
        """Sets the size of the window in CSS pixels, `light` or `dark`, and the device pixels per CSS pixel."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=scale, mobile=width < 600,
        )  # fmt: skip
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url):
        """Loads a page, with all that it asks for."""
        self._events.clear()
        while why := self._call("Page.navigate", url=url).get("errorText"):
            # The page may reload by itself at this moment, which aborts the navigation.
            if why != "net::ERR_ABORTED":
                raise BrowserError(f"{url}: {why}")
        self.await_load()

    def await_load(self):
        """Waits until a page has been loaded since the last call of this or of `open`."""
        while not self._take("Page.loadEventFired"):
            self._receive()

    def evaluate(self, expression):
        """Evaluates a JavaScript expression in the fully loaded page."""
        # In one step, because the page may reload at any time and be incomplete.
        whole = f'document.readyState === "complete" ? (\n{expression.strip().rstrip(";")}\n) : "{NOT_YET}"'
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            try:
                answer = self._call("Runtime.evaluate", expression=whole, returnByValue=True)
            except BrowserError as error:
                # The page is just reloading.
                if "context" in str(error):
                    continue
                raise
            if "exceptionDetails" in answer:
                raise BrowserError(f"{expression[:60]}: {answer['exceptionDetails']}")
            if answer["result"].get("value") != NOT_YET:
                return answer["result"].get("value")
            time.sleep(0.05)
        raise BrowserError(f"the page is not whole after {LIMIT} s")

    def complaints(self):
        """The messages on the console since the page was opened, such as violations of the page's policy."""
        # An answer proves that what came before it has been received.
        self._call("Runtime.evaluate", expression="0")
        logged = [event["params"]["entry"]["text"] for event in self._events if event["method"] == "Log.entryAdded"]
        thrown = [str(event["params"]) for event in self._events if event["method"] == "Runtime.exceptionThrown"]
        return logged + thrown

    def picture(self, path, height=None):
        """Writes the whole page, or as much of its top, as PNG."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height or size["height"], "scale": 1}
        data = self._call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))

    def _take(self, method):
        for event in self._events:
            if event["method"] == method:
                self._events.remove(event)
                return True
        return False

    def _call(self, method, **parameters):
        self._numbers += 1
        message = {"id": self._numbers, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        try:
            os.write(self._to, json.dumps(message).encode() + b"\0")
        except BrokenPipeError:
            raise BrowserError(f"the browser ended: {self._last_words()}") from None
        while True:
            answer = self._receive()
            if answer and answer.get("id") == self._numbers:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _receive(self):
        """The next message, if it is an answer; keeps it if it is an event."""
        deadline = time.monotonic() + LIMIT
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline - time.monotonic()))
            part = os.read(self._from, 1 << 20) if ready else b""
            if not part:
                why = "ended" if ready else f"has not answered for {LIMIT} s"
                raise BrowserError(f"the browser {why}: {self._last_words()}")
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(text)
        if "id" in message:
            return message
        self._events.append(message)
        return None

    def _last_words(self):
        return (self._folder / "log").read_text(errors="replace")[-800:]


def _high_pipe():
    """The ends of a pipe, numbered beyond those that a shell's redirections overwrite."""
    return tuple(_raised(end) for end in os.pipe())


def _raised(end):
    raised = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(end)
    return raised
