"""Damaged JSON, the same for the same seed: of its bytes, of its text, and of its values."""

import copy
import json
import random

from tests.datasets import mutations

_ODD = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 1e308, 1.5, float("nan"),
    float("inf"), "", "no", "1", "\x1b[2J\x1b]0;x\x07", "a\nb", "\udcff", "\u202e", "x" * 5000,
    "../../etc/passwd", "/dev/zero", [], [[]], {}, [None], {"a": 1}, [1] * 1000, ["a", 1],
)  # fmt: skip
_TEXTS = (
    b"", b"{", b"null", b"[]", b"5", b'"text"', b"[" * 50_000, b'{"a":' * 50_000, b"\xff\xfe{}",
    b"\xef\xbb\xbf{}", b"1" * 10_000, b"\0" * 100, b"{}" * 50, b"-", b"tru", b"\xed\xa0\x80",
)  # fmt: skip


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Returns a JSON text, or one with a JSON value a line, with damage."""
    kind = rng.random()
    if kind < 0.3:
        return mutations.mutated(content, rng)
    if kind < 0.35:
        return rng.choice(_TEXTS)
    if kind < 0.4:
        return _with_a_key_twice(content, rng)
    lines = content.splitlines() if content.count(b"\n}") == 0 else [content]
    place = rng.randrange(len(lines))
    if kind < 0.45:
        lines[place] = rng.choice(_TEXTS)
    elif kind < 0.5:
        lines.insert(place, rng.choice(lines))
    else:
        try:
            values = json.loads(lines[place])
        except ValueError:
            return content[: rng.randrange(len(content) + 1)]
        for _ in range(rng.choice((1, 1, 2))):
            values = _with_an_odd_value(values, rng)
        lines[place] = json.dumps(values).encode()
    return b"\n".join(lines) + b"\n"


def _with_a_key_twice(content: bytes, rng: random.Random) -> bytes:
    keys = [at for at, byte in enumerate(content) if byte == ord("{")]
    at = rng.choice(keys) + 1 if keys else 0
    first = content[at:].partition(b":")[0]
    return content[:at] + first + b': "other", ' + content[at:]


def _with_an_odd_value(values, rng):
    """Replaces, removes, adds or deeply nests a value at a random place."""
    parents = []
    pending = [values]
    while pending:
        value = pending.pop()
        if isinstance(value, (dict, list)) and value:
            parents.append(value)
            pending += value.values() if isinstance(value, dict) else value
    if not parents or rng.random() < 0.05:
        return copy.deepcopy(rng.choice(_ODD))
    parent = rng.choice(parents)
    key = rng.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
    kind = rng.random()
    if kind < 0.1:
        del parent[key]
    elif kind < 0.2 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(rng.choice(_ODD)))
    elif kind < 0.25:
        for _ in range(rng.choice((3, 80, 500))):
            parent[key] = [parent[key]]
    elif kind < 0.4 and isinstance(parent[key], (int, float)):
        parent[key] = rng.choice((-parent[key], parent[key] + 1, parent[key] * 10**9, 0.5))
    else:
        parent[key] = copy.deepcopy(rng.choice(_ODD))
    return values
