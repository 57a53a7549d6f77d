"""Tries mutated files, in a process of its own: `fuzz_worker.py
images|training|serving|shards FIRST COUNT DIR`.

Before each file its bytes are written to DIR, so that a crash leaves the file that caused it.
Prints what became of the files as JSON: counts of the outcomes, and a line for each failure.
"""

import collections
import faulthandler
import json
import os
import pathlib
import random
import resource
import sys
import time
import zlib

import numpy as np
import tensorflow as tf

from classifier import inputs
from classifier.inference import predict
from datasets import dataset_factory, dataset_info, images, tfrecords, verify
from preprocessing import preprocessing_factory
from slim import _checks
from tests.classifier.export.test_formats import classifier_of, export_to, make_run
from tests.datasets import mutations

HANG_SECONDS = 60  # for one file
MAX_PIXELS = 4_000_000
SHARD_PICTURES = 100
SERVED_PICTURES = 20
SERVED_SECONDS, SERVED_KILOBYTES = 10, 2_000_000


def try_images(numbers, directory):
    """Yields (outcome, message) for each mutated picture: what the converter and training do."""
    pictures = list(mutations.small_pictures().items())
    decoder = tfrecords.image_decoder(3)

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def decode(serialized):
        return decoder.decode(serialized, ["image"])[0]

    rules = images.Rules(max_pixels=MAX_PIXELS)
    for number in numbers:
        name, content = pictures[number % len(pictures)]
        data = mutations.mutated(content, random.Random(number))
        keep(directory, f"{number}_{name}", data)
        try:
            ready = images.prepare(data, rules)
        except images.BadImage as bad:
            yield ("refused", "") if str(bad) else ("failed", f"{number} {name}: no reason")
            continue
        except Exception as error:
            yield "failed", f"{number} {name}: prepare raised {error!r}"
            continue
        example = tfrecords.image_to_tfexample(*ready, 1)
        try:
            shape = decode(example.SerializeToString()).shape
        except tf.errors.OpError as error:
            yield "failed", f"{number} {name}: accepted, not decodable: {error.message[-200:]}"
            continue
        right = tuple(shape) == (ready.height, ready.width, 3)
        yield (
            ("accepted", "") if right else ("failed", f"{number} {name}: {shape}, not {ready[2:]}")
        )


def try_training(numbers, directory):
    """Yields (outcome, message) for each mutated picture, written into records as it is: what
    verify, training that leaves out and evaluation that stops do with shards of them."""
    numbers = list(numbers)
    pictures = list(mutations.small_pictures().items())
    labels = tuple(f"class {label}" for label in range(5))
    for start in range(0, len(numbers), SHARD_PICTURES):
        part = numbers[start : start + SHARD_PICTURES]
        records = []
        for number in part:
            name, content = pictures[number % len(pictures)]
            data = mutations.mutated(content, random.Random(number))
            records.append(tfrecords.ImageRecord(data, "x", 1, 1, number % 5, f"{number}_{name}"))
        made = {"dataset_dir": directory, "dataset_name": "folder", "split_name": "train"}
        split = tfrecords.write_split(records, **made, num_classes=5, num_shards=1)
        dataset_info.write(
            dataset_info.DatasetInfo("folder", labels, 3, {"train": split}), directory
        )
        with open(os.path.join(directory, split.shards[0].file), "rb") as file:
            keep(directory, f"shard of {part[0]} to {part[-1]}", file.read(), HANG_SECONDS * 5)
        left_out, problem = _train_over(dataset_factory.get_dataset("folder", "train", directory))
        for place, number in enumerate(part):
            outcome = "left out" if place in left_out else "used"
            yield ("failed", f"{number}: {problem}") if problem else (outcome, "")


