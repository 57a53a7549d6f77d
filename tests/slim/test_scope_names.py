"""Names of scopes and variables equal those of TensorFlow 1, for random nested scopes."""

import contextlib
import dataclasses
import random

import pytest
import tensorflow as tf

import slim


@dataclasses.dataclass
class Variable:
    leaf: str


@dataclasses.dataclass
class Scope:
    """Opens a scope by name, by default name, or reopens the n-th opened one (`again`)."""

    name: str | None
    default_name: str | None
    again: int | None
    reuse: object
    body: list


AUTO = "auto"


def random_program(rng, depth=0):
    return [random_statement(rng, depth) for _ in range(rng.randint(1, 3))]


def random_statement(rng, depth):
    if depth == 4 or rng.random() < 0.3:
        return Variable(rng.choice(["weights", "biases"]))
    reuse = rng.choice([None] * 6 + [AUTO] * 3 + [True, False])
    body = random_program(rng, depth + 1)
    form = rng.choice(["name", "default", "default", "again", "again"])
    if form == "name":
        return Scope(rng.choice(["a", "Conv", "Conv_1", "a/b", "x"]), None, None, reuse, body)
    if form == "default":
        return Scope(None, rng.choice(["Conv", "a", "Conv_1", "a/b"]), None, None, body)
    return Scope("a", None, rng.randrange(6), reuse, body)


def run(program, open_scope, get_variable, auto_reuse):
    """Returns the names of scopes, of an op in each, and of variables or "refused"."""
    trace, opened = [], []

    def execute(statements):
        for statement in statements:
            if isinstance(statement, Variable):
                try:
                    trace.append(get_variable(statement.leaf))
                except ValueError:
                    trace.append("refused")
                continue
            name = statement.name
            if statement.again is not None and opened:
                name = opened[statement.again % len(opened)]
            reuse = auto_reuse if statement.reuse is AUTO else statement.reuse
            with open_scope(name, statement.default_name, reuse) as scope:
                opened.append(scope)
                trace.append(f"{scope.name} | {scope.original_name_scope} | {tf.constant(0).name}")
                execute(statement.body)

    with tf.Graph().as_default():
        execute(program)
    return trace


def run_in_tensorflow_1(program):
    v1 = tf.compat.v1

    def open_scope(name, default_name, reuse):
        return v1.variable_scope(name, default_name, reuse=reuse, use_resource=False)

    def get_variable(leaf):
        return v1.get_variable(leaf, [], use_resource=False).op.name

    return run(program, open_scope, get_variable, v1.AUTO_REUSE)


def run_in_slim(program, store):
    def open_scope(name, default_name, reuse):
        return slim.variable_scope(name, default_name, reuse=reuse)

    def get_variable(leaf):
        variable = slim.variable(leaf, [], initializer=0.0)
        assert variable.op.name == slim.get_variable_full_name(variable)
        return variable.op.name

    with store.as_default():
        return run(program, open_scope, get_variable, slim.AUTO_REUSE)


# The programs of seed 4 are by far the longest.
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.slow] * (seed >= 3)) for seed in range(12)]
)
def test_names_of_random_programs_equal_those_of_tensorflow_1(seed):
    rng = random.Random(seed)
    for _ in range(8):
        program = random_program(rng)
        expected = run_in_tensorflow_1(program)
        assert run_in_slim(program, slim.VariableStore()) == expected, program


def test_random_programs_refuse_some_variables_and_number_some_scopes():
    rng = random.Random(0)
    lines = [line for _ in range(15) for line in run_in_tensorflow_1(random_program(rng))]
    assert 0.05 < sum(line == "refused" for line in lines) / len(lines) < 0.3
    assert any("Conv_2" in line for line in lines)


def test_automatic_names_start_over_in_each_pass():
    store = slim.VariableStore()

    def names():
        with store.as_default():
            with contextlib.ExitStack() as stack:
                return [
                    stack.enter_context(slim.variable_scope(None, "Conv")).name,
                    *(sibling_names("Conv", 3)),
                ]

    def sibling_names(default_name, count):
        siblings = []
        for _ in range(count):
            with slim.variable_scope(None, default_name) as scope:
                siblings.append(scope.name)
        return siblings

    assert names() == names() == ["Conv", "Conv/Conv", "Conv/Conv_1", "Conv/Conv_2"]
