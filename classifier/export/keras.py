"""Export to Keras: a complete model, and the weights under slim's names."""

import os
import warnings
from typing import Any

import tensorflow as tf

import slim
from classifier.checkpoints import keras_weights
from classifier.export import checks, folding, keras_graph, usage
from classifier.export.job import Job
from classifier.inference.model import InferenceModel
from slim import _paths


def write_model(job: Job) -> checks.Exported:
    """Writes `MODEL.keras`: a functional model of Keras layers, from `images` to logits.

    Args:
      job: checkpoint and options.

    Raises:
      RunError: if its logits differ from the checkpoint's.
    """
    trial = job.trial(job.batch_size)
    path = job.target("keras")
    with _paths.scratch_directory(str(job.options.output_dir)) as scratch:
        temporary = os.path.join(scratch, os.path.basename(path))
        model = functional(job.classifier, trial.spec)
        with _paths.named_in_errors(path), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Keras uses NumPy's old copy
            model.save(temporary)
        loaded = tf.keras.models.load_model(temporary, compile=False)
        comparison = checks.compare(job.classifier, lambda x: loaded(x, training=False), trial)
        checks.check(comparison, job.classifier)
        _paths.flush_to_disk(temporary)
        os.replace(temporary, path)
    count = sum(len(layer.weights) > 0 for layer in loaded.layers)
    shape = usage.shape_text(trial.spec)
    print(f"{path}: input images float32 {shape}, output logits, {count} layers with weights")
    text = usage.image_model("keras", job.classifier, path, job.batch_size)
    return checks.Exported(path, comparison, text)


def functional(classifier: InferenceModel, spec: tf.TensorSpec) -> Any:
    """Returns a checkpoint as a Keras model.

    Args:
      classifier: model of the checkpoint.
      spec: shape and dtype of a batch of preprocessed images.
    """
    values = classifier.values()
    graph, store = tf.Graph(), slim.FrozenStore(values)
    with graph.as_default():
        images = tf.raw_ops.Placeholder(dtype=spec.dtype, shape=spec.shape, name="images")
        with store.as_default():
            logits, _ = classifier.network(images)
    output = logits.op.name
    pruned = folding.pruned(graph.as_graph_def(), [output])
    translation = keras_graph.Translation(pruned, values, output)
    return translation.model(classifier.info.model_name)


def write_weights(job: Job) -> checks.Exported:
    """Writes `MODEL.weights.h5`, which `python -m classifier.checkpoints convert` can read.

    Args:
      job: checkpoint and options.

    Raises:
      RunError: if its logits differ from the checkpoint's.
    """
    classifier = job.classifier
    trial = job.trial(job.batch_size)
    path = job.target("weights_h5")
    with _paths.scratch_directory(str(job.options.output_dir)) as scratch:
        temporary = os.path.join(scratch, os.path.basename(path))
        keras_weights.save(temporary, classifier.values())
        file = keras_weights.WeightsFile(temporary)
        store = slim.VariableStore(seed=0)
        store.build(classifier.network, trial.spec)
        for name, variable in store.named_variables.items():
            variable.assign(file.get(name))

        @tf.function(autograph=False, input_signature=[trial.spec])
        def call(images: tf.Tensor) -> tf.Tensor:
            with store.as_default():
                return classifier.network(images)[0]

        comparison = checks.check(checks.compare(classifier, call, trial), classifier)
        os.replace(temporary, path)
    print(f"{path}: {len(file.variables())} variables")
    return checks.Exported(path, comparison, usage.weights(path))