def _train_over(dataset):
    """Returns the records that an epoch of training leaves out, and what is wrong with that."""
    count, skipped = dataset.num_samples, inputs.BadImages()
    shape = {"image_size": (16, 16), "batch_size": count}
    preprocess = preprocessing_factory.get_preprocessing("inception", is_training=True)
    batches = inputs.training_dataset(
        dataset, preprocessing_fn=preprocess, **shape, seed=1, skipped=skipped
    )
    batch = next(iter(batches.take(1)))
    seen = list(zip(batch["record"].numpy().tolist(), batch["weight"].numpy() > 0, strict=True))
    left_out = {record for record, is_good in seen if not is_good}
    if sorted(record for record, _ in seen) != list(range(count)):
        return left_out, "training did not read each record once"
    if {record for _, record in skipped.take_new()} != left_out:
        return left_out, "what is left out is not what is remembered"
    if not np.isfinite(batch["image"].numpy()).all():
        return left_out, "the images have values that are no numbers"
    told = [str(inputs.describe_bad_image(dataset, 0, record)) for record in left_out]
    if any("\n" in text or dataset.shard_names[0] not in text for text in told):
        return left_out, f"not in a line that names the shard: {told}"
    problems = verify.read_shard(dataset.data_sources[0], num_classes=5).problems
    if left_out and not problems:
        return left_out, "verify says nothing"
    plain = preprocessing_factory.get_preprocessing("inception")
    evaluated = inputs.evaluation_dataset(dataset, preprocessing_fn=plain, **shape)
    outcome, problem = _read(lambda: evaluated, dataset, [number % 5 for number in range(count)])
    if problem and outcome == "refused":
        return left_out, f"evaluation: {problem}"
    return left_out, "" if outcome == "refused" or not left_out else "evaluation says nothing"


def try_serving(numbers, directory):
    """Yields (outcome, message) for each mutated image: predict and the SavedModel refuse the same
    ones, each by name or index, and answer the others alike, with bounded time and memory."""
    numbers, pictures = list(numbers), list(mutations.small_pictures().items())
    run = make_run(pathlib.Path(directory, "run"), use_grayscale=True)
    classifier = classifier_of(run)
    export_to(pathlib.Path(directory, "out"), run, "saved_model")
    path = os.path.join(directory, "out", "saved_model", "1")
    serve = tf.saved_model.load(path).signatures["serving_default"]
    for start in range(0, len(numbers), SERVED_PICTURES):
        files = {}
        for number in numbers[start : start + SERVED_PICTURES]:
            name, content = pictures[number % len(pictures)]
            data = mutations.mutated(content, random.Random(number))
            file = os.path.join(directory, f"{number}_{name}")
            files[file] = data
            with open(file, "wb") as written:
                written.write(data)
        keep(directory, f"{start} of {numbers[0]}", b"".join(files.values()), HANG_SECONDS)
        began = time.process_time()
        answers = dict(predict.predict(classifier, list(files), 10))
        problem = _serve(serve, files, answers)
        if time.process_time() - began > SERVED_SECONDS:
            problem = problem or "took too long"
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > SERVED_KILOBYTES:
            problem = problem or "took too much memory"
        for file in files:
            os.remove(file)
            outcome = "refused" if isinstance(answers[file], str) else "answered"
            message = f"{os.path.basename(file)}: {problem}" if problem else ""
            yield ("failed" if problem else outcome), message


def _serve(serve, files, answers):
    """Returns what is wrong with the answers of a SavedModel, given those of predict."""
    bad = [place for place, file in enumerate(files) if isinstance(answers[file], str)]
    if not all(isinstance(each, np.ndarray) or each for each in answers.values()):
        return "predict gave no reason"
    good = [file for file in files if not isinstance(answers[file], str)]
    try:
        serve(image_bytes=tf.constant(list(files.values())))
        named = []
    except tf.errors.InvalidArgumentError as error:
        text = error.message.partition("assertion failed: [")[2].partition("]\n")[0]
        named = [int(part.split()[1]) for part in text.split("; ") if part.startswith("image ")]
    if named != bad:
        return f"the SavedModel names {named}, predict {bad}"
    if not good:
        return ""
    found = serve(image_bytes=tf.constant([files[file] for file in good]))["probabilities"].numpy()
    close = np.allclose(found, [answers[file] for file in good], atol=1e-5)
    return "" if close else "the SavedModel gives other answers than predict"


