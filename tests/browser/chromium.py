"""Headless Chromium, over a pair of pipes: https://chromedevtools.github.io/devtools-protocol/."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

START_SECONDS, WAIT_SECONDS = 60, 30

HOSTNAME = "registry.example.com"

KEYS = {"Tab": 9, "Enter": 13}
"""Keys by their codes: https://www.w3.org/TR/uievents/#fixed-virtual-key-codes"""


class Chromium:
    """A browser with one window.

    Args:
        folder: Where it keeps what it has to; the path of a socket has at most 107 characters.
        user: Whom it logs in as, where it is asked.
        place: Where :data:`HOSTNAME` is.

    Attributes:
        problems: What pages have complained of: errors, and violations of their policy.
        requests: The URLs that were asked for.
    """

    def __init__(self, folder: Path, user: str, password: str, place: str) -> None:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        self._login = {"response": "ProvideCredentials", "username": user, "password": password}
        self._number, self._rest = 0, b""
        self._session: dict[str, str] = {}
        self.problems: list[str] = []
        self.requests: list[str] = []
        # As root it runs without its own sandbox only; it sees nothing but this test's servers.
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        options += [f"--host-resolver-rules=MAP {HOSTNAME}:80 {place}"]
        options += ["--remote-debugging-pipe", f"--user-data-dir={folder}", "--lang=en-US"]
        # The protocol's pipes are 3 and 4.
        script = f'exec chromium "$@" 3<&{to_browser} 4>&{from_browser}'
        with (folder / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", script, "chromium", *options],
                pass_fds=(to_browser, from_browser),
                stdout=log,
                stderr=log,
                env=os.environ | {"HOME": str(folder), "TMPDIR": str(folder), "TZ": "UTC"},
            )
        os.close(to_browser)
        os.close(from_browser)
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.send(f"{domain}.enable")
        self.send("Fetch.enable", handleAuthRequests=True)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        number = self._post(method, parameters)
        while True:
            message = self._receive()
            if message.get("id") == number:
                assert "error" not in message, (method, message["error"])
                result: dict[str, Any] = message["result"]
                return result

    def _post(self, method: str, parameters: dict[str, Any]) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return self._number

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._read, 2**16)
            assert read, "the browser has ended"
            self._rest += read
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, of: dict[str, Any]) -> None:
        match event:
            case "Fetch.requestPaused":
                self.requests.append(of["request"]["url"])
                self._post("Fetch.continueRequest", {"requestId": of["requestId"]})
            case "Fetch.authRequired":
                answer = {"authChallengeResponse": self._login, "requestId": of["requestId"]}
                self._post("Fetch.continueWithAuth", answer)
            case "Runtime.exceptionThrown":
                self.problems.append(str(of["exceptionDetails"]))
            case "Log.entryAdded" if of["entry"]["level"] in {"error", "warning"}:
                self.problems.append(f"{of['entry']['text']} {of['entry'].get('url', '')}")
            case "Page.javascriptDialogOpening":
                self.problems.append(f"a script has run: {of}")
                self._post("Page.handleJavaScriptDialog", {"accept": True})

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript, whose promise is waited for."""
        result = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Return the value of an expression once it is true."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, (expression, self.text(), self.problems)
            time.sleep(0.05)
        return value

    def open(self, url: str) -> None:
        """Go to an address."""
        self.send("Page.navigate", url=url)

    def text(self) -> str:
        """Return what the page shows."""
        return str(self.evaluate("document.body.innerText"))

    def press(self, key: str, shift: bool = False) -> None:
        """Press a key."""
        more = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        more |= {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, modifiers=8 * shift, **more)

    def write(self, text: str) -> None:
        """Write a text where the focus is."""
        self.send("Input.insertText", text=text)

    def look(self, width: int, height: int, scheme: str = "light", scale: float = 1) -> None:
        """Have a screen of a size, in a color scheme."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path: Path) -> None:
        """Write what is on the screen to a file."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))
