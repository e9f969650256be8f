"""A headless Chromium, driven through a pipe by its own protocol: nothing beside the standard library."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-extensions --remote-debugging-pipe"
)
# Chromium reads commands from file 3 and writes to file 4.
LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
PATIENCE = 60


def find():
    """Where Chromium is, if it is anywhere."""
    named = os.environ.get("JAXBN_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def running(path, folder):
    """A browser with a profile of its own in a folder."""
    ours, theirs = zip(_pipe(), reversed(_pipe()), strict=True)
    argv = [
        sys.executable,
        "-S",
        "-c",
        LAUNCH,
        str(theirs[0]),
        str(theirs[1]),
        path,
        *FLAGS.split(),
        f"--user-data-dir={folder}",
    ]
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(argv, pass_fds=theirs, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    for file in theirs:
        os.close(file)
    browser = Browser(reading=ours[1], writing=ours[0])
    try:
        yield browser
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            browser.ask("Browser.close")
        for file in ours:
            os.close(file)
        process.wait(PATIENCE)


def _pipe():
    """Two ends, the writing one first, both with numbers that are not 3 or 4."""
    reading, writing = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (writing, reading)]
    os.close(reading)
    os.close(writing)
    return high


class Browser:
    def __init__(self, reading, writing):
        self.reading, self.writing = reading, writing
        self.number, self.buffer, self.events = 0, b"", []

    def ask(self, method, session=None, **params):
        """What Chromium answers; events that come before it are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self.writing, json.dumps(message).encode() + b"\0")
        while True:
            got = self.read(PATIENCE)
            if got.get("id") == self.number:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error']['message']}")
                return got["result"]
            self.events.append(got)

    def read(self, seconds):
        until = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.reading], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise TimeoutError("Chromium does not answer")
            chunk = os.read(self.reading, 1 << 20)
            if not chunk:
                raise OSError("Chromium is gone")
            self.buffer += chunk
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    @contextlib.contextmanager
    def tab(self, url, *, width=1280, height=900, dark=False):
        """A page that has loaded."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.ask(f"{domain}.enable")
        tab.size(width, height)
        tab.scheme(dark)
        tab.ask("Page.navigate", url=url)
        tab.until("document.readyState === 'complete'")
        try:
            yield tab
        finally:
            self.ask("Target.closeTarget", targetId=target)
            self.events = [event for event in self.events if event.get("sessionId") != session]


class Tab:
    """One page, with a mouse and a keyboard."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def ask(self, method, **params):
        return self.browser.ask(method, self.session, **params)

    def run(self, script):
        """The value of an expression, or of what it promises."""
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", "?"))
        return answer["result"].get("value")

    def until(self, condition):
        end = time.monotonic() + PATIENCE
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(condition)
            time.sleep(0.02)

    def settle(self):
        """Wait until what has happened has been drawn."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def size(self, width, height, *, mobile=False):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def scheme(self, dark):
        value = "dark" if dark else "light"
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def box(self, selector):
        """The rectangle of an element that has been scrolled to: x, y, width, height in the window."""
        return self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); const r = e.getBoundingClientRect(); "
            "return [r.x, r.y, r.width, r.height]; })()"
        )

    def mouse(self, kind, x, y, **more):
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def point(self, selector, dx=None, dy=None):
        """Move the mouse over an element: its middle, or so many pixels from its corner."""
        x, y, width, height = self.box(selector)
        at = x + (width / 2 if dx is None else dx), y + (height / 2 if dy is None else dy)
        self.mouse("mouseMoved", *at)
        self.settle()
        return at

    def click(self, selector, dx=None, dy=None):
        at = self.point(selector, dx, dy)
        self.press(*at)
        self.release(*at)

    def press(self, x, y):
        self.mouse("mousePressed", x, y, button="left", buttons=1, clickCount=1)

    def release(self, x, y):
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)
        self.settle()

    def key(self, name, text=None):
        codes = {"Tab": 9, "Enter": 13, "End": 35, "Home": 36, "ArrowUp": 38, "ArrowDown": 40, "PageDown": 34, " ": 32}
        more = {"windowsVirtualKeyCode": codes[name], "key": name, "code": "Space" if name == " " else name}
        text = {"Enter": "\r", " ": " "}.get(name, text)
        self.ask("Input.dispatchKeyEvent", type="keyDown", **more, **({"text": text} if text else {}))
        self.ask("Input.dispatchKeyEvent", type="keyUp", **more)
        self.settle()

    def write(self, text):
        self.ask("Input.insertText", text=text)
        self.settle()

    def picture(self, path, *, whole=False):
        shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def complaints(self):
        """What went to the console, and errors that nobody caught."""
        self.settle()
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"]["exception"].get("description", "?"))
            if event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(params["entry"]["text"])
            if event["method"] == "Runtime.consoleAPICalled":
                found.append(str(params["args"]))
            if event["method"] == "Page.javascriptDialogOpening":
                found.append(f"a dialog: {params['message']}")
        return found

    def requests(self):
        """The addresses that the page asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.browser.events
            if event.get("sessionId") == self.session and event["method"] == "Network.requestWillBeSent"
        ]
