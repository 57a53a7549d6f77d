"""A checkpoint is read as tensors by name: no program that comes with it is run."""

import pytest
import tensorflow as tf

from tests.classifier import originals


class Writer(tf.saved_model.experimental.TrackableResource):
    """A resource that writes a file when the SavedModel that holds it is loaded."""

    def __init__(self, path):
        super().__init__()
        self._path = str(path)

    def _create_resource(self):
        return tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

    @tf.function
    def _initialize(self):
        tf.io.write_file(self._path, "harm done")


@pytest.fixture
def trap(tmp_path):
    """A SavedModel with LeNet's variables, and the file that appears when its program is run."""
    module, sprung = tf.Module(), tmp_path / "sprung"
    module.variables_by_name = {
        name: tf.Variable(value) for name, value in originals.network_values("lenet").items()
    }
    module.harm = Writer(sprung)
    tf.saved_model.save(module, str(tmp_path / "trap"))
    sprung.unlink(missing_ok=True)
    tf.saved_model.load(str(tmp_path / "trap"))
    sprung.unlink()  # it does spring
    return tmp_path / "trap", sprung


def slow(where):
    return pytest.param(where, marks=pytest.mark.slow)


@pytest.mark.parametrize("where", ["", slow("saved_model.pb"), slow("variables/variables")])
def test_a_program_beside_the_weights_is_not_run(train, evaluate, trap, tmp_path, where):
    folder, sprung = trap
    told = train(tmp_path / "run", checkpoint_path=folder / where)
    assert told.code in (1, 2)
    assert len(told.err) == 1
    told = evaluate(folder / where, model_name="lenet", dataset_name="digits")
    assert told.code in (1, 2)
    assert len(told.err) == 1
    assert not sprung.exists()
