"""The lines that are printed after a conversion."""

from datasets import conversion_report, dataset_info


def report_of(counts):
    """Returns the table for a dataset with these numbers of images per class, by split."""
    shard = dataset_info.ShardInfo("a.tfrecord", 1, 1, "")
    splits = {
        name: dataset_info.SplitInfo(sum(numbers), tuple(numbers), (shard,))
        for name, numbers in counts.items()
    }
    classes = tuple(f"class {label}" for label in range(len(counts["train"])))
    info = dataset_info.DatasetInfo("toy", classes, 3, splits)
    return [line for line in conversion_report.lines(info, "out") if line.startswith("    ")]


def test_report_has_a_table_of_classes_and_splits():
    assert report_of({"train": (1437, 9), "validation": (0, 3)}) == [
        "    class      train  validation",
        "    0 class 0   1437           0",
        "    1 class 1      9           3",
        "    total       1446           3",
    ]


def test_table_of_many_classes_is_truncated():
    assert len(report_of({"train": (1,) * 20})) == 22
    lines = report_of({"train": (7,) * 1000})
    assert len(lines) == 22
    assert lines[19:] == [
        "    18 class 18                            7",
        "    ... 981 more in dataset_info.json",
        "    total                               7000",
    ]


def test_empty_classes_are_one_line():
    shard = dataset_info.ShardInfo("a.tfrecord", 1, 1, "")
    counts = (5, *[0] * 10_000)
    classes = tuple(f"class {label}" for label in range(len(counts)))
    split = dataset_info.SplitInfo(5, counts, (shard,))
    info = dataset_info.DatasetInfo("toy", classes, 3, {"train": split})
    lines = list(conversion_report.lines(info, "out"))
    assert len(lines) < 40
    assert [line for line in lines if "no images" in line] == [
        (
            "  10000 of 10001 classes have no images: 1 (class 1), 2 (class 2), 3 (class 3),"
            " 4 (class 4), 5 (class 5), ... (9995 more)"
        )
    ]
