"""--summarize_images: the training images of a run, as a PNG file and for TensorBoard."""

import glob
import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from classifier.training.hooks import image_grid
from slim import _paths, learning


def events(directory):
    for path in glob.glob(f"{directory}/events*"):
        for record in tf.data.TFRecordDataset(path):
            yield tf.compat.v1.Event.FromString(record.numpy())


def pictures(directory):
    return [
        value.tensor.string_val
        for event in events(directory)
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "images"
    ]


@pytest.mark.slow
def test_a_run_shows_its_images(train, tmp_path):
    given = {"summarize_images": True, "save_summaries_secs": 600, "mixup_alpha": 0.3}
    assert train(tmp_path / "run", **given).code == 0
    path = tmp_path / "run" / "images" / "step-0.png"
    sheet = PIL.Image.open(path)
    assert sheet.mode == "RGB"
    width, height, png = pictures(tmp_path / "run")[0]
    assert (int(width), int(height)) == sheet.size
    assert png == path.read_bytes()
    assert np.asarray(sheet).std() > 20
    assert train(tmp_path / "run", **given, max_number_of_steps=3).code == 0
    assert (tmp_path / "run" / "images" / "step-2.png").exists()


def test_without_summaries_there_is_the_file_alone(train, tmp_path):
    assert train(tmp_path / "run", summarize_images=True).code == 0
    assert (tmp_path / "run" / "images" / "step-0.png").exists()
    assert not pictures(tmp_path / "run")
    assert train(tmp_path / "other").code == 0
    assert not (tmp_path / "other" / "images").exists()


def test_sheets_are_written_every_so_many_seconds(tmp_path):
    now = [0.0]
    batch = {"image": np.zeros([2, 4, 4, 3], np.float32), "label": np.array([0, 1])}
    hook = image_grid.ContactSheet(str(tmp_path), lambda _: batch, (), 10, lambda: now[0])
    run = learning.Run(None, None, 0, 9)
    hook.begin(run)
    for step in range(1, 10):
        run.step, now[0] = step, 4.0 * step
        hook.after_steps(run, {})
    written = {path.name for path in (tmp_path / "images").iterdir()}
    assert written == {"step-0.png", "step-3.png", "step-6.png"}, "none is due at the end"
    assert len(pictures(tmp_path)) == 3, "they are there while the run is on"
    hook.end(run)
    assert len(glob.glob(f"{tmp_path}/events*")) == 1


def test_what_a_killed_run_left_half_written_is_swept(tmp_path):
    left = tmp_path / "images" / ".saving-a_killed"
    left.mkdir(parents=True)
    (left / "lock").write_text(_paths._LOCK_TEXT)
    (left / "step-3.png").write_bytes(b"half")
    batch = {"image": np.zeros([2, 4, 4, 3], np.float32), "label": np.array([0, 1])}
    hook = image_grid.ContactSheet(str(tmp_path), lambda _: batch, (), 0)
    hook.begin(learning.Run(None, None, 3, 9))
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["step-3.png"]


def test_images_stand_where_they_belong():
    values = np.linspace(-1, 1, 9).reshape(9, 1, 1, 1)
    sheet = image_grid.contact_sheet(
        values * np.ones([9, 100, 120, 3]), ["a" * 50, *"bcdefgh", "Ω"]
    )
    assert sheet.size == (8 * 124 + 4, 2 * 118 + 4)
    for number, value in enumerate(values.ravel()):
        x, y = 4 + number % 8 * 124 + 60, 4 + number // 8 * 118 + 50
        assert abs(sheet.getpixel((x, y))[0] - 255 * (value + 1) / 2) <= 1


def test_small_gray_images_are_enlarged():
    sheet = image_grid.contact_sheet(np.zeros([2, 28, 28, 1]), ["0", "1"])
    assert sheet.size == (2 * (28 * 4 + 4) + 4, 28 * 4 + 14 + 4 + 4)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    assert PIL.Image.open(file).size == sheet.size
