"""scripts/try_export.py writes images and replaces no file of the user."""

import importlib.util

import pytest

from tests import source_tree
from tests.user_files import unchanged


@pytest.fixture(scope="module")
def write_new():
    path = source_tree.ROOT / "scripts" / "try_export.py"
    spec = importlib.util.spec_from_file_location("try_export", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_new


def test_existing_equal_image_is_accepted(write_new, tmp_path):
    for _ in range(2):
        write_new(str(tmp_path / "0.png"), b"image")
    assert (tmp_path / "0.png").read_bytes() == b"image"


def test_existing_other_file_is_not_replaced(write_new, tmp_path):
    (tmp_path / "0.png").write_text("mine")
    (tmp_path / "1.png").symlink_to("0.png")
    (tmp_path / "2.png").symlink_to("nowhere")
    (tmp_path / "3.png").mkdir()
    with unchanged(tmp_path):
        with pytest.raises(SystemExit, match=r"0\.png exists and is another image. Move it away"):
            write_new(str(tmp_path / "0.png"), b"image")
        for number in (1, 2, 3):
            with pytest.raises(SystemExit, match="exists and is not a regular file. Move it away"):
                write_new(str(tmp_path / f"{number}.png"), b"image")


def test_no_script_removes_a_directory_tree():
    for path in (source_tree.ROOT / "scripts").glob("*.sh"):
        text = path.read_text("utf-8")
        assert "rm -r" not in text, path
