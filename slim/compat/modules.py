"""Which modules of this library stand for those of TF-Slim and of `tensorflow.contrib`.

A source is a module, all of whose names are passed on, or `name=module:attribute`, a single name;
`name=module:` is the module itself. The first source that has a name wins. A source that starts
with `nets` is found in a checkout and in an installation, where its package is `slim.nets`.
"""

_LAYERS = ("slim.layers", "slim.layers.utils", "slim.layers._common", "slim")
_FAMILIES = ("alexnet", "inception", "overfeat", "resnet_utils", "vgg")
_NETWORKS = (*_FAMILIES, "inception_v1", "inception_v2", "inception_v3")
# With other arguments there than in research/slim.
_RESNETS = {
    version: tuple(
        f"{version}{depth}=nets.contrib_resnets:{version}{depth}"
        for depth in ("", "_50", "_101", "_152", "_200")
    )
    for version in ("resnet_v1", "resnet_v2")
}
_DATA = (
    "data_decoder",
    "data_provider",
    "dataset",
    "dataset_data_provider",
    "parallel_reader",
    "prefetch_queue",
    "tfexample_decoder",
)

# TensorFlow's modules that TF-Slim's packages pass on, as in `slim.init_ops.zeros_initializer()`.
_TENSORFLOW = tuple(
    f"{name}=tensorflow.compat.v1:"
    for name in ("array_ops", "check_ops", "clip_ops", "control_flow_ops", "init_ops", "math_ops")
)

# Below `tf_slim`, and below `tensorflow.contrib.slim.python.slim`.
_LIBRARY = {
    "": ("slim", *_TENSORFLOW),
    "data": ("slim.data",),
    **{f"data.{name}": (f"slim.data.{name}",) for name in _DATA},
    "evaluation": ("slim.evaluation",),
    "learning": ("slim.learning",),
    "model_analyzer": ("slim.model_analyzer",),
    "nets": (
        *(f"{name}=nets.{name}:" for name in _FAMILIES),
        *(f"{name}=tf_slim.nets.{name}:" for name in _RESNETS),
    ),
    **{f"nets.{name}": (f"nets.{name}",) for name in _NETWORKS},
    **{f"nets.{name}": (*networks, f"nets.{name}") for name, networks in _RESNETS.items()},
    "queues": ("slim.queues",),
    "summaries": ("slim.summaries",),
}
_TF_SLIM = {
    **_LIBRARY,
    "layers": (*_LAYERS, *_TENSORFLOW),
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
    *(
        f"{name}=tensorflow.compat.v1:debugging.{name}"
        for name in (
            "assert_same_float_dtype",
            "assert_scalar",
            "is_non_decreasing",
            "is_numeric_tensor",
            "is_strictly_increasing",
        )
    ),
    *(
        f"{name}=tensorflow.compat.v1:{name}"
        for name in (
            "broadcast_to",
            "convert_to_tensor_or_sparse_tensor",
            "CriticalSection",
            "py_func",
            "TensorSpec",
        )
    ),
    "smart_constant_value=tensorflow:get_static_value",
    "list_variables=tensorflow:train.list_variables",
    "load_checkpoint=tensorflow:train.load_checkpoint",
    "load_variable=tensorflow:train.load_variable",
    "nest=tensorflow:nest",
    "smart_cond=slim.layers.utils:smart_cond",
    "sort=tensorflow:sort",
)
_UTIL = (
    "constant_value=tensorflow:get_static_value",
    "make_ndarray=tensorflow:make_ndarray",
    "make_tensor_proto=tensorflow:make_tensor_proto",
)
_CONTRIB = {
    "": (),
    "framework": _FRAMEWORK,
    "framework.python": (),
    "framework.python.framework": _FRAMEWORK,
    "framework.python.framework.checkpoint_utils": _FRAMEWORK,
    "framework.python.ops": ("arg_scope=slim:arg_scope", *_FRAMEWORK),
    "framework.python.ops.arg_scope": ("slim",),
    "framework.python.ops.ops": ("slim.graph.framework",),
    "framework.python.ops.variables": _FRAMEWORK,
    "layers": (
        *_LAYERS,
        "slim.initializers",
        "slim.regularizers",
        *_TENSORFLOW,
        "safe_embedding_lookup_sparse=tensorflow.compat.v1:nn.safe_embedding_lookup_sparse",
    ),
    "layers.python": (),
    "layers.python.layers": (*_LAYERS, "slim.initializers", "slim.regularizers"),
    **{
        f"layers.python.layers.{name.removeprefix('layers.')}": sources
        for name, sources in _TF_SLIM.items()
        if name.startswith("layers.")
    },
    "layers.python.ops": (),
    "layers.python.ops.bucketization_op": ("slim",),
    "layers.python.ops.sparse_ops": _TF_SLIM["layers.sparse_ops"],
    "losses": ("slim.losses",),
    "losses.metric_learning": ("slim.losses.metric_learning",),
    "losses.python": (),
    "losses.python.losses": ("slim.losses",),
    "losses.python.losses.loss_ops": ("slim.losses.loss_ops",),
    "losses.python.metric_learning": ("slim.losses.metric_learning",),
    "metrics": ("slim.metrics",),
    "metrics.python": (),
    "metrics.python.metrics": ("slim.metrics",),
    "metrics.python.metrics.classification": ("slim.metrics",),
    "metrics.python.ops": (),
    "metrics.python.ops.histogram_ops": ("slim.metrics",),
    "metrics.python.ops.metric_ops": _TF_SLIM["metrics.metric_ops"],
    "metrics.python.ops.set_ops": tuple(
        f"set_{name}=tensorflow:sets.{name}"
        for name in ("difference", "intersection", "size", "union")
    ),
    # There, `slim.variable_scope` is TensorFlow's module.
    "slim": ("variable_scope=tensorflow.compat.v1:", *_LIBRARY[""]),
    "slim.nets": _LIBRARY["nets"],
    "slim.python": (),
    **{f"slim.python.slim.{name}".rstrip("."): sources for name, sources in _LIBRARY.items()},
    "training": ("slim.compat.hparams", "slim.training"),
    "training.python": (),
    "training.python.training": ("slim.compat.hparams", "slim.training"),
    "training.python.training.evaluation": ("slim.training.evaluation",),
    "training.python.training.hparam": ("slim.compat.hparams",),
    "training.python.training.training": ("slim.training.training",),
    "util": _UTIL,
}

