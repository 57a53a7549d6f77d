"""The page in a browser."""

import base64

import pytest

from tests import browser
from tests.classifier.serving import servers
from tests.classifier.serving.servers import png

pytestmark = pytest.mark.slow

# Drops a file on the page, as a mouse does.
DROP = """
const bytes = Uint8Array.from(atob(arguments[0]), (each) => each.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], "a.png", {type: "image/png"}));
document.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, cancelable: true}));
"""
# Chooses a file, as the file dialog does.
CHOOSE = """
const bytes = Uint8Array.from(atob(arguments[0]), (each) => each.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], "a.png", {type: "image/png"}));
const input = document.getElementById(arguments[1]);
input.files = transfer.files;
input.dispatchEvent(new Event("change"));
"""
ANSWERED = """
const done = arguments[0], answer = document.getElementById("answer");
const isDone = () => answer.getAttribute("aria-busy") === "false";
const wait = () => isDone() ? done(true) : setTimeout(wait, 20);
setTimeout(wait, 50);
"""
ROWS = (
    "return [...document.querySelectorAll('#classes li')].map((row) =>"
    " [row.querySelector('.name').textContent, row.querySelector('progress').value])"
)
MESSAGE = "return document.getElementById('message').textContent"


@pytest.fixture(scope="module")
def chromium():
    with browser.start() as started:
        yield started


@pytest.fixture(scope="module")
def client(lenet_run):
    with servers.running(servers.load(lenet_run)) as started:
        yield started


def give(chromium, content, script=DROP, *arguments):
    """Gives the page an image, and waits for the answer."""
    chromium.run(script, base64.b64encode(content).decode(), *arguments)
    assert chromium.wait_for(ANSWERED)


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_answers_and_is_quiet_accessible_and_fits(chromium, client, width, dark, tmp_path):
    address = f"http://127.0.0.1:{client.port}/"
    chromium.open_address(address, width, dark=dark)
    assert chromium.accessibility_violations() == []
    chromium.screenshot(tmp_path / "empty.png")
    give(chromium, png(1, 300))
    expected = client.predict(png(1, 300), ":classify", headers={"Content-Type": "image/png"})[1]
    assert chromium.run(ROWS) == expected["results"][0]
    assert chromium.accessibility_violations() == []
    assert chromium.run("return document.documentElement.scrollWidth") == width
    assert chromium.run("return document.getElementById('image').naturalWidth") == 300
    chromium.screenshot(tmp_path / "answer.png")
    outside = [
        each for each in chromium.requests()
        if not each.startswith((address, "data:", "blob:" + address))
    ]  # fmt: skip
    assert outside == []
    assert chromium.log("browser") == []
    color = chromium.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, color[4:-1].split(","))) < 384) == dark


@pytest.mark.parametrize("field", ["file", "photo"])
def test_a_chosen_file_is_classified(chromium, client, field):
    chromium.open_address(f"http://127.0.0.1:{client.port}/")
    for number in (2, 3):
        give(chromium, png(number), CHOOSE, field)
        headers = {"Content-Type": "image/png"}
        expected = client.predict(png(number), ":classify", headers=headers)[1]["results"][0]
        assert chromium.run(ROWS) == expected


def test_a_bad_file_is_a_message(chromium, client):
    chromium.open_address(f"http://127.0.0.1:{client.port}/")
    give(chromium, b"no image")
    assert chromium.run(MESSAGE) == "The file is not a JPEG, PNG, GIF, BMP or WebP image"
    assert chromium.run("return document.getElementById('image').hidden")
    assert not chromium.run("return document.getElementById('hint').hidden")
    assert chromium.run(ROWS) == []
    give(chromium, png(4))
    assert len(chromium.run(ROWS)) == 5


def test_a_server_that_is_gone_is_a_message(chromium, lenet_run):
    with servers.running(servers.load(lenet_run)) as client:
        chromium.open_address(f"http://127.0.0.1:{client.port}/")
    give(chromium, png(5))
    assert chromium.run(MESSAGE) == "The server does not answer."
