"""Tries mutated files, in a separate process: `fuzz_worker.py
images|training|serving|shards FIRST COUNT DIR`.

Before each file its bytes are written to DIR, so that a crash leaves the file that caused it.
Prints JSON: the number of files per outcome, and a line for each failure.
"""

import collections
import faulthandler
import json
import os
import pathlib
import random
import sys
import time
import zlib

import numpy as np
import tensorflow as tf

from classifier import inputs
from classifier.inference import predict, predictor
from datasets import dataset_factory, dataset_info, images, tfrecords, verify
from preprocessing import preprocessing_factory
from slim import _checks
from tests import memory
from tests.classifier.export.test_formats import classifier_of, export_to, make_run
from tests.datasets import mutations

HANG_SECONDS = 60  # for one file
MAX_PIXELS = 4_000_000
IMAGES_PER_SHARD = 100
IMAGES_PER_BATCH = 20
SERVED_SECONDS, SERVED_KILOBYTES = 10, 2_000_000


def try_images(numbers, directory):
    """Yields (outcome, message) for each mutated image, after conversion and decoding."""
    samples = list(mutations.small_images().items())
    decoder = tfrecords.image_decoder(3)

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def decode(serialized):
        return decoder.decode(serialized, ["image"])[0]

    rules = images.Rules(max_pixels=MAX_PIXELS)
    for number in numbers:
        name, content = samples[number % len(samples)]
        data = mutations.mutated(content, random.Random(number))
        keep(directory, f"{number}_{name}", data)
        try:
            ready = images.prepare(data, rules)
        except images.BadImage as bad:
            yield ("rejected", "") if str(bad) else ("failed", f"{number} {name}: no reason")
            continue
        except Exception as error:
            yield "failed", f"{number} {name}: prepare raised {error!r}"
            continue
        example = tfrecords.image_to_tfexample(*ready[:4], 1)
        try:
            shape = decode(example.SerializeToString()).shape
        except tf.errors.OpError as error:
            yield "failed", f"{number} {name}: accepted, not decodable: {error.message[-200:]}"
            continue
        is_expected = tuple(shape) == (ready.height, ready.width, 3)
        yield (
            ("accepted", "")
            if is_expected
            else ("failed", f"{number} {name}: {shape}, not {ready[2:4]}")
        )


def try_training(numbers, directory):
    """Yields (outcome, message) for each mutated image, written to records unchanged: verify,
    training that skips bad images and evaluation that stops have to agree."""
    numbers = list(numbers)
    samples = list(mutations.small_images().items())
    labels = tuple(f"class {label}" for label in range(5))
    for start in range(0, len(numbers), IMAGES_PER_SHARD):
        part = numbers[start : start + IMAGES_PER_SHARD]
        records = []
        for number in part:
            name, content = samples[number % len(samples)]
            data = mutations.mutated(content, random.Random(number))
            records.append(tfrecords.ImageRecord(data, "x", 1, 1, number % 5, f"{number}_{name}"))
        location = {"dataset_dir": directory, "dataset_name": "folder", "split_name": "train"}
        split = tfrecords.write_split(records, **location, num_classes=5, num_shards=1)
        dataset_info.write(
            dataset_info.DatasetInfo("folder", labels, 3, {"train": split}), directory
        )
        with open(os.path.join(directory, split.shards[0].file), "rb") as file:
            keep(directory, f"shard of {part[0]} to {part[-1]}", file.read(), HANG_SECONDS * 5)
        skipped_records, problem = _train_over(
            dataset_factory.get_dataset("folder", "train", directory)
        )
        for place, number in enumerate(part):
            outcome = "skipped" if place in skipped_records else "used"
            yield ("failed", f"{number}: {problem}") if problem else (outcome, "")


