"""A headless Chromium, driven through its DevTools protocol over a pipe: no library, no port, no network."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip


class Browser:
    """One page of a browser.

    messages: what the console and the log said since the last page was opened; requests: addresses asked for.
    """

    def __init__(self, into: int, out: int) -> None:
        self._into, self._out, self._rest, self._number = into, out, b"", 0
        self.messages: list[str] = []
        self.requests: list[str] = []
        self._arrived: set[str] = set()
        self._session = ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def open(self, page: Path, *, width: int = 1280, dark: bool = False, media: str = "", still: bool = False) -> None:
        """Show the file ``page`` and wait until it is there, in full."""
        features = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        told = [{"name": name, "value": value} for name, value in features.items()]
        self.ask("Emulation.setEmulatedMedia", media=media, features=told)
        mobile = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", **mobile)
        self.messages, self.requests, self._arrived = [], [], set()
        self.ask("Page.navigate", url=page.resolve().as_uri())
        while "Page.loadEventFired" not in self._arrived:
            self._read()

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives; the page's own policy does not forbid the tools to ask."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        told = {"Enter": {"text": "\r", "windowsVirtualKeyCode": 13}, "Tab": {"windowsVirtualKeyCode": 9}}
        details = told.get(key, {"windowsVirtualKeyCode": 27})
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, **details)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def click(self, x: float, y: float) -> None:
        """Click into the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, file: Path, *, whole: bool = True) -> None:
        """Keep what is seen as a PNG."""
        made = self.ask(
            "Page.captureScreenshot", captureBeyondViewport=whole, **({"clip": self._all()} if whole else {})
        )
        file.write_bytes(base64.b64decode(made["data"]))

    def _all(self) -> dict[str, float]:
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Carry out a method of the protocol and wait for its answer."""
        self._number += 1
        number, said = self._number, {"id": self._number, "method": method, "params": parameters}
        if self._session:
            said["sessionId"] = self._session
        os.write(self._into, json.dumps(said).encode() + b"\0")
        while True:
            heard = self._read()
            if heard.get("id") == number:
                assert "error" not in heard, heard
                answer: dict[str, Any] = heard["result"]
                return answer

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._out, 1 << 20)
            assert more, "the browser went away"
            self._rest += more
        whole, _, self._rest = self._rest.partition(b"\0")
        heard: dict[str, Any] = json.loads(whole)
        name, told = heard.get("method", ""), heard.get("params", {})
        self._arrived.add(name)
        if name in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.messages.append(json.dumps(told))
        elif name == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        return heard


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own; it is gone afterwards."""
    assert CHROMIUM is not None
    (theirs, into), (out, ours) = os.pipe(), os.pipe()
    # The protocol is read from file descriptor 3 and written to 4.
    command = ["bash", "-c", f'exec "$@" 3<&{theirs} 4>&{ours}', "-", CHROMIUM, *SWITCHES, f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        command, pass_fds=(theirs, ours), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    os.close(theirs)
    os.close(ours)
    try:
        yield Browser(into, out)
    finally:
        os.close(into)
        os.close(out)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
