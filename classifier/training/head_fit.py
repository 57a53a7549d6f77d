"""The first stage of `--finetune=auto`: a head for the features of the frozen network.

The features are computed once per image and kept in the run's directory; the head is then a
multinomial logistic regression, which takes seconds.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Sequence

import numpy as np

import slim
from classifier import inputs
from classifier.inference import dataset_features
from classifier.inference.model import InferenceModel
from classifier.resolve.training import ResolvedRun
from nets.nets_factory import NETWORKS
from slim import _files, _paths, checkpoints
from slim.data.dataset import Dataset

FILE = "frozen_features.npz"
MAX_IMAGES = 20_000
_STEPS, _BATCH, _RATE = 600, 1024, 0.02


class HeadFit:
    """Fits the head of a network once, and assigns it to as many copies as needed.

    Args:
      resolved: the run.
      dataset: the split to train on.
    """

    def __init__(self, resolved: ResolvedRun, dataset: Dataset) -> None:
        self._resolved = resolved
        self._dataset = dataset
        self._head: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, store: slim.VariableStore) -> str:
        """Assigns the fitted head to the network in the store, and returns a line for the log.

        Args:
          store: the network, with the restored weights in all other layers.
        """
        spec = NETWORKS[self._resolved.model.model_name]
        variables = store.named_variables
        kernel, bias = (variables[f"{layer_of(variables, spec.heads[0])}/{end}"] for end in _ENDS)
        if self._head is None:
            features, labels = self._features(store)
            self._head = fit(
                features,
                labels,
                self._resolved.model.num_classes,
                self._image_weights(labels),
                self._resolved.config.run.seed,
            )
            weights, offsets = self._head
            accuracy = np.mean((features @ weights + offsets).argmax(axis=1) == labels)
            self._line = (
                f"head: fitted to the features of {len(labels)} images,"
                f" accuracy on them {accuracy:.3f}"
            )
        weights, offsets = self._head
        kernel.assign(weights.reshape(kernel.shape))
        bias.assign(offsets)
        return self._line

    def _image_weights(self, labels: np.ndarray) -> np.ndarray:
        weights = np.asarray(self._resolved.class_weights or [1.0] * (labels.max() + 1))
        if self._resolved.config.data.balanced_sampling:
            weights = 1.0 / np.maximum(np.bincount(labels, minlength=labels.max() + 1), 1)
        image_weights = weights[labels]
        return image_weights / image_weights.mean()

    def _features(self, store: slim.VariableStore) -> tuple[np.ndarray, np.ndarray]:
        """Returns float32 [images, channels] and int64 [images], from the cache if it fits."""
        path = os.path.join(self._resolved.config.run.train_dir, FILE)
        key = self._key(store)
        cached = read_features(path, key)
        if cached is not None:
            return cached
        classifier = InferenceModel(self._resolved.model, _StoreSource(store), use_averages=False)
        is_skipping = self._resolved.config.bad_images.is_skipping
        skipped = inputs.BadImages() if is_skipping else None
        batches, count = [], 0
        for batch in dataset_features.read(
            classifier, self._dataset, self._resolved.config.data.batch_size, skipped
        ):
            batches.append((batch.features.astype(np.float32), batch.labels))
            count += len(batch.labels)
            if count >= MAX_IMAGES:
                break
        features, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
        labels = labels - self._resolved.model.labels_offset
        features, labels = features[labels >= 0], labels[labels >= 0]
        content = io.BytesIO()
        np.savez(content, features=features, labels=labels, key=np.array(key))
        _paths.write_atomically(path, content.getvalue())
        return features, labels

    def _key(self, store: slim.VariableStore) -> str:
        """Returns a hash of all that the features depend on."""
        digest = hashlib.sha256()
        heads = NETWORKS[self._resolved.model.model_name].heads
        for name, variable in store.named_variables.items():
            if store.records[name].model and not any(name.startswith(head) for head in heads):
                digest.update(name.encode() + np.ascontiguousarray(variable.numpy()).tobytes())
        info = self._resolved.model.to_dict()
        names = ("model_name", "image_size", "num_channels", "preprocessing_name", "labels_offset")
        values = {name: info[name] for name in (*names, "use_grayscale", "decoding")}
        if self._dataset.record_source is not None:  # images in place: a directory has no version
            values["images"] = self._dataset.record_source.fingerprint
        else:
            for shard in self._dataset.data_sources:
                status = os.stat(shard)
                values[shard] = (status.st_size, status.st_mtime_ns)
        digest.update(json.dumps(values, sort_keys=True).encode())
        return digest.hexdigest()


_ENDS = ("weights", "biases")


def layer_of(names: Sequence[str], head: str) -> str:
    """Returns the scope of the head's layer, which is the head or directly below it."""
    (kernel,) = (
        name for name in names if name.startswith(f"{head}/") and name.endswith("/weights")
    )
    return kernel.removesuffix("/weights")


