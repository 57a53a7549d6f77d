"""Datasets, and decoding of their records to images and labels.

The names are loaded on first use, so that importing `slim.data` loads no TensorFlow.
"""

import importlib

_NAMES = {
    "slim.data.data_decoder": "DataDecoder",
    "slim.data.data_provider": "DataProvider",
    "slim.data.dataset": "Dataset",
    "slim.data.dataset_data_provider": "DatasetDataProvider",
    "slim.data.tfexample_decoder": """
        BackupHandler BoundingBox BoundingBoxSequence Image ItemHandler ItemHandlerCallback
        KeypointsSequence LookupTensor NumBoxesSequence SparseTensor TFExampleDecoder
        TFSequenceExampleDecoder Tensor
    """,
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
_MODULES = (
    "data_decoder",
    "data_provider",
    "dataset",
    "dataset_data_provider",
    "parallel_reader",
    "prefetch_queue",
    "records",
    "tfexample_decoder",
)

__all__ = [*_HOMES, *_MODULES]  # noqa: PLE0604 - the tables above are the only source


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
