"""The table of networks that peers have too, and which contestants take part."""

import argparse

import pytest

from benchmarks import contestants
from benchmarks.contestants import NETWORKS, Contestant
from nets import nets_factory

CONTESTANTS = (Contestant("slim", "slim", "train"), Contestant("TF-Slim", "tf_slim", "train"))


def peers(*flags):
    parser = argparse.ArgumentParser()
    contestants.add_flags(parser)
    return contestants.Peers(parser.parse_args(flags))


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_are_networks_of_the_factory(name):
    assert NETWORKS[name].size == nets_factory.NETWORKS[name].image_size


def test_training_has_three_products_per_layer_but_two_in_the_first():
    row, forward = NETWORKS["mobilenet_v1"], 568_741_376
    assert row.training_multiply_adds(forward) == 3 * forward - 10_838_016


def test_tf_slim_is_skipped_without_a_checkout(capsys):
    (chosen,) = peers().select(CONTESTANTS, "resnet_v1_50")
    assert chosen.label == "slim"
    assert capsys.readouterr().err == "TF-Slim: skipped (needs --tf_slim=PATH)\n"
    assert len(peers("--tf_slim=a").select(CONTESTANTS, "resnet_v1_50")) == 2


def test_mobilenets_of_tf_slim_need_another_checkout(capsys):
    assert len(peers("--tf_slim=a").select(CONTESTANTS, "mobilenet_v1")) == 1
    assert "needs --slim_networks=PATH" in capsys.readouterr().err
    assert len(peers("--tf_slim=a", "--slim_networks=b").select(CONTESTANTS, "mobilenet_v1")) == 2


def test_other_peers_are_skipped(capsys):
    assert not peers("--peers=keras").select(CONTESTANTS, "mobilenet_v1")
    assert "slim: skipped (not in --peers)" in capsys.readouterr().err