def _train_over(dataset):
    """Returns the records that an epoch of training skips, and the problem or an empty string."""
    count, skipped = dataset.num_samples, inputs.BadImages()
    shape = {"image_size": (16, 16), "batch_size": count}
    preprocess = preprocessing_factory.get_preprocessing("inception", is_training=True)
    batches = inputs.training_dataset(
        dataset, preprocessing_fn=preprocess, **shape, seed=1, skipped=skipped
    )
    batch = next(iter(batches.take(1)))
    seen = list(zip(batch["record"].numpy().tolist(), batch["weight"].numpy() > 0, strict=True))
    skipped_records = {record for record, is_good in seen if not is_good}
    if sorted(record for record, _ in seen) != list(range(count)):
        return skipped_records, "training did not read each record once"
    # It may have read ahead: another crop of the same image may include the damage.
    if not skipped_records <= {record for _, record in skipped.take_new()}:
        return skipped_records, "the skipped records are not the reported ones"
    if not np.isfinite(batch["image"].numpy()).all():
        return skipped_records, "the images have non-finite values"
    messages = [str(inputs.describe_bad_image(dataset, 0, record)) for record in skipped_records]
    if any("\n" in text or dataset.shard_names[0] not in text for text in messages):
        return skipped_records, f"not one line with the shard: {messages}"
    problems = verify.read_shard(dataset.data_sources[0], num_classes=5).problems
    if skipped_records and not problems:
        return skipped_records, "verify reports nothing"
    plain = preprocessing_factory.get_preprocessing("inception")
    evaluated = inputs.evaluation_dataset(dataset, preprocessing_fn=plain, **shape)
    outcome, problem = _read(lambda: evaluated, dataset, [number % 5 for number in range(count)])
    if problem and outcome == "rejected":
        return skipped_records, f"evaluation: {problem}"
    return (
        skipped_records,
        "" if outcome == "rejected" or not skipped_records else "evaluation reports nothing",
    )


def try_serving(numbers, directory):
    """Yields (outcome, message) for each mutated image: predict and the SavedModel reject the same
    images, by name or index, and agree on the others, with bounded time and memory."""
    numbers, samples = list(numbers), list(mutations.small_images().items())
    run = make_run(pathlib.Path(directory, "run"), use_grayscale=True, decoding="upright")
    model = predictor.of_checkpoint(classifier_of(run))
    export_to(pathlib.Path(directory, "out"), run, "saved_model")
    path = os.path.join(directory, "out", "saved_model", "1")
    serve = tf.saved_model.load(path).signatures["serving_default"]
    for start in range(0, len(numbers), IMAGES_PER_BATCH):
        files = {}
        for number in numbers[start : start + IMAGES_PER_BATCH]:
            name, content = samples[number % len(samples)]
            data = mutations.mutated(content, random.Random(number))
            file = os.path.join(directory, f"{number}_{name}")
            files[file] = data
            with open(file, "wb") as written:
                written.write(data)
        keep(directory, f"{start} of {numbers[0]}", b"".join(files.values()), HANG_SECONDS)
        began = time.process_time()
        outputs = dict(predict.predict(model, list(files), 10))
        problem = _serve(serve, files, outputs)
        if time.process_time() - began > SERVED_SECONDS:
            problem = problem or "took too long"
        if memory.peak_kilobytes() > SERVED_KILOBYTES:
            problem = problem or "took too much memory"
        for file in files:
            os.remove(file)
            outcome = "rejected" if isinstance(outputs[file], str) else "classified"
            message = f"{os.path.basename(file)}: {problem}" if problem else ""
            yield ("failed" if problem else outcome), message


def _serve(serve, files, outputs):
    """Returns the problem with a SavedModel's outputs, compared with those of predict."""
    bad = [place for place, file in enumerate(files) if isinstance(outputs[file], str)]
    if not all(not isinstance(each, str) or each for each in outputs.values()):
        return "predict returned no reason"
    good = [file for file in files if not isinstance(outputs[file], str)]
    try:
        serve(image_bytes=tf.constant(list(files.values())))
        named = []
    except tf.errors.InvalidArgumentError as error:
        text = error.message.partition("assertion failed: [")[2].partition("]\n")[0]
        named = [int(part.split()[1]) for part in text.split("; ") if part.startswith("image ")]
    if named != bad:
        return f"the SavedModel rejects {named}, predict {bad}"
    if not good:
        return ""
    probabilities = serve(image_bytes=tf.constant([files[file] for file in good]))[
        "probabilities"
    ].numpy()
    close = np.allclose(probabilities, [outputs[file].probabilities for file in good], atol=1e-5)
    return "" if close else "the SavedModel and predict differ"


