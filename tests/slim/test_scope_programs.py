"""Random programs of scopes, reuse, stores, graphs and threads obey the rules of scope_rules.py."""

import contextlib
import random

import pytest
import tensorflow as tf

import slim
from tests.slim.scope_rules import AUTO, Rules, program, run

v1 = tf.compat.v1


@slim.add_arg_scope
def f(x=0, y=0):
    return {"x": x, "y": y}


@slim.add_arg_scope
def g(x=0, *, y=0):
    return {"x": x, "y": y}


FUNCTIONS = {"f": f, "g": g}


class Library:
    """Executes programs with slim.

    Args:
      worlds: functions that enter the two stores or graphs.
      tensorflow_1: half of the statements use TensorFlow 1's own functions.
    """

    errors = (ValueError,)

    def __init__(self, worlds, tensorflow_1=False):
        self._worlds = worlds
        self._rng = random.Random(0) if tensorflow_1 else None

    def _pick(self, ours, theirs):
        return theirs if self._rng is not None and self._rng.random() < 0.5 else ours

    def world(self, number):
        return self._worlds[number]()

    def variable(self, name):
        get = self._pick(slim.variable, v1.get_variable)
        return slim.get_variable_full_name(get(name, [1], initializer=tf.zeros_initializer()))

    def call(self, function, explicit):
        return FUNCTIONS[function](**explicit)

    def reuse_variables(self):
        slim.get_variable_scope().reuse_variables()

    def args(self, functions, values):
        return slim.arg_scope([FUNCTIONS[each] for each in functions], **values)

    def args_again(self, saved):
        return slim.arg_scope(saved)

    def name_of(self, scope):
        return scope.name

    def scope(self, name_or_scope, reuse):
        reuse = slim.AUTO_REUSE if reuse == AUTO else reuse
        return self._pick(slim.variable_scope, v1.variable_scope)(name_or_scope, reuse=reuse)

    def default_scope(self, name):
        return self._pick(slim.variable_scope, v1.variable_scope)(None, name)


def events(machine, statements):
    result = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(machine.world(0))
        run(machine, statements, result, [], [])
    return result


@pytest.mark.parametrize("block", range(10))
def test_programs_in_stores(block):
    for seed in range(50 * block, 50 * block + 50):
        statements = program(random.Random(seed), length=8)
        stores = [slim.VariableStore(), slim.VariableStore()]
        library = Library([store.as_default for store in stores])
        assert events(library, statements) == events(Rules(passes=True), statements), seed


@pytest.mark.parametrize(
    "block", [pytest.param(block, marks=[pytest.mark.slow] * (block >= 3)) for block in range(10)]
)
def test_programs_in_graphs(block):
    for seed in range(1000 + 50 * block, 1000 + 50 * block + 50):
        statements = program(random.Random(seed), length=8)
        graphs = [tf.Graph(), tf.Graph()]
        library = Library([graph.as_default for graph in graphs], tensorflow_1=True)
        assert events(library, statements) == events(Rules(passes=False), statements), seed
