"""Messages name optional packages directly: `slim` on the index is another project."""

import re
import tomllib

from classifier.config.formats import FORMATS
from classifier.config.serving import PACKAGES
from datasets import dataset_factory
from tests import source_tree


def test_messages_name_the_packages_of_their_extra():
    project = tomllib.loads((source_tree.ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    named = {
        "onnx": FORMATS["onnx"].packages.values(),
        "openvino": FORMATS["openvino"].packages.values(),
        "litert": FORMATS["tflite"].packages.values(),
        "serve": PACKAGES.values(),
        "tfds": dataset_factory._TFDS_PACKAGES.values(),
    }
    for extra, packages in named.items():
        assert set(packages) <= {re.split("[<>=]", each)[0] for each in extras[extra]}


def test_no_page_or_message_names_the_internal_package():
    pages = (*source_tree.ROOT.glob("docs/*.md"), source_tree.ROOT / "README.md")
    texts = (*pages, *source_tree.files())
    assert not [path for path in texts if "slim[" in path.read_text(encoding="utf-8")]