def try_shards(numbers, directory):
    """Yields (outcome, message) for each mutated shard, read by verify and the pipelines."""
    count = 5
    path, intact = _make_dataset(directory, count)
    dataset = dataset_factory.get_dataset("folder", "train", directory)
    labels = [mutations.label_of(record) for record in mutations.split_records(intact)]

    def preprocess(image, height, width, seed=None):
        return tf.image.resize(image, [height, width])

    shape = {"preprocessing_fn": preprocess, "image_size": (8, 8), "batch_size": count}
    openings = {
        "evaluation": lambda data: inputs.evaluation_dataset(data, **shape),
        "training": lambda data: inputs.training_dataset(data, **shape, seed=0).take(1),
    }
    opened = {name: opening(dataset) for name, opening in openings.items()}
    # TensorFlow's reader crashes on a huge length. An open pipeline may read ahead until it is
    # collected, so such a file is written to another path and only opened by a new pipeline.
    elsewhere = os.path.join(directory, "elsewhere")
    os.makedirs(elsewhere, exist_ok=True)
    new_path, _ = _make_dataset(elsewhere, count)
    new_dataset = dataset_factory.get_dataset("folder", "train", elsewhere)
    for number in numbers:
        data = mutations.mutated_shard(intact, random.Random(number))
        keep(directory, f"{number}.tfrecord", data)
        is_huge = _has_a_huge_length(data)
        tried = new_path if is_huge else path
        with open(tried, "wb") as file:
            file.write(data)
        records = mutations.split_records(data)
        found_labels = (
            None if records is None else [mutations.label_of(record) for record in records]
        )
        problems = [_verify(tried, found_labels)]
        # In turns, since opening a pipeline takes the longest.
        name = ("evaluation", "training")[number % 2]
        if is_huge:
            outcome, problem = _read(
                lambda name=name: openings[name](new_dataset), dataset, found_labels
            )
        else:
            outcome, problem = _read(lambda name=name: opened[name], dataset, found_labels)
        problems.append(problem and f"{name}: {problem}")
        if data == intact and (found_labels != labels or outcome == "rejected"):
            problems.append("the intact shard was rejected")
        problems = [f"{number}: {problem}" for problem in problems if problem]
        yield ("failed", "; ".join(problems)) if problems else (outcome, "")


def _make_dataset(directory, count):
    samples = mutations.small_images()
    names = ("rgb.jpg", "rgb.png", "gray.jpg", "gray.png", "progressive.jpg")
    ready = [images.prepare(samples[name]) for name in names[:count]]
    split = tfrecords.write_split(
        [tfrecords.ImageRecord(*each[:4], n, f"{n}.x") for n, each in enumerate(ready)],
        dataset_dir=directory,
        dataset_name="folder",
        split_name="train",
        num_classes=count,
        num_shards=1,
    )
    classes = tuple(f"class {label}" for label in range(count))
    info = dataset_info.DatasetInfo("folder", classes, 3, {"train": split})
    dataset_info.write(info, directory)
    path = os.path.join(directory, split.shards[0].file)
    with open(path, "rb") as file:
        return path, file.read()


def _has_a_huge_length(data):
    """Returns whether a record's length is above 1 GB and has a valid checksum."""
    at = 0
    while (
        at + 12 <= len(data) and mutations.masked_crc(data[at : at + 8]) == data[at + 8 : at + 12]
    ):
        size = int.from_bytes(data[at : at + 8], "little")
        if size > 1 << 30:
            return True
        at += 16 + size
    return False


def _verify(path, labels):
    """Returns the problem with the result of verify, or an empty string."""
    shard = verify.read_shard(path, num_classes=5)
    unreadable = labels is None or None in labels
    if unreadable and not shard.problems:
        return "verify reports nothing"
    if any(shard.file not in problem for problem in shard.problems):
        return f"verify does not name the shard: {shard.problems}"
    if not unreadable and shard.num_records != len(labels):
        return f"verify read {shard.num_records} of {len(labels)} records"
    return ""


def _read(opening, dataset, labels):
    """Returns "intact" or "rejected", and the problem or an empty string."""
    try:
        with inputs.translate_errors(dataset):
            found_labels = [int(label) for batch in opening() for label in batch["label"]]
    except (_checks.UserError, _checks.RunError) as error:
        return "rejected", "" if dataset.shard_names[0] in str(error) else f"nameless: {error}"
    except Exception as error:
        return "rejected", f"raised {type(error).__name__}: {str(error)[:300]}"
    if labels is None or None in labels or sorted(found_labels) != sorted(labels):
        return "intact", f"returned the labels {found_labels}, the shard has {labels}"
    return "intact", ""


def keep(directory, name, data, seconds=HANG_SECONDS):
    """Writes the file that is tried next, in place of the previous one."""
    with open(os.path.join(directory, "trying.txt"), "w") as file:
        file.write(f"{name} crc32={zlib.crc32(data):08x}")
    with open(os.path.join(directory, "trying.bin"), "wb") as file:
        file.write(data)
    faulthandler.dump_traceback_later(seconds, exit=True)


def main():
    what, first, count, directory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    outcomes, failures = collections.Counter(), []
    attempt = {
        "images": try_images,
        "training": try_training,
        "serving": try_serving,
        "shards": try_shards,
    }[what]
    with images.pillow_settings():
        for outcome, message in attempt(range(first, first + count), directory):
            outcomes[outcome] += 1
            failures += [message] * bool(message)
    print(json.dumps({"outcomes": outcomes, "failures": failures}), flush=True)
    os._exit(0)  # open endless pipelines may prevent the interpreter from exiting


if __name__ == "__main__":
    main()
