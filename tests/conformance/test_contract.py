"""A network without a record: the contract's checks, and what they report."""

import re
import sys
import types

import pytest

import slim
from nets import nets_factory
from tests.conformance import builds, checks, contract, reference


def breaking(fault):
    """Returns a module with a small network that breaks the contract in one way, or in none."""

    def network(images, num_classes, is_training):
        if fault == "scope":
            images = slim.conv2d(images, 3, 1, scope="stem")
        with slim.variable_scope("Toy"):
            scope = "conv_training" if fault == "variables" and is_training else "conv"
            net = slim.conv2d(images, 4, 3, stride=2, scope=scope)
            net = features = slim.flatten(net)
            if not num_classes:
                return features, {}
            units = 7 if fault == "shape" else num_classes
            net = slim.fully_connected(net, units, activation_fn=None, scope="logits")
        name = "logits" if fault == "names" else "Logits"
        predictions = features if fault == "predictions" else slim.softmax(net)
        return net, {name: net, "Predictions": predictions}

    def arg_scope(weight_decay=0.0):
        penalty = None if fault == "weight_decay" else slim.l2_regularizer(weight_decay)
        with slim.arg_scope([slim.conv2d], weights_regularizer=penalty) as scope:
            return scope

    network.default_image_size = 8
    module = types.ModuleType("nets.toy")
    module.network, module.arg_scope = network, arg_scope
    return module


@pytest.fixture
def problems(monkeypatch):
    """Returns a function from a fault to the problems of the network that has it."""

    def check(fault):
        spec = nets_factory.NetworkSpec("toy", "network", "arg_scope", 8, classes=5)
        monkeypatch.setitem(nets_factory.NETWORKS, f"toy_{fault}", spec)
        monkeypatch.setitem(sys.modules, "nets.toy", breaking(fault))
        graphs = (builds.graph(f"toy_{fault}", is_training) for is_training in (False, True))
        return contract.problems(*graphs, num_classes=5)

    return check


def test_network_that_keeps_the_contract_has_no_problems(problems):
    assert problems(None) == []


@pytest.mark.parametrize(
    "fault, message",
    [
        ("shape", r"the logits have shape \[1, 7\]; return \[1, 5\]"),
        ("names", r"no end point Logits; add it: \['logits', 'Predictions'\]"),
        ("predictions", r"end point Predictions has shape \[1, 64\], not \[1, 5\]"),
        ("variables", r"variables of inference that training lacks .*: \['Toy/conv/weights', "),
        ("scope", r"variables are not below one scope, but: \['Toy', 'stem'\]"),
        ("weight_decay", "no variable is regularized; use `weight_decay`"),
    ],
)
def test_broken_contract_is_reported(problems, fault, message):
    assert re.search(message, "\n".join(problems(fault)))


def test_network_without_a_record_is_skipped_where_one_is_needed():
    (parameter,) = checks.networks("test_variables", "layout", ["toy"], needs_record=True)
    (mark,) = parameter.marks
    assert (mark.name, mark.kwargs["reason"]) == ("skip", reference.missing_layout("toy"))
    (parameter,) = checks.networks("test_contract", "layout", ["toy"])
    assert not parameter.marks
