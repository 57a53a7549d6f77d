"""Wrong features of a record, compared with TensorFlow's parser."""

import pytest
import tensorflow as tf

from slim.data import feature_checks

KEY = "image/class/label"
ONE, TEXT = tf.io.FixedLenFeature([], tf.int64), tf.io.FixedLenFeature([], tf.string, "")
SEVERAL = tf.io.VarLenFeature(tf.int64)
FEATURES = {
    "int64": tf.train.Feature(int64_list=tf.train.Int64List(value=[7])),
    "two": tf.train.Feature(int64_list=tf.train.Int64List(value=[3, 4])),
    "string": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"cat"])),
    "float": tf.train.Feature(float_list=tf.train.FloatList(value=[2.0])),
    "empty": tf.train.Feature(int64_list=tf.train.Int64List()),
    "empty float": tf.train.Feature(float_list=tf.train.FloatList()),
    "nothing": tf.train.Feature(),
}
PROBLEMS = {
    "two": "2 values of type int64 (3, 4); expected: one of type int64",
    "string": "1 value of type string (b'cat'); expected: one of type int64",
    "float": "1 value of type float (2.0); expected: one of type int64",
    "empty": "no value; expected: one of type int64",
    "nothing": "no value; expected: one of type int64",
}


@pytest.mark.parametrize("expected", [ONE, TEXT, SEVERAL], ids=["one", "default", "several"])
@pytest.mark.parametrize("name", [*FEATURES, "missing"])
def test_a_problem_is_reported_if_tensorflow_cannot_parse_the_record(name, expected):
    example = tf.train.Example()
    if name != "missing":
        example.features.feature[KEY].CopyFrom(FEATURES[name])
    problem = feature_checks.find_problem(example, {KEY: expected})
    try:
        tf.io.parse_single_example(example.SerializeToString(), {KEY: expected})
    except tf.errors.InvalidArgumentError:
        assert problem is not None
    else:
        assert problem is None
    if expected is ONE and name in PROBLEMS:
        assert problem == f"has the feature {KEY!r} with {PROBLEMS[name]}"
    if expected is ONE and name == "missing":
        assert problem == f"has no feature {KEY!r}; it has: none"
        assert not example.features.feature, "no key was added"


def test_long_and_many_values_are_shortened():
    example = tf.train.Example()
    example.features.feature[KEY].int64_list.value.extend(range(9))
    assert "(0, 1, 2, 3, 4, ... (4 more))" in feature_checks.find_problem(example, {KEY: ONE})
    example.features.feature[KEY].bytes_list.value.append(b"x" * 1000)
    assert len(feature_checks.find_problem(example, {KEY: ONE})) < 200


def test_features_of_another_shape_are_not_checked():
    boxes = tf.io.FixedLenFeature([4], tf.float32)
    assert feature_checks.find_problem(tf.train.Example(), {KEY: boxes}) is None
