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


def logged_images(directory):
    return [
        value.tensor.string_val
        for event in events(directory)
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "images"
    ]


@pytest.mark.slow
def test_a_run_writes_its_images(train, tmp_path):
    flags = {"summarize_images": True, "save_summaries_secs": 600, "mixup_alpha": 0.3}
    assert train(tmp_path / "run", **flags).code == 0
    path = tmp_path / "run" / "images" / "step-1.png"
    grid = PIL.Image.open(path)
    assert grid.mode == "RGB"
    width, height, png = logged_images(tmp_path / "run")[0]
    assert (int(width), int(height)) == grid.size
    assert png == path.read_bytes()
    assert np.asarray(grid).std() > 20
    assert train(tmp_path / "run", **flags, max_number_of_steps=3).code == 0
    assert (tmp_path / "run" / "images" / "step-3.png").exists()


def test_without_summaries_only_the_file_is_written(train, trained, tmp_path):
    assert train(tmp_path / "run", summarize_images=True).code == 0
    assert (tmp_path / "run" / "images" / "step-1.png").exists()
    assert not logged_images(tmp_path / "run")
    assert not (trained / "images").exists()


def test_grids_are_written_at_the_interval(tmp_path):
    now = [0.0]
    batch = {"image": np.zeros([2, 4, 4, 3], np.float32), "label": np.array([0, 1])}
    hook = image_grid.ImageGrid(str(tmp_path), lambda _: batch, (), 10, lambda: now[0])
    run = learning.Run(None, None, 0, 9)
    hook.begin(run)
    for step in range(1, 10):
        run.step, now[0] = step, 4.0 * step
        hook.after_steps(run, {})
    written = {path.name for path in (tmp_path / "images").iterdir()}
    assert written == {"step-1.png", "step-4.png", "step-7.png"}, "none is due at the end"
    assert len(logged_images(tmp_path)) == 3, "written before the run ends"
    hook.end(run)
    assert len(glob.glob(f"{tmp_path}/events*")) == 1


def test_partial_files_of_a_killed_run_are_removed(tmp_path):
    scratch = tmp_path / "images" / ".saving-a_killed"
    scratch.mkdir(parents=True)
    (scratch / "lock").write_text(_paths._LOCK_TEXT)
    (scratch / "step-3.png").write_bytes(b"half")
    batch = {"image": np.zeros([2, 4, 4, 3], np.float32), "label": np.array([0, 1])}
    hook = image_grid.ImageGrid(str(tmp_path), lambda _: batch, (), 0)
    hook.begin(learning.Run(None, None, 2, 9))
    hook.after_steps(learning.Run(None, None, 3, 9), {})
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["step-3.png"]


def test_images_are_drawn_row_by_row():
    values = np.linspace(-1, 1, 9).reshape(9, 1, 1, 1)
    grid = image_grid.draw_grid(values * np.ones([9, 100, 120, 3]), ["a" * 50, *"bcdefgh", "Ω"])
    assert grid.size == (8 * 124 + 4, 2 * 118 + 4)
    for number, value in enumerate(values.ravel()):
        x, y = 4 + number % 8 * 124 + 60, 4 + number // 8 * 118 + 50
        assert abs(grid.getpixel((x, y))[0] - 255 * (value + 1) / 2) <= 1


def test_small_gray_images_are_enlarged():
    grid = image_grid.draw_grid(np.zeros([2, 28, 28, 1]), ["0", "1"])
    assert grid.size == (2 * (28 * 4 + 4) + 4, 28 * 4 + 14 + 4 + 4)
    file = io.BytesIO()
    grid.save(file, "PNG")
    assert PIL.Image.open(file).size == grid.size