def try_shards(numbers, directory):
    """Yields (outcome, message) for each mutated shard: what verify and the pipelines do."""
    count = 5
    path, whole = _make_dataset(directory, count)
    dataset = dataset_factory.get_dataset("folder", "train", directory)
    labels = [mutations.label_of(record) for record in mutations.split_records(whole)]

    def preprocess(image, height, width, seed=None):
        return tf.image.resize(image, [height, width])

    shape = {"preprocessing_fn": preprocess, "image_size": (8, 8), "batch_size": count}
    openings = {
        "evaluation": lambda data: inputs.evaluation_dataset(data, **shape),
        "training": lambda data: inputs.training_dataset(data, **shape, seed=0).take(1),
    }
    opened = {name: opening(dataset) for name, opening in openings.items()}
    # TensorFlow's reader crashes on what is found when a pipeline is opened: one that is open
    # already, and may read ahead until it is collected, must not meet it.
    elsewhere = os.path.join(directory, "elsewhere")
    os.makedirs(elsewhere, exist_ok=True)
    new_path, _ = _make_dataset(elsewhere, count)
    new_dataset = dataset_factory.get_dataset("folder", "train", elsewhere)
    for number in numbers:
        data = mutations.mutated_shard(whole, random.Random(number))
        keep(directory, f"{number}.tfrecord", data)
        is_huge = _has_a_huge_length(data)
        tried = new_path if is_huge else path
        with open(tried, "wb") as file:
            file.write(data)
        records = mutations.split_records(data)
        found = None if records is None else [mutations.label_of(record) for record in records]
        problems = [_verify(tried, found)]
        # By turns, since opening a pipeline takes longer than all else.
        name = ("evaluation", "training")[number % 2]
        if is_huge:
            outcome, problem = _read(lambda name=name: openings[name](new_dataset), dataset, found)
        else:
            outcome, problem = _read(lambda name=name: opened[name], dataset, found)
        problems.append(problem and f"{name}: {problem}")
        if data == whole and (found != labels or outcome == "refused"):
            problems.append("the whole shard was refused")
        problems = [f"{number}: {problem}" for problem in problems if problem]
        yield ("failed", "; ".join(problems)) if problems else (outcome, "")


def _make_dataset(directory, count):
    pictures = mutations.small_pictures()
    names = ("rgb.jpg", "rgb.png", "gray.jpg", "gray.png", "progressive.jpg")
    ready = [images.prepare(pictures[name]) for name in names[:count]]
    split = tfrecords.write_split(
        [tfrecords.ImageRecord(*each, n, f"{n}.x") for n, each in enumerate(ready)],
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
    """Says whether a record with a right checksum of its length says that it is above 1 GB."""
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
    """Returns what is wrong with the answer of verify: silence over a damaged file."""
    shard = verify.read_shard(path, num_classes=5)
    unreadable = labels is None or None in labels
    if unreadable and not shard.problems:
        return "verify says nothing"
    if any(shard.file not in problem for problem in shard.problems):
        return f"verify does not name the shard: {shard.problems}"
    if not unreadable and shard.num_records != len(labels):
        return f"verify has read {shard.num_records} of {len(labels)} records"
    return ""


def _read(opening, dataset, labels):
    """Returns "intact" or "refused", and what is wrong with that."""
    try:
        with inputs.translate_errors(dataset):
            found = [int(label) for batch in opening() for label in batch["label"]]
    except (_checks.UserError, _checks.RunError) as error:
        return "refused", "" if dataset.shard_names[0] in str(error) else f"nameless: {error}"
    except Exception as error:
        return "refused", f"raised {type(error).__name__}: {str(error)[:300]}"
    if labels is None or None in labels or sorted(found) != sorted(labels):
        return "intact", f"gave the labels {found}, the shard has {labels}"
    return "intact", ""


def keep(directory, name, data, seconds=HANG_SECONDS):
    """Writes the file that is tried next; the one before it goes."""
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
    os._exit(0)  # endless pipelines that are still open may keep the interpreter from ending


if __name__ == "__main__":
    main()
