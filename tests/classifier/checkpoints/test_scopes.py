"""Scopes as the user types them."""

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
def test_a_star_is_any_part_of_a_name(scope):
    def wanted(name):
        parts, patterns = name.split("/"), scope.split("/")
        return len(parts) >= len(patterns) and all(
            fnmatch.fnmatchcase(part, pattern.replace("?", "[?]"))
            for part, pattern in zip(parts, patterns, strict=False)
        )

    assert [is_in(name, scope) for name in NAMES] == [wanted(name) for name in NAMES]


def test_a_scope_without_a_star_is_whole():
    assert in_scopes(NAMES, ["resnet/block1"], "scopes") == NAMES[:2]
    with pytest.raises(_checks.UserError, match="'resnet/block\\*' stands for all that begin so"):
        in_scopes(NAMES, ["resnet/block"], "scopes")


def test_what_is_moved_has_no_star():
    with pytest.raises(_checks.UserError, match="checkpoint_scope_map: 'a\\*:b' has a \\*"):
        options.build(
            TrainConfig,
            train_dir="run",
            dataset_dir="data",
            checkpoint_path="ckpt",
            checkpoint_scope_map=("a*:b",),
        )
