"""Scopes typed by the user."""

import fnmatch

import pytest

from classifier.checkpoints.names import in_scopes, is_in
from classifier.config import options
from classifier.config.training import TrainConfig
from slim import _checks

NAMES = [
    "resnet/block1/unit_1/weights",
    "resnet/block1/unit_2/weights",
    "resnet/block10/unit_1/weights",
    "resnet/blocks",
    "resnet/logits/weights",
]


@pytest.mark.parametrize(
    "scope", ["resnet/block*", "resnet/block1*", "*/block?", "resnet/*/unit_1", "*", "resnet/*0/*"]
)
def test_star_matches_any_part_of_a_name(scope):
    def matches(name):
        parts, patterns = name.split("/"), scope.split("/")
        return len(parts) >= len(patterns) and all(
            fnmatch.fnmatchcase(part, pattern.replace("?", "[?]"))
            for part, pattern in zip(parts, patterns, strict=False)
        )

    assert [is_in(name, scope) for name in NAMES] == [matches(name) for name in NAMES]


def test_scope_without_star_matches_complete_names():
    assert in_scopes(NAMES, ["resnet/block1"], "scopes") == NAMES[:2]
    with pytest.raises(_checks.UserError, match="'resnet/block\\*' matches all names with this"):
        in_scopes(NAMES, ["resnet/block"], "scopes")


def test_star_in_checkpoint_scope_map_is_an_error():
    with pytest.raises(_checks.UserError, match="checkpoint_scope_map: 'a\\*:b' contains \\*"):
        options.build(
            TrainConfig,
            train_dir="run",
            dataset_dir="data",
            checkpoint_path="ckpt",
            checkpoint_scope_map=("a*:b",),
        )
