"""The interface of decoders: from an encoded record to named items."""

import abc
from collections.abc import Sequence
from typing import Any


class DataDecoder(abc.ABC):
    """Decodes the records of a dataset into named items, such as an image and its label."""

    @abc.abstractmethod
    def decode(self, data: Any, items: Sequence[str]) -> list[Any]:
        """Returns the tensors of the items, in the order of `items`.

        Args:
          data: one encoded record.
          items: names of `list_items()`.

        Raises:
          ValueError: if an item is unknown.
        """

    @abc.abstractmethod
    def list_items(self) -> list[str]:
        """Returns the names of the items."""
