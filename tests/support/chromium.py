"""A headless Chromium, driven over its DevTools protocol by the websocket client of aiohttp, which Faust brings."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import aiohttp
import pytest

from support.waiting import wait_until

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), "ArrowRight": (39, ""), "ArrowLeft": (37, ""), "Escape": (27, "")}


class Tab:
    """One tab. Every call waits for its answer; a script that throws is an AssertionError."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._loop, self._socket = loop, socket
        self._number = 0
        self.console: list[str] = []
        """Errors and warnings that the page's scripts caused, among them refusals of its security policy."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self._loop.run_until_complete(asyncio.wait_for(self._call(method, params), 30))

    async def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            told = json.loads(await self._socket.receive_str())
            if told.get("id") == self._number:
                assert "error" not in told, told["error"]
                return dict(told["result"])
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        params = told.get("params", {})
        match told.get("method"):
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.console.append(details.get("exception", {}).get("description") or details["text"])
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.console.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.console.append(str([one.get("value") for one in params["args"]]))

    def open(self, url: str) -> Self:
        self.call("Page.navigate", url=url)
        return self

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript, which may be a promise."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector: str = "main") -> str:
        return str(self.run(f"(document.querySelector({json.dumps(selector)}) || {{}}).innerText || ''"))

    def wait_for(self, condition: str, seconds: float = 20) -> None:
        """Waits until an expression is true."""

        def details() -> str:
            return f"{self.run('location.href')}\n{self.text('body')[:2000]}\n{self.console}"

        wait_until(lambda: self.run(f"Boolean({condition})"), condition, seconds=seconds, details=details)

    def press(self, key: str) -> None:
        code, text = _KEYS.get(key, (ord(key[0].upper()), key))
        event = {"key": key, "windowsVirtualKeyCode": code, "text": text} if text else {
            "key": key, "windowsVirtualKeyCode": code
        }  # fmt: skip
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def size(self, width: int, height: int, *, dark: bool = False, phone: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)

    def picture(self, file: Path, *, whole: bool = True) -> None:
        """Saves a PNG of the page, or of its window."""
        self.call("Page.bringToFront")
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def chromium() -> Iterator[Tab]:
    """A tab of a browser of its own, which ends with the block. Skips the test if Chromium is not installed."""
    if PROGRAM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with TemporaryDirectory(prefix="rewardstream-chromium-") as profile:
        browser = subprocess.Popen(
            [PROGRAM, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        loop = asyncio.new_event_loop()
        try:
            port_file = Path(profile) / "DevToolsActivePort"
            wait_until(lambda: port_file.is_file() and "\n" in port_file.read_text(), "the browser's port", seconds=60)
            port = port_file.read_text().split("\n", 1)[0]
            session = loop.run_until_complete(_session())
            socket = loop.run_until_complete(_tab(session, f"http://127.0.0.1:{port}"))
            yield Tab(loop, socket)
            loop.run_until_complete(session.close())
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
            loop.close()


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


async def _tab(session: aiohttp.ClientSession, browser: str) -> aiohttp.ClientWebSocketResponse:
    async with session.get(f"{browser}/json/list") as answer:
        tabs = await answer.json()
    url = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
    return await session.ws_connect(url, max_msg_size=256 * 2**20)
