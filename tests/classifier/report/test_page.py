"""The page as text: what it contains, and what it must not contain."""

import base64
import html.parser
import io
import json
import re

import numpy as np
import PIL.Image
import pytest

from classifier.report import render, thumbnails, write_report
from classifier.report.templates import Html, fill_each
from slim._checks import UserError
from tests.classifier.report import evaluations

ATTACK = "<script>alert('x')</script>\"&\u202e\x07</td>"

UPRIGHT = thumbnails.decoder("upright")


class Elements(html.parser.HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.ids, self.sources, self.scripts = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, text):
        if self.tags and self.tags[-1] == "script":
            self.scripts[-1] += text


@pytest.fixture(scope="module")
def page():
    return render(evaluations.complete())


def test_a_complete_page_has_all_sections_and_refers_to_nothing_else(page):
    elements = Elements(page)
    anchors = "summary curves confusion classes calibration mistakes doubtful label-errors"
    assert [each for each in elements.ids if each in anchors.split()] == anchors.split()
    assert {"duplicates", "balance", "configuration"} <= set(elements.ids)
    assert len(elements.ids) == len(set(elements.ids))
    assert all(each.startswith(("data:", "#")) for each in elements.sources)
    assert {each[1:] for each in elements.sources if each[0] == "#"} <= set(elements.ids)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"base64,[^\"]*", "", page))


def test_the_numbers_of_the_page_are_those_of_the_outcomes(page):
    outcomes = evaluations.complete().outcomes
    accuracy = outcomes.is_correct.mean()
    assert f'<dt>Accuracy</dt><dd class="value">{accuracy:.1%}</dd>' in page
    loss = -np.log(outcomes.label_probabilities).mean()
    assert f'<dt>Loss</dt><dd class="value">{loss:.3f}</dd>' in page
    top = np.mean(
        [label in row for label, row in zip(outcomes.labels, outcomes.classes, strict=True)]
    )
    assert f'<dt>Top-5 accuracy</dt><dd class="value">{top:.1%}</dd>' in page


def test_cells_list_their_images(page):
    outcomes = evaluations.complete().outcomes
    values = json.loads(Elements(page).scripts[0])
    for place, images in values["cells"].items():
        row, column = map(int, place.split(","))
        assert (outcomes.labels[images] == row).all()
        assert (outcomes.predicted[images] == column).all()
    mistakes = [image for place, images in values["cells"].items() for image in images]
    assert set(np.flatnonzero(~outcomes.is_correct)) <= set(mistakes)
    name, label, predicted, confidence, is_hit = values["images"]["5"]
    assert name == "shard 0, record 5"
    assert label == f"class {outcomes.labels[5]}"
    assert predicted == f"class {outcomes.predicted[5]}"
    assert confidence == pytest.approx(outcomes.confidences[5], abs=1e-4)
    assert is_hit == outcomes.is_correct[5]


def test_the_same_data_results_in_the_same_page(page):
    assert render(evaluations.complete()) == page


def test_text_from_data_is_escaped():
    answers = evaluations.random(60, 3)
    answers = type(answers)(**(vars(answers) | {"filenames": [ATTACK + "\udcff"] * 60}))
    data = evaluations.report_data(
        answers,
        [ATTACK, "b", "c"],
        dataset=ATTACK,
        split=ATTACK,
        checkpoint=ATTACK,
        config={"options": {ATTACK: ATTACK}},
        image_bytes=None,
    )
    page = render(data)
    elements = Elements(page)
    assert elements.tags.count("script") == 2
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "\x07" not in page
    assert json.loads(elements.scripts[0])["images"]
    page.encode()  # also names that are not valid Unicode


@pytest.mark.parametrize("limit", [0, 5, 60])
def test_thumbnails_are_limited(limit):
    page = render(evaluations.complete(thumbnails=limit, other=None))
    thumbnails = set(re.findall(r"data:image/webp;base64,[^\"]+", page))
    assert len(thumbnails) == limit