class _StoreSource:
    """The variables of a store as a source of weights."""

    prefix = "the network"

    def __init__(self, store: slim.VariableStore) -> None:
        self._variables = store.named_variables

    def variables(self) -> dict[str, checkpoints.SavedVariable]:
        return {
            name: checkpoints.SavedVariable(tuple(variable.shape), variable.dtype)
            for name, variable in self._variables.items()
            if name != "global_step"
        }

    def get(self, name: str) -> np.ndarray:
        return self._variables[name].numpy()


def read_features(path: str, key: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the features [images, channels] and labels [images] of a file with this key, or None
    if it is absent, damaged or has another key."""
    try:
        with _files.open_regular(path) as content, np.load(content, allow_pickle=False) as file:
            if str(file["key"]) == key:
                return file["features"], file["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # absent, damaged, or of another version: computed again
    return None


def fit(
    features: np.ndarray, labels: np.ndarray, num_classes: int, weights: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fits a multinomial logistic regression to standardized features, with an L2 penalty.

    The penalty is scikit-learn's with C=0.1.

    Args:
      features: float32 [images, channels].
      labels: int64 [images], below `num_classes`.
      num_classes: number of classes.
      weights: weight of each image, float [images], 1 on average.
      seed: of the order of the images.

    Returns:
      Kernel [channels, num_classes] and biases [num_classes], float32, for the raw features.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    count, channels = features.shape
    inputs_ = np.concatenate(
        [(features - mean) / deviation, np.ones((count, 1), features.dtype)], axis=1
    )
    decay = np.full((channels + 1, 1), 10.0 / count, np.float32)
    decay[-1] = 0.0  # the biases have no penalty
    kernel, first, second = (np.zeros((channels + 1, num_classes), np.float32) for _ in range(3))
    rng = np.random.default_rng(seed)
    for step in range(_STEPS):
        rows = np.arange(count) if count <= _BATCH else rng.integers(count, size=_BATCH)
        logits = inputs_[rows] @ kernel
        answers = np.exp(logits - logits.max(axis=1, keepdims=True))
        answers /= answers.sum(axis=1, keepdims=True)
        answers[np.arange(len(rows)), labels[rows]] -= 1.0
        errors = answers * weights[rows, np.newaxis].astype(np.float32)
        gradient = inputs_[rows].T @ errors / len(rows) + decay * kernel
        # Adam, with a cosine decay.
        first += 0.1 * (gradient - first)
        second += 0.001 * (gradient**2 - second)
        scaled = first / (1 - 0.9 ** (step + 1))
        root = np.sqrt(second / (1 - 0.999 ** (step + 1))) + 1e-8
        kernel -= _RATE * 0.5 * (1 + np.cos(np.pi * step / _STEPS)) * scaled / root
    raw = kernel[:-1] / deviation[:, np.newaxis]
    return raw.astype(np.float32), (kernel[-1] - mean @ raw).astype(np.float32)
