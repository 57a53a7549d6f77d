"""`tf.contrib.training.HParams`: named hyperparameters, with a type each."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["HParams"]

# name=value or name[index]=value, where a value may be a list in brackets.
_ASSIGNMENT = re.compile(
    r"\s*(?P<name>\w+)\s*(?:\[(?P<index>\d+)\])?\s*=\s*(?P<value>\[[^\]]*\]|[^,\[]*)\s*(?:,|$)"
)
_TRUTH = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class HParams:
    """Hyperparameters as attributes; a value keeps the type of its default.

    Args:
      hparam_def: not supported: a protocol buffer of TensorFlow 1.
      model_structure: any object, kept as it is.
      **kwargs: names and defaults: numbers, strings, booleans, or lists of one of these.

    Raises:
      ValueError: for a `hparam_def`, a reserved name or an empty list.
    """

    def __init__(self, hparam_def: Any = None, model_structure: Any = None, **kwargs: Any) -> None:
        if hparam_def is not None:
            raise ValueError("hparam_def is not supported. Pass the hyperparameters by name")
        self._types: dict[str, tuple[type, bool]] = {}
        self._model_structure = model_structure
        for name, value in kwargs.items():
            self.add_hparam(name, value)

    def add_hparam(self, name: str, value: Any) -> None:
        """Adds a hyperparameter.

        Raises:
          ValueError: if the name is taken or reserved, or the value an empty list.
        """
        if getattr(self, name, None) is not None:
            raise ValueError(f"Hyperparameter name is reserved: {name}. Choose another name")
        is_list = isinstance(value, (list, tuple))
        if is_list and not value:
            raise ValueError(f"Multi-valued hyperparameters cannot be empty: {name}")
        self._types[name] = (type(value[0] if is_list else value), is_list)
        setattr(self, name, list(value) if is_list else value)

    def set_hparam(self, name: str, value: Any) -> None:
        """Sets a hyperparameter, cast to its type.

        Raises:
          KeyError: if there is none of this name.
          ValueError: if the value has another type, or is a list where none is expected.
        """
        kind, is_list = self._type_of(name)
        if is_list != isinstance(value, (list, tuple)):
            expected = "a list" if is_list else "a single value"
            raise ValueError(f"Hyperparameter {name} must be {expected}, not {value!r}")
        setattr(self, name, [_cast(name, v, kind) for v in value] if is_list
                else _cast(name, value, kind))  # fmt: skip

    def del_hparam(self, name: str) -> None:
        """Removes a hyperparameter, if there is one of this name."""
        if name in self._types:
            del self._types[name]
            delattr(self, name)

    def parse(self, values: str) -> "HParams":
        """Sets hyperparameters from "name=value,other=[1,2],list[1]=3".

        Returns:
          This object.

        Raises:
          ValueError: if the text cannot be parsed, there is no hyperparameter of a name, or a value
            has another type.
        """
        position = 0
        while position < len(values):
            match = _ASSIGNMENT.match(values, position)
            if match is None:
                raise ValueError(f"Malformed hyperparameter value: {values[position:]!r}")
            position = match.end()
            self._parse_one(match["name"], match["index"], match["value"].strip())
        return self

    def _parse_one(self, name: str, index: str | None, text: str) -> None:
        if name not in self._types:
            raise ValueError(f"Unknown hyperparameter {name}. Known: {sorted(self._types)}")
        kind, is_list = self._types[name]
        if index is not None:
            if not is_list:
                raise ValueError(f"Hyperparameter {name} is not a list. Remove [{index}]")
            items = list(getattr(self, name))
            items += [None] * (int(index) + 1 - len(items))
            items[int(index)] = _cast(name, text, kind)
            setattr(self, name, items)
        elif text.startswith("["):
            self.set_hparam(name, [each.strip() for each in text[1:-1].split(",") if each.strip()])
        else:
            self.set_hparam(name, text)

    def override_from_dict(self, values_dict: Mapping[str, Any]) -> "HParams":
        """Sets hyperparameters from a dict and returns this object; errors as in `set_hparam`."""
        for name, value in values_dict.items():
            self.set_hparam(name, value)
        return self

    def parse_json(self, values_json: str) -> "HParams":
        """Sets hyperparameters from a JSON object and returns this object."""
        return self.override_from_dict(json.loads(values_json))

    def values(self) -> dict[str, Any]:
        """Returns the hyperparameters by name."""
        return {name: getattr(self, name) for name in self._types}

    def get(self, key: str, default: Any = None) -> Any:
        """Returns a hyperparameter, or the default if there is none of this name."""
        return getattr(self, key) if key in self._types else default

    def to_json(
        self,
        indent: int | None = None,
        separators: Sequence[str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        """Returns the hyperparameters as a JSON object."""
        separators = None if separators is None else tuple(separators)
        return json.dumps(self.values(), indent=indent, separators=separators, sort_keys=sort_keys)

    def get_model_structure(self) -> Any:
        """Returns the model structure."""
        return self._model_structure

    def set_model_structure(self, model_structure: Any) -> None:
        """Sets the model structure."""
        self._model_structure = model_structure

    def __contains__(self, key: str) -> bool:
        """Whether there is a hyperparameter of this name."""
        return key in self._types

    def __repr__(self) -> str:
        """All names and values."""
        return f"HParams({', '.join(f'{n}={v!r}' for n, v in sorted(self.values().items()))})"

    def _type_of(self, name: str) -> tuple[type, bool]:
        if name not in self._types:
            raise KeyError(f"Unknown hyperparameter {name}. Known: {sorted(self._types)}")
        return self._types[name]


def _cast(name: str, value: Any, kind: type) -> Any:
    """Returns the value in the hyperparameter's type; a number loses no digits."""
    if value is None or kind is type(None):
        return value
    if kind is bool:
        truth = _TRUTH.get(str(value).lower())
        if truth is not None:
            return truth
    elif isinstance(value, bool) or (isinstance(value, str) and kind is str):
        if kind is str:
            return value
    else:
        try:
            converted = kind(value)
            if kind is not int or isinstance(value, str) or converted == value:
                return converted
        except (TypeError, ValueError):
            pass
    raise ValueError(f"Could not cast hyperparameter {name} of type {kind.__name__} from {value!r}")
