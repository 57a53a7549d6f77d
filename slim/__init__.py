"""slim: short code for image classifiers, on TensorFlow 2.

```python
import slim

with slim.arg_scope([slim.conv2d], weights_regularizer=slim.l2_regularizer(5e-4)):
    net = slim.repeat(images, 2, slim.conv2d, 64, [3, 3], scope="conv1")
```

TensorFlow is imported when the first name that needs it is used: flags and tables are checked
before.
"""

import importlib
from typing import Any

# These two modules need no TensorFlow. `slim.arg_scope` is the function, as in TF-Slim.
from slim.arg_scope import (
    add_arg_scope,
    arg_scope,
    arg_scope_func_key,
    arg_scoped_arguments,
    current_arg_scope,
    has_arg_scope,
)

_MODULES = [
    "checkpoints",
    "evaluation",
    "data",
    "initializers",
    "layers",
    "learning",
    "losses",
    "metrics",
    "model_analyzer",
    "optimizers",
    "quantization",
    "regularizers",
    "queues",
    "summaries",
    "variables",
    "training",
]
_ALIASES = {"train_eval": "slim.training.evaluation", "utils": "slim.layers.utils"}
# Modules of `slim.data`, which TF-Slim had here.
_OF_DATA = [
    "data_decoder",
    "data_provider",
    "dataset",
    "dataset_data_provider",
    "parallel_reader",
    "prefetch_queue",
    "tfexample_decoder",
]
_NAMES = {
    "slim.checkpoints": """
        assign_from_checkpoint assign_from_checkpoint_fn assign_from_values assign_from_values_fn
    """,
    "slim.graph.framework": "VariableDeviceChooser",
    "slim.graph.optimize_loss": """
        OPTIMIZER_CLS_NAMES OPTIMIZER_SUMMARIES adaptive_clipping_fn optimize_loss
    """,
    "slim.initializers": """
        constant_initializer ones_initializer random_normal_initializer random_uniform_initializer
        truncated_normal_initializer variance_scaling_initializer xavier_initializer
        xavier_initializer_conv2d zeros_initializer
    """,
    "slim.keras_model": "KerasModel",
    "slim.layers": """
        GDN RevBlock avg_pool2d avg_pool3d batch_norm bias_add bucketize conv1d conv2d
        conv2d_in_plane conv2d_transpose conv3d conv3d_transpose convolution convolution1d
        convolution2d convolution2d_in_plane convolution2d_transpose convolution3d
        convolution3d_transpose dense_to_sparse dropout elu flatten fully_connected gdn
        group_norm images_to_sequence instance_norm layer_norm legacy_fully_connected
        legacy_linear legacy_relu linear max_pool2d max_pool3d maxout one_hot_encoding pool
        recompute_grad relu relu6 repeat rev_block scale_gradient separable_conv2d
        separable_convolution2d sequence_to_images softmax spatial_softmax stack unit_norm
    """,
    "slim.layers.summaries": """
        summarize_activation summarize_activations summarize_biases summarize_collection
        summarize_tensor summarize_tensors summarize_variables summarize_weights
    """,
    "slim.outputs": "collect_named_outputs convert_collection_to_dict",
    "slim.regularizers": """
        apply_regularization l1_l2_regularizer l1_regularizer l2_regularizer sum_regularizer
    """,
    "slim.scopes": "AUTO_REUSE VariableScope",
    "slim.passes": "current_pass current_store reset_default_store",
    "slim.store": "FrozenStore VariableStore",
    "slim.variables": """
        add_model_variable assert_global_step assert_or_get_global_step create_global_step
        filter_variables get_global_step get_local_variables get_model_variables
        get_or_create_global_step get_trainable_variables get_unique_variable
        get_variable_full_name get_variable_scope get_variables get_variables_by_name
        get_variables_by_suffix get_variables_to_restore global_variable local_variable
        model_variable variable variable_scope
    """,
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [  # noqa: PLE0604 - the tables above are the only source
    "add_arg_scope",
    "arg_scope",
    "arg_scope_func_key",
    "arg_scoped_arguments",
    "current_arg_scope",
    "has_arg_scope",
    *_MODULES,
    *_OF_DATA,
    *_ALIASES,
    *_HOMES,
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("slim._version").version()
    if name in _MODULES:
        return importlib.import_module(f"slim.{name}")
    if name in _OF_DATA:
        return importlib.import_module(f"slim.data.{name}")
    if name in _ALIASES:
        return importlib.import_module(_ALIASES[name])
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'slim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
