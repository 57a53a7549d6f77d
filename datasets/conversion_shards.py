"""Writes the shards of a conversion, in pieces, so that an interruption loses little work."""

import dataclasses
import hashlib
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from datasets import conversion_journal, duplicates, images, progress, tfrecords, workers
from datasets.conversion_journal import Journal, Outcome
from datasets.conversion_plan import Plan
from datasets.items import Item, labels_of

# An interruption loses at most the work of this time.
_PIECE_SECONDS = 2.0


def write(
    plan: Plan,
    work: str,
    journal: Journal,
    rules: images.Rules,
    on_bad_image: str,
    num_workers: int | None,
) -> dict[str, list[Outcome]]:
    """Writes the shards that are not in the journal.

    Args:
      plan: the dataset.
      work: the work directory.
      journal: of the work directory.
      rules: how to prepare an image.
      on_bad_image: with "error", no shard is written after one with a bad image.
      num_workers: number of processes that prepare images; None: chosen automatically.

    Returns:
      split -> outcomes of its shards, in order.

    Raises:
      RunError: if a file cannot be written, or a worker has died.
    """
    shards = [
        (name, file, part)
        for name, split in plan.splits.items()
        for file, part in zip(split.shard_names(), split.parts(), strict=True)
    ]
    outcomes: dict[str, list[Outcome]] = {name: [] for name in plan.splits}
    pending = [
        items[sum(piece.num_items for piece in journal.pieces(file)) :]
        for _, file, items in shards
        if file not in journal.done
    ]
    total = sum(len(items) for _, _, items in shards)
    num_pending = sum(map(len, pending))
    has_bad = any(outcome.bad for outcome in journal.done.values())
    with (
        workers.prepared(list(itertools.chain(*pending)), rules, num_workers) as results,
        progress.bar(total, "img", plan.name, initial=total - num_pending) as bar,
    ):
        for name, file, items in shards:
            outcome = journal.done.get(file)
            if outcome is None:
                writes = not (has_bad and on_bad_image == "error")
                path = os.path.join(work, file)
                outcome = _write_shard(plan, path, items, results, bar, writes, journal)
                has_bad = has_bad or bool(outcome.bad)
            outcomes[name].append(outcome)
    return outcomes


def _write_shard(
    plan: Plan,
    path: str,
    items: Sequence[Item],
    results: Iterator[workers.Result],
    bar: Any,
    writes: bool,
    journal: Journal,
) -> Outcome:
    """Writes a shard after its pieces from an interrupted conversion, in further pieces."""
    work, file = os.path.split(path)
    pieces = journal.pieces(file)
    begin = sum(piece.num_items for piece in pieces)
    while begin < len(items):
        piece = _write_piece(plan, path, items[begin:], results, bar, writes)
        begin += piece.num_items if piece.shard else len(items)
        if piece.shard and (pieces or begin < len(items)):
            name = conversion_journal.piece_name(file, len(pieces))
            os.replace(path, os.path.join(work, name))
            piece = dataclasses.replace(piece, shard=dataclasses.replace(piece.shard, file=name))
            journal.add(name, piece)
        pieces.append(piece)
    outcome = pieces[0] if len(pieces) == 1 else _joined(path, pieces)
    if outcome.shard:
        journal.add(file, outcome)
    return outcome


def _joined(path: str, pieces: Sequence[Outcome]) -> Outcome:
    """Returns the outcome of a shard that was written in pieces, after joining them."""
    per_class = [sum(counts) for counts in zip(*(piece.per_class for piece in pieces), strict=True)]
    bad = [entry for piece in pieces for entry in piece.bad]
    shards = [piece.shard for piece in pieces if piece.shard]
    if len(shards) < len(pieces):  # not all were written because of bad images
        return Outcome(None, per_class, bad)
    source_bytes = sum(shard.source_bytes for shard in shards)
    shard = tfrecords.join_shards(path, shards)
    shard = dataclasses.replace(shard, source_bytes=source_bytes)
    return Outcome(shard, per_class, bad, "".join(piece.fingerprints for piece in pieces))


def _write_piece(
    plan: Plan,
    path: str,
    items: Sequence[Item],
    results: Iterator[workers.Result],
    bar: Any,
    writes: bool,
) -> Outcome:
    """Writes images until `_PIECE_SECONDS` have passed, or only reads them all."""
    per_class, source_bytes, fingerprints = [0] * len(plan.classes), 0, bytearray()
    bad: list[tuple[str, str]] = []
    end = time.monotonic() + _PIECE_SECONDS

    def records() -> Iterator[tfrecords.ImageRecord]:
        nonlocal source_bytes
        for item in items:
            result = next(results)
            bar.update()
            if isinstance(result, str):
                bad.append((item.source.name, result))
                fingerprints.extend(duplicates.NONE)
            else:
                fingerprints.extend(result.fingerprint)
                for label in labels_of(item.label):
                    per_class[label] += 1
                source_bytes += item.size
                yield _record(plan, item, result)
            if writes and time.monotonic() > end:
                return

    if not writes:
        for _ in records():
            pass
        return Outcome(None, per_class, bad)
    shard = tfrecords.write_shard(path, records())
    shard = dataclasses.replace(shard, source_bytes=source_bytes)
    return Outcome(shard, per_class, bad, fingerprints.hex())


def _record(plan: Plan, item: Item, prepared: images.Prepared) -> tfrecords.ImageRecord:
    extra = dict(plan.features(*item.extra))
    if plan.sha256:
        extra[plan.sha256] = hashlib.sha256(prepared.encoded).hexdigest()
    format = plan.formats[prepared.format]
    return tfrecords.ImageRecord(
        prepared.encoded, format, *prepared[2:4], item.label, item.filename, extra
    )
