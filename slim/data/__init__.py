"""Datasets, and decoding of their records to images and labels.

The names are loaded on first use, so that importing `slim.data` loads no TensorFlow.
"""

import importlib

_HOMES = {
    "Dataset": "slim.data.dataset",
    "DatasetDataProvider": "slim.data.dataset_data_provider",
    "BoundingBox": "slim.data.tfexample_decoder",
    "Image": "slim.data.tfexample_decoder",
    "ItemHandler": "slim.data.tfexample_decoder",
    "LookupTensor": "slim.data.tfexample_decoder",
    "SparseTensor": "slim.data.tfexample_decoder",
    "TFExampleDecoder": "slim.data.tfexample_decoder",
    "Tensor": "slim.data.tfexample_decoder",
}
_MODULES = (
    "dataset",
    "dataset_data_provider",
    "parallel_reader",
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
