"""Which modules of this library stand for those of TF-Slim and of `tensorflow.contrib`.

A source is a module, all of whose names are passed on, or `name=module:attribute`, a single name;
`name=module:` is the module itself. The first source that has a name wins. A source that starts
with `nets` is found in a checkout and in an installation, where its package is `slim.nets`.
"""

_LAYERS = ("slim.layers", "slim.layers.utils", "slim.layers._common", "slim")
_FAMILIES = ("alexnet", "inception", "overfeat", "resnet_utils", "resnet_v1", "resnet_v2", "vgg")
_NETWORKS = (*_FAMILIES, "inception_v1", "inception_v2", "inception_v3")
_DATA = (
    "data_decoder",
    "data_provider",
    "dataset",
    "dataset_data_provider",
    "parallel_reader",
    "prefetch_queue",
    "tfexample_decoder",
)

# Below `tf_slim`, and below `tensorflow.contrib.slim.python.slim`.
_LIBRARY = {
    "": ("slim",),
    "data": ("slim.data",),
    **{f"data.{name}": (f"slim.data.{name}",) for name in _DATA},
    "evaluation": ("slim.evaluation",),
    "learning": ("slim.learning",),
    "model_analyzer": ("slim.model_analyzer",),
    "nets": tuple(f"{name}=nets.{name}:" for name in _FAMILIES),
    **{f"nets.{name}": (f"nets.{name}",) for name in _NETWORKS},
    "queues": ("slim.queues",),
    "summaries": ("slim.summaries",),
}
_TF_SLIM = {
    **_LIBRARY,
    "layers": _LAYERS,
    "layers.bucketization_op": ("slim",),
    "layers.initializers": ("slim.initializers",),
    "layers.layers": _LAYERS,
    "layers.normalization": _LAYERS,
    "layers.optimizers": ("slim",),
    "layers.regularizers": ("slim.regularizers",),
    "layers.rev_block_lib": ("slim.layers.recomputation", "slim.layers.reversible"),
    "layers.sparse_ops": ("slim.layers.sparse_ops",),
    "layers.summaries": ("slim.layers.summaries",),
    "layers.utils": ("slim.layers.utils",),
    "losses": ("slim.losses",),
    "losses.loss_ops": ("slim.losses.loss_ops",),
    "losses.metric_learning": ("slim.losses.metric_learning",),
    "metrics": ("slim.metrics",),
    "metrics.classification": ("slim.metrics",),
    "metrics.histogram_ops": ("slim.metrics",),
    "metrics.metric_ops": ("slim.metrics", "slim.metrics.concatenation"),
    "ops": (),
    "ops.arg_scope": ("slim",),
    "ops.framework_ops": ("slim.graph.framework",),
    "ops.variables": ("slim.variables", "slim"),
    "training": ("slim.training",),
    "training.evaluation": ("slim.training.evaluation",),
    "training.training": ("slim.training.training",),
}
_FRAMEWORK = (
    "slim.variables",
    "slim.graph.framework",
    "slim",
    "argsort=tensorflow:argsort",
    "init_from_checkpoint=tensorflow.compat.v1:train.init_from_checkpoint",
    "is_tensor=tensorflow:is_tensor",
    "list_variables=tensorflow:train.list_variables",
    "load_checkpoint=tensorflow:train.load_checkpoint",
    "load_variable=tensorflow:train.load_variable",
    "nest=tensorflow:nest",
    "sort=tensorflow:sort",
)
_CONTRIB = {
    "": (),
    "framework": _FRAMEWORK,
    "framework.python": (),
    "framework.python.ops": ("arg_scope=slim:arg_scope", *_FRAMEWORK),
    "framework.python.ops.arg_scope": ("slim",),
    "framework.python.ops.ops": ("slim.graph.framework",),
    "framework.python.ops.variables": _FRAMEWORK,
    "layers": (*_LAYERS, "slim.initializers", "slim.regularizers"),
    "layers.python": (),
    "layers.python.layers": (*_LAYERS, "slim.initializers", "slim.regularizers"),
    **{
        f"layers.python.layers.{name.removeprefix('layers.')}": sources
        for name, sources in _TF_SLIM.items()
        if name.startswith("layers.")
    },
    "losses": ("slim.losses",),
    "losses.metric_learning": ("slim.losses.metric_learning",),
    "losses.python": (),
    "losses.python.losses": ("slim.losses",),
    "losses.python.losses.loss_ops": ("slim.losses.loss_ops",),
    "losses.python.metric_learning": ("slim.losses.metric_learning",),
    "metrics": ("slim.metrics",),
    "metrics.python": (),
    "metrics.python.ops": (),
    "metrics.python.ops.metric_ops": ("slim.metrics",),
    "slim": ("slim",),
    "slim.nets": _LIBRARY["nets"],
    "slim.python": (),
    **{f"slim.python.slim.{name}".rstrip("."): sources for name, sources in _LIBRARY.items()},
    "training": ("slim.compat.hparams", "slim.training"),
    "training.python": (),
    "training.python.training": ("slim.compat.hparams", "slim.training"),
    "training.python.training.evaluation": ("slim.training.evaluation",),
    "training.python.training.hparam": ("slim.compat.hparams",),
    "training.python.training.training": ("slim.training.training",),
}

SOURCES: dict[str, tuple[str, ...]] = {
    **{f"tf_slim.{name}".rstrip("."): sources for name, sources in _TF_SLIM.items()},
    **{f"tensorflow.contrib.{name}".rstrip("."): sources for name, sources in _CONTRIB.items()},
}
