"""The public names of `slim` equal the checked-in list `public_names.txt`.

After a deliberate change, run `python tests/test_public_names.py` and review the diff of the list.
"""

import pathlib
import sys
import types

LIST = pathlib.Path(__file__).with_name("public_names.txt")


def public_names() -> list[str]:
    """Returns the names in `slim.__all__` and in the `__all__` of the modules among them."""
    import slim

    names = []
    for name in slim.__all__:
        value = getattr(slim, name)
        names.append(f"slim.{name}")
        if isinstance(value, types.ModuleType):
            names += [f"slim.{name}.{each}" for each in getattr(value, "__all__", ())]
            assert all(hasattr(value, each) for each in getattr(value, "__all__", ())), name
    return sorted(names)


def test_public_names_equal_the_checked_in_list():
    listed = LIST.read_text("utf-8").split()
    names = public_names()
    assert not set(names) - set(listed), "new: run `python tests/test_public_names.py`"
    assert not set(listed) - set(names), "removed: programs of users may break"
    assert listed == sorted(listed)


def test_all_names_are_listed_once():
    import slim

    assert len(slim.__all__) == len(set(slim.__all__))


if __name__ == "__main__":
    sys.path.insert(0, str(LIST.parent.parent))
    LIST.write_text("".join(f"{name}\n" for name in public_names()), "utf-8")
