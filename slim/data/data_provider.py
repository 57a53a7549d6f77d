"""The base class of providers: named tensors of a dataset's examples."""

from collections.abc import Mapping, Sequence
from typing import Any

from slim import _checks


class DataProvider:
    """Returns the requested items of a dataset.

    In a plain `tf.Graph`, all items that one provider returns belong to the same example, and each
    run of a session evaluates the next one.
    """

    def __init__(self, items_to_tensors: Mapping[str, Any], num_samples: int) -> None:
        """Initializes the provider.

        Args:
          items_to_tensors: item -> its tensor.
          num_samples: number of examples per epoch.
        """
        self._items_to_tensors = items_to_tensors
        self._num_samples = num_samples

    def get(self, items: Sequence[str]) -> list[Any]:
        """Returns the tensors of the items, in the order of `items`.

        Args:
          items: a list or tuple of names of `list_items()`.

        Raises:
          ValueError: if `items` is not a list or tuple.
          UserError: if an item is unknown.
        """
        self._validate_items(items)
        return [self._items_to_tensors[item] for item in items]

    def list_items(self) -> list[str]:
        """Returns the names of the items."""
        return list(self._items_to_tensors)

    def num_samples(self) -> int:
        """Returns the number of examples per epoch."""
        return self._num_samples

    def _validate_items(self, items: Sequence[str]) -> None:
        if not isinstance(items, (list, tuple)):
            raise ValueError(f"items={items!r} must be a list or tuple of names")
        for item in items:
            _checks.one_of("item", item, self.list_items())
