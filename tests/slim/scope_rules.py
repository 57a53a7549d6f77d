"""The rules of scopes, written down once more without TensorFlow, and random programs for them.

A program is a list of statements; `run` executes it against a machine, which is either `Rules`
(below) or the library (see test_scope_programs.py), and returns the events: the names of variables
and arguments of calls, or "error".
"""

import dataclasses
import random
import threading

SCOPES = ["a", "b"]
# Not names of scopes: a graph makes the names of its ops unique, also against name scopes.
VARIABLES = ["v", "w"]
FUNCTIONS = ["f", "g"]
ARGUMENTS = ["x", "y"]
AUTO = "auto"


def program(rng: random.Random, depth: int = 0, length: int = 5) -> list[dict]:
    """Returns random statements."""
    return [statement(rng, depth) for _ in range(rng.randint(1, length))]


def statement(rng: random.Random, depth: int) -> dict:
    kinds = ["variable", "variable", "call", "call", "reuse"]
    if depth < 4:
        kinds += ["scope", "scope", "default_scope", "saved_scope", "args", "args", "saved_args"]
        kinds += ["world"] * (depth < 2) + ["thread"] * (depth < 3)
    kind = rng.choice(kinds)
    result = {"kind": kind}
    if kind in ("variable", "scope", "default_scope"):
        result["name"] = rng.choice(VARIABLES if kind == "variable" else SCOPES)
    if kind in ("scope", "saved_scope"):
        result["reuse"] = rng.choice([None, None, True, AUTO])
    if kind == "call":
        result["function"] = rng.choice(FUNCTIONS)
        result["explicit"] = {n: rng.randint(0, 9) for n in ARGUMENTS if rng.random() < 0.3}
    if kind == "args":
        result["functions"] = rng.sample(FUNCTIONS, rng.randint(1, 2))
        result["values"] = {n: rng.randint(10, 99) for n in ARGUMENTS if rng.random() < 0.7}
    if kind in ("saved_scope", "saved_args"):
        result["which"] = rng.random()
    if kind == "world":
        result["number"] = rng.randint(0, 1)
    if kind not in ("variable", "call", "reuse"):
        result["body"] = program(rng, depth + 1, 4)
    return result


def run(machine, statements: list[dict], events: list, scopes: list, saved: list) -> None:
    """Executes statements; an error ends only its own statement."""
    for one in statements:
        kind, body = one["kind"], one.get("body")
        if kind == "variable":
            events.append(_or_error(machine, lambda one=one: machine.variable(one["name"])))
        elif kind == "call":
            call = lambda one=one: machine.call(one["function"], one["explicit"])  # noqa: E731
            events.append(_or_error(machine, call))
        elif kind == "reuse":
            machine.reuse_variables()
        elif kind == "thread":
            run_thread(machine, body, events)
        elif kind == "world":
            with machine.world(one["number"]):
                run(machine, body, events, [], saved)
        elif kind in ("args", "saved_args"):
            if kind == "saved_args" and not saved:
                continue
            opened = (
                machine.args(one["functions"], one["values"])
                if kind == "args"
                else machine.args_again(saved[int(one["which"] * len(saved))])
            )
            with opened as scope:
                saved.append(scope)
                run(machine, body, events, scopes, saved)
        else:
            if kind == "saved_scope" and not scopes:
                continue
            opened = {
                "scope": lambda one=one: machine.scope(one["name"], one["reuse"]),
                "default_scope": lambda one=one: machine.default_scope(one["name"]),
                "saved_scope": lambda one=one: machine.scope(
                    scopes[int(one["which"] * len(scopes))], one["reuse"]
                ),
            }[kind]()
            with opened as scope:
                events.append(machine.name_of(scope))
                scopes.append(scope)
                run(machine, body, events, scopes, saved)


def run_thread(machine, body: list[dict], events: list) -> None:
    """Executes statements in a thread, whose scopes and worlds start empty."""
    own: list = []

    def target() -> None:
        with machine.world(0):
            run(machine, body, own, [], [])

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    events.append(own)


def _or_error(machine, action):
    try:
        return action()
    except machine.errors:
        return "error"


@dataclasses.dataclass
class _Scope:
    name: str
    reuse: object


class _Place:
    """Where a thread is: in a pass of a store, or in a graph."""

    def __init__(self, variables: set[str]) -> None:
        self.variables = variables
        self.requested: set[str] = set()
        self.opened: dict[str, int] = {}
        self.scopes = [_Scope("", None)]


class Rules:
    """The rules.

    Args:
      passes: True for stores, where a world entered again is a new pass that may ask for each
        variable once more; False for graphs, which go on where the thread left them.
    """

    errors = (ValueError,)

    def __init__(self, passes: bool) -> None:
        self._passes = passes
        self._variables: dict[int, set[str]] = {0: set(), 1: set()}
        self._local = threading.local()

    @property
    def _thread(self):
        if not hasattr(self._local, "places"):
            self._local.places, self._local.args, self._local.graphs = [], [{}], {}
        return self._local

    @property
    def _place(self) -> _Place:
        return self._thread.places[-1]

    def world(self, number: int):
        place = _Place(self._variables[number])
        if not self._passes:
            place = self._thread.graphs.setdefault(number, place)
        return _Entered(self._thread.places, place)

    def variable(self, name: str) -> str:
        place, scope = self._place, self._place.scopes[-1]
        full = f"{scope.name}/{name}".strip("/")
        taken = full in (place.requested if self._passes else place.variables)
        if (taken and not scope.reuse) or (scope.reuse is True and full not in place.variables):
            raise ValueError(full)
        place.variables.add(full)
        place.requested.add(full)
        return full

    def call(self, function: str, explicit: dict) -> dict:
        return {"x": 0, "y": 0} | self._thread.args[-1].get(function, {}) | explicit

    def reuse_variables(self) -> None:
        self._place.scopes[-1].reuse = True

    def args(self, functions: list[str], values: dict):
        outer = self._thread.args[-1]
        return _Entered(
            self._thread.args, outer | {f: outer.get(f, {}) | values for f in functions}
        )

    def args_again(self, saved: dict):
        return _Entered(self._thread.args, saved)

    def name_of(self, scope: _Scope) -> str:
        return scope.name

    def default_scope(self, name: str):
        outer = self._place.scopes[-1].name
        prefix = f"{outer}/" if outer else ""
        unique, number = name, 0
        while self._place.opened.get(prefix + unique):
            number += 1
            unique = f"{name}_{number}"
        return self.scope(unique, None)

    def scope(self, name_or_scope, reuse):
        place = self._place
        again = isinstance(name_or_scope, _Scope)
        outer = name_or_scope if again else place.scopes[-1]
        name = outer.name if again else f"{outer.name}/{name_or_scope}".strip("/")
        place.opened[name] = place.opened.get(name, 0) + 1
        before = dict(place.opened)

        def leave() -> None:
            # Automatic names below start over; those in a scope entered again leave no trace.
            if again:
                place.opened = before
            else:
                for each in [n for n in place.opened if n.startswith(f"{name}/")]:
                    place.opened[each] = 0

        return _Entered(place.scopes, _Scope(name, reuse or outer.reuse), leave)


class _Entered:
    """Pushes a value on a stack while it is entered."""

    def __init__(self, stack: list, value, leave=lambda: None) -> None:
        self._stack, self._value, self._leave = stack, value, leave

    def __enter__(self):
        self._stack.append(self._value)
        return self._value

    def __exit__(self, *_) -> None:
        self._stack.pop()
        self._leave()
