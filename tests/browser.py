"""Headless Chromium by its WebDriver, and the accessibility checks of axe-core.

See https://www.w3.org/TR/webdriver2. Debian's packages are chromium and chromium-driver; axe-core
is a package of npm.
"""

import base64
import contextlib
import json
import pathlib
import shutil
import subprocess
import urllib.request

import pytest

from tests import source_tree

_OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
    *("--disable-dev-shm-usage", "--force-color-profile=srgb"),
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """A browser.

    Args:
      address: of its driver.
    """

    def __init__(self, address):
        self._address = address
        capabilities = {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "goog:chromeOptions": {"args": list(_OPTIONS), "binary": shutil.which("chromium")},
        }
        self._session = "session"
        started = self._post("", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"session/{started['sessionId']}"

    def _post(self, command, values):
        return self._send(command, "POST", json.dumps(values).encode())

    def _send(self, command, method, body=None):
        address = f"{self._address}/{self._session}{command}"
        request = urllib.request.Request(address, body, {}, method=method)
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)["value"]

    def open(self, path, width=1440, height=900, dark=False):
        """Opens a file in a window of this size; the logs start over."""
        self.open_address(pathlib.Path(path).absolute().as_uri(), width, height, dark)

    def open_address(self, address, width=1440, height=900, dark=False):
        """Opens a page in a window of this size; the logs start over."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=False)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])
        self.log("browser"), self.log("performance")
        self._post("/url", {"url": address})

    def devtools(self, command, **parameters):
        """Returns the result of a command of the DevTools protocol."""
        return self._post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script, *arguments):
        """Returns the result of the body of a function in the page."""
        return self._post("/execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, script, *arguments):
        """Returns the result of a function that calls its last argument."""
        return self._post("/execute/async", {"script": script, "args": list(arguments)})

    def press(self, key):
        """Presses a key where the focus is; see the codes in WebDriver's section on keys."""
        active = self._send("/element/active", "GET")[_ELEMENT]
        self._post(f"/element/{active}/value", {"text": key})

    def log(self, kind):
        """Returns the entries since the last call."""
        return self._post("/se/log", {"type": kind})

    def requests(self):
        """Returns the addresses that the browser requested."""
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [
            each["params"]["request"]["url"]
            for each in messages
            if each["method"] == "Network.requestWillBeSent"
        ]

    def screenshot(self, path, full=True):
        """Writes an image of the page, or of its visible part."""
        shot = self.devtools(
            "Page.captureScreenshot", captureBeyondViewport=full, **self._clip(full)
        )
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def _clip(self, full):
        if not full:
            return {}
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "scale": 1, **{s: size[s] for s in ("width", "height")}}}

    def accessibility_violations(self):
        """Returns the serious violations that axe-core finds, as rule and elements."""
        self.run(axe_core())
        result = self.wait_for("axe.run(document).then(arguments[0])")
        return [
            (each["id"], [node["target"] for node in each["nodes"]][:5])
            for each in result["violations"]
            if each["impact"] in ("serious", "critical")
        ]

    def close(self):
        """Ends the browser."""
        self._send("", "DELETE")


@contextlib.contextmanager
def start():
    """Starts a browser; skips the test where it is not installed."""
    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("chromium") is None:
        pytest.skip("needs Chromium: apt-get install chromium chromium-driver")
    process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        lines = (line for line in process.stdout if "successfully on port" in line)
        port = next(lines).rpartition(" ")[2].strip().rstrip(".")
        browser = Browser(f"http://127.0.0.1:{port}")
        try:
            yield browser
        finally:
            browser.close()
    finally:
        process.terminate()
        process.communicate()


def axe_core():
    """Returns the source of axe-core; skips the test where it is not installed."""
    path = source_tree.ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        pytest.skip("needs axe-core: npm install --no-save --no-package-lock axe-core")
    return path.read_text(encoding="utf-8")