SOURCES: dict[str, tuple[str, ...]] = {
    **{f"tf_slim.{name}".rstrip("."): sources for name, sources in _TF_SLIM.items()},
    **{f"tensorflow.contrib.{name}".rstrip("."): sources for name, sources in _CONTRIB.items()},
}

# What to use for parts of contrib that TF-Slim does not consist of, by the start of the path. What
# needs Keras 2 is there if `tf_keras` is installed and TF_USE_LEGACY_KERAS=1.
SUCCESSORS = {
    "bayesflow": "tensorflow_probability",
    "cloud": "tensorflow_io",
    "crf": "tfa.text.crf_log_likelihood (TensorFlow Addons)",
    "cudnn_rnn": "tf.keras.layers.LSTM and GRU",
    "data": "tf.data and tf.data.experimental",
    "distribute": "tf.distribute",
    "distributions": "tensorflow_probability or tf.distributions",
    "eager": "tf.GradientTape and tf.train.Checkpoint",
    "estimator": "tf.keras",
    "factorization": "scikit-learn",
    "feature_column": "tf.feature_column",
    "framework.python.ops.audio_ops": "tf.raw_ops.AudioSpectrogram, tf.raw_ops.Mfcc and tf.audio",
    "gan": "tensorflow_gan",
    "image": "tf.image or tfa.image (TensorFlow Addons)",
    "keras": "tf.keras",
    "layers.embed": "tf.nn.embedding_lookup",
    "layers.bucketized_column": "tf.feature_column.bucketized_column",
    "layers.crossed_column": "tf.feature_column.crossed_column",
    "layers.embedding_column": "tf.feature_column.embedding_column",
    "layers.feature_column": "tf.feature_column",
    "layers.input_from_feature_columns": "tf.feature_column.input_layer",
    "layers.one_hot_column": "tf.feature_column.indicator_column",
    "layers.real_valued_column": "tf.feature_column.numeric_column",
    "layers.scattered_embedding": "tf.feature_column.embedding_column",
    "layers.sparse_column": "tf.feature_column.categorical_column_with_hash_bucket and others",
    "learn": "tf.keras",
    "lite": "tf.lite",
    "lookup": "tf.lookup",
    "model_pruning": "tensorflow_model_optimization",
    "opt": "tf.train or tfa.optimizers (TensorFlow Addons)",
    "predictor": "tf.saved_model.load",
    "quantize": "slim.quantization",
    "rnn": "tf.nn.rnn_cell, tf.nn.static_rnn and tf.nn.dynamic_rnn (cells need tf_keras)",
    "saved_model": "tf.saved_model",
    "seq2seq": "tfa.seq2seq (TensorFlow Addons)",
    "session_bundle": "tf.saved_model",
    "signal": "tf.signal",
    "summary": "tf.summary",
    "tensor_forest": "tensorflow_decision_forests",
    "tensorboard": "the tensorboard package",
    "tensorrt": "tf.experimental.tensorrt",
    "tpu": "tf.tpu",
    "training.bucket": "tf.data.Dataset.bucket_by_sequence_length",
    "training.rejection_sample": "tf.data.Dataset.rejection_resample",
    "training.stratified_sample": "tf.data.Dataset.rejection_resample",
}
