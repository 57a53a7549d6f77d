"""Reads mutated lists, files of class names and archives in place: `fuzz_local_images.py
lists|names|"in place" FIRST COUNT DIR`.

Either all images are read, or those that cannot are reported. The output is as of `fuzz_archives`.
"""

import csv
import faulthandler
import functools
import io
import json
import os
import random
import sys
import tarfile
import time
import zipfile

from google.protobuf import text_format

from datasets import image_tree, images, label_names, local_images, workers
from datasets.location import Location
from slim import _checks
from tests import memory
from tests.datasets import archive_mutations, fuzz_archives, image_folder, mutations, sample_files

SECONDS, MEGABYTES, HANG_SECONDS = 10, 2000, 120
_GROWTH = 100  # megabytes
NAMES = tuple(f"{'ab'[number % 2]}/{number}.png" for number in range(8))
LISTS = ("csv", "tsv", "jsonl", "csv")
NAME_FILES = ("labels.txt", "names.txt", "label_map.pbtxt")
# Inserted into text.
_TOKENS = (
    *("\"',\t;|\n\r\0\\:{}[]#\ufeff\u2028\ud800/"),
    *("\x1b[2J", "../", "train", "path", "1e999", "9" * 5000, "null", "item", "}\nitem {"),
)


@functools.cache
def sample_images():
    """Returns name -> content of the images."""
    return {name: sample_files.jpeg(6, 7, seed) for seed, name in enumerate(NAMES)}


def text_of(kind, rng):
    """Returns a valid list or file of class names."""
    splits = [rng.choice(("train", "validation")) for _ in NAMES] if rng.random() < 0.5 else None
    rows = [
        {"path": name, "label": name[0], **({"split": splits[n]} if splits else {})}
        for n, name in enumerate(NAMES)
    ]
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows)
    if kind in ("csv", "tsv"):
        text = io.StringIO()
        writer = csv.writer(text, delimiter="," if kind == "csv" else "\t", lineterminator="\n")
        if rng.random() < 0.7:
            writer.writerow(rows[0])
        writer.writerows(row.values() for row in rows)
        return text.getvalue()
    names = [f"class {number}" for number in range(9)]
    if kind == "names.txt":
        return "".join(f"{name}\n" for name in names)
    if kind == "labels.txt":
        return "".join(f"{number}:{name}\n" for number, name in enumerate(names))
    return "".join(f"item {{\n  id: {n}\n  name: '{name}'\n}}\n" for n, name in enumerate(names))


def mutated_text(text, rng):
    """Returns text, as bytes, with inserted tokens, changed lines or changed bytes."""
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(_TOKENS) + text[at + rng.choice((0, 0, 1, 3)) :]
    lines = text.splitlines(keepends=True)
    if rng.random() < 0.3:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    if rng.random() < 0.3:
        del lines[rng.randrange(len(lines))]
    data = "".join(lines).encode("utf-8", "surrogatepass")
    return mutations.mutated(data, rng) if rng.random() < 0.4 else data


def read_list(kind, data, path, directory):
    """Returns a function that reads the list, and one that returns the images that it names."""
    root = os.path.join(directory, "images")
    if not os.path.isdir(root):
        image_folder.write(root, sample_images())
    with open(path, "wb") as file:
        file.write(data)

    def expected():
        text = data.decode("utf-8-sig")
        if kind == "jsonl":
            rows = [json.loads(line).values() for line in text.split("\n") if line.strip()]
        else:
            delimiter = "," if kind == "csv" else "\t"
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        cells = {cell.strip() for row in rows for cell in row if isinstance(cell, str)}
        return cells & set(NAMES)

    several = is_odd(data)
    return lambda: local_images.read(Location("list", root, path, multi_label=several)), expected


def is_odd(data):
    """Returns a reproducible coin toss."""
    return sum(data) % 2 == 1


def read_archive(kind, data, path, directory):
    """Returns a function that reads the archive, and one that returns the images in its index."""
    with open(path, "wb") as file:
        file.write(data)

    def expected():
        if kind == "zip":
            with zipfile.ZipFile(path) as archive:
                names = [each.filename for each in archive.infolist() if not each.is_dir()]
        else:
            with tarfile.open(path, "r:") as archive:
                names = [member.name for member in archive if member.isreg()]
        parts = [[part for part in name.split("/") if part not in ("", ".")] for name in names]
        return {"/".join(p) for p in parts if len(p) > 1 and not any(map(image_tree.is_ignored, p))}

    return lambda: local_images.read(Location("folder", path)), expected


def check_images(local, expected, kind):
    """Returns what is wrong with images that were accepted, or an empty string."""
    items = [item for split in local.splits.values() for item in split.items]
    # The only directory at the top of an archive is left out of the names.
    names = {item.filename for item in items}
    lost = {name for name in expected if not any(name.endswith(each) for each in names)}
    if lost:
        return f"lost {sorted(lost)}"
    if len(names) != len(items):
        return "an image occurs twice"
    contents = set(sample_images().values())
    for item in items:
        prepared = workers.prepare_image(item.source, None, images.Rules())
        if isinstance(prepared, str):
            if not prepared.isprintable():
                return f"the reason {prepared!r}"
        elif kind != "tar" and prepared.encoded not in contents:
            return f"{item.filename} has another content"
    return ""


def check_names(kind, data, path):
    """Returns the names, and what is wrong with them or an empty string."""
    with open(path, "wb") as file:
        file.write(data)
    names = label_names.read(path)
    text = data.decode("utf-8-sig")
    if kind == "label_map.pbtxt":
        parsed = text_format.Parse(text, label_names._label_map_class()())
        count = len(parsed.item)
    else:
        count = sum(1 for line in text.split("\n") if line.strip())
    return "" if len(names) == count else f"{len(names)} names of {count} entries"


def attempt(what, number, directory):
    """Returns the outcome for one file, and the problem or an empty string."""
    rng = random.Random(number)
    if what == "in place":
        kind = ("zip", "tar")[number % 2]
        data = archive_mutations.mutated(kind, rng, sample_images())
        read = read_archive
    else:
        kinds = LISTS if what == "lists" else NAME_FILES
        kind = kinds[number % len(kinds)]
        data = mutated_text(text_of(kind, rng), rng)
        read = read_list
    path = os.path.join(directory, f"trying_{number}_{kind}" if "." in kind else f"{number}.{kind}")
    with open(os.path.join(directory, "trying.txt"), "w") as file:
        file.write(f"{number} {kind}")
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    start, outcome = time.process_time(), "accepted"
    # In the test suite, other tests of the process may use more.
    most = max(MEGABYTES, (memory.reset_peak() >> 10) + _GROWTH)
    try:
        if what == "names":
            problem = check_names(kind, data, path)
        else:
            load, expected = read(kind, data, path, directory)
            problem = check_images(load(), expected(), kind)
    except (_checks.UserError, _checks.RunError) as error:
        outcome, text = "rejected", str(error)
        is_clear = path in text and text.isprintable() and len(text) < 1200
        problem = "" if is_clear else f"reports {text[:1500]!r}"
    except Exception as error:
        problem = f"raised {error!r}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    if time.process_time() - start > SECONDS:
        problem = f"it took {time.process_time() - start:.1f} s"
    if memory.peak_kilobytes() >> 10 > most:
        problem = f"{memory.peak_kilobytes() >> 10} MB"
    if problem:
        return "failed", f"{path}: {problem}"
    os.remove(path)
    return outcome, ""


if __name__ == "__main__":
    with images.pillow_settings():
        fuzz_archives.main(functools.partial(attempt, sys.argv[1]))
