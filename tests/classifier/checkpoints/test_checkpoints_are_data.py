"""Checkpoints are read as tensors by name; code stored with them is not executed."""

import pytest
import tensorflow as tf

from tests.classifier import originals


class Writer(tf.saved_model.experimental.TrackableResource):
    """A resource that writes a file when its SavedModel is loaded."""

    def __init__(self, path):
        super().__init__()
        self._path = str(path)

    def _create_resource(self):
        return tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

    @tf.function
    def _initialize(self):
        tf.io.write_file(self._path, "executed")


@pytest.fixture
def trap(tmp_path):
    """A SavedModel with LeNet's variables, and the file written when its code is executed."""
    module, evidence = tf.Module(), tmp_path / "evidence"
    module.variables_by_name = {
        name: tf.Variable(value) for name, value in originals.network_values("lenet").items()
    }
    module.writer = Writer(evidence)
    tf.saved_model.save(module, str(tmp_path / "trap"))
    evidence.unlink(missing_ok=True)
    tf.saved_model.load(str(tmp_path / "trap"))
    evidence.unlink()  # loading does write it
    return tmp_path / "trap", evidence


def slow(path):
    return pytest.param(path, marks=pytest.mark.slow)


@pytest.mark.parametrize("path", ["", slow("saved_model.pb"), slow("variables/variables")])
def test_code_stored_with_the_weights_is_not_executed(train, evaluate, trap, tmp_path, path):
    saved_model, evidence = trap
    for result in (
        train(tmp_path / "run", checkpoint_path=saved_model / path),
        evaluate(saved_model / path, model_name="lenet", dataset_name="digits"),
    ):
        assert result.code in (1, 2)
        assert len(result.err) == 1
    assert not evidence.exists()
