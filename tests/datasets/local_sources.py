"""The same images as a directory, a list, archives and TFRecords."""

import csv
import os
import random
import shutil

from datasets import folder
from datasets.location import Location
from tests.datasets import image_folder, sample_files

CLASSES = ("ant", "Bee", "cat 猫")


def write_images(directory, photos=45):
    """Writes images of all formats in three classes; returns their names."""
    files = {
        f"{CLASSES[number % 3]}/{name}": content
        for number, (name, content) in enumerate(image_folder.good_images().items())
    }
    for number in range(photos):
        name = f"{CLASSES[number % 3]}/more{number % 2}/{number:03d}.jpg"
        files[name] = sample_files.jpeg(20, 30, number)
    image_folder.write(str(directory), files)
    return list(files)


def write_list(path, names):
    """Writes a list of images in a random order."""
    rows = [(name, name.split("/")[0]) for name in names]
    random.Random(1).shuffle(rows)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])


def write_all(root, photos=45):
    """Writes the images in all forms; returns kind -> location."""
    source = os.path.join(root, "images")
    names = write_images(source, photos)
    files = {kind: os.path.join(root, f"images.{kind}") for kind in ("csv", "zip", "tar")}
    write_list(files["csv"], names)
    for kind in ("zip", "tar"):
        shutil.make_archive(os.path.join(root, "images"), kind, root, "images")
    folder.convert(os.path.join(root, "records"), source_dir=source)
    return {
        "records": Location("folder", os.path.join(root, "records")),
        "directory": Location("folder", source),
        "zip": Location("folder", files["zip"]),
        "tar": Location("folder", files["tar"]),
        "list": Location("list", source, files["csv"]),
    }


def flags(location):
    """Returns the options of a location."""
    values = {
        "dataset_name": location.name,
        "dataset_dir": location.directory,
        "dataset_file": location.file,
    }
    return {name: value for name, value in values.items() if value is not None}