@pytest.mark.parametrize("num_classes", [2, 10, 1001])
def test_a_page_of_1000_images_has_at_most_2_mb(num_classes, monkeypatch):
    noise = thumbnails.data_uri(_noise(), UPRIGHT)
    assert len(noise) <= 4 * thumbnails.MAX_BYTES / 3 + 40
    monkeypatch.setattr(thumbnails, "data_uri", lambda *_: noise)
    page = render(evaluations.complete(1000, num_classes, image_bytes=lambda *_: b""))
    assert 200_000 < len(page.encode()) < 2_000_000


def _noise(side=300):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("num_images, num_classes", [(1, 1), (1, 2), (3, 2000), (40, 60)])
def test_few_images_and_no_run_make_a_page(num_images, num_classes):
    page = render(
        evaluations.report_data(
            evaluations.random(num_images, num_classes),
            [str(i) for i in range(num_classes)],
            metrics=[],
            config=None,
            step=None,
            image_bytes=None,
        )
    )
    assert "curves" not in Elements(page).ids
    assert "NaN" not in page.replace("isNaN", "")
    assert ">nan" not in page


def test_a_perfect_model_has_no_mistakes():
    answers = evaluations.outcomes([0, 1, 2], np.eye(3))
    ids = Elements(render(evaluations.report_data(answers, ["a", "b", "c"]))).ids
    assert "doubtful" in ids
    assert not {"mistakes", "label-errors"} & set(ids)


@pytest.mark.parametrize("mode, format", [
    ("L", "PNG"), ("I;16", "PNG"), ("RGBA", "PNG"), ("LA", "PNG"), ("P", "GIF"), ("1", "BMP"),
    ("CMYK", "JPEG"),
])  # fmt: skip
def test_thumbnails_of_all_kinds_of_images(mode, format):
    buffer = io.BytesIO()
    if mode == "I;16":
        image = PIL.Image.fromarray(np.full([300, 200], 257 * 255, np.uint16))
    elif mode in ("RGBA", "LA"):
        image = PIL.Image.new(mode, (200, 300), 0)  # transparent black
    else:
        image = PIL.Image.new("RGB", (200, 300), "white").convert(mode)
    image.save(buffer, format)
    thumbnail = _decoded(thumbnails.data_uri(buffer.getvalue(), UPRIGHT))
    assert thumbnail.size == (75, 112)
    assert np.asarray(thumbnail).min() >= 250


@pytest.mark.parametrize("decoding, size", [("upright", (32, 64)), ("tf_slim", (64, 32))])
def test_thumbnails_show_what_the_model_saw(decoding, size):
    image = PIL.Image.new("RGB", (64, 32), "black")
    exif = image.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    assert (
        _decoded(thumbnails.data_uri(buffer.getvalue(), thumbnails.decoder(decoding))).size == size
    )


def _decoded(uri):
    return PIL.Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_an_image_that_cannot_be_decoded_has_no_thumbnail():
    assert thumbnails.data_uri(b"\xff\xd8\xff nothing", UPRIGHT) is None
    assert thumbnails.data_uri(evaluations.jpeg(0, 0)[:200], UPRIGHT) is None
    page = render(evaluations.complete(image_bytes=lambda *_: b"bad", other=None))
    assert "no preview" in page


def test_the_file_is_replaced(tmp_path, page):
    (tmp_path / "index.html").write_text("earlier")
    assert write_report(str(tmp_path), evaluations.complete()) == str(tmp_path / "index.html")
    assert (tmp_path / "index.html").read_text("utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"outcomes": evaluations.outcomes(np.zeros(0, int), np.zeros([0, 2]))}, "at least one"),
        ({"class_names": ["a"]}, r"class_names has 1 names, but class 9 occurs"),
        ({"features": np.zeros([3, 2])}, r"features has 3 rows, but there are 200 images"),
        ({"features": None}, "near-duplicates need the features of both splits"),
    ],
)
def test_data_that_does_not_match_is_rejected(changes, message):
    with pytest.raises(UserError, match=message):
        evaluations.complete(**changes)


def test_only_html_is_filled_in_as_it_is():
    filled = fill_each("remark.html", [{"text": "<b>"}, {"text": Html("<b>")}])
    assert filled == "<li>&lt;b&gt;</li><li><b></li>"
