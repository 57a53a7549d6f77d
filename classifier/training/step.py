"""The training step of a run and its devices."""

import functools
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

import slim
from classifier import label_kinds, network
from classifier.config.training import TrainConfig
from classifier.resolve import cluster
from classifier.resolve.training import ResolvedRun
from classifier.training import batch_norm, loss, optimizers, warm_start
from classifier.training.distillation import Teacher
from deployment.strategies import Devices
from nets.nets_factory import NETWORKS
from slim import learning
from slim.loss_scale import DynamicLossScale
from slim.reduction import AllReduce


def make_train_op(
    resolved: ResolvedRun, strategy: tf.distribute.Strategy, teacher: Teacher | None = None
) -> slim.learning.TrainOp:
    """Returns the training step of a run. Its variables are created with the first batch."""
    config = resolved.config
    name, dtype = resolved.model.model_name, config.network.compute_dtype
    loss_fn = loss.training_loss(
        make_training_network(resolved),
        resolved.model.num_classes,
        config.loss,
        resolved.class_weights,
        label_kinds.kind_of(resolved.model),
        # The auxiliary head is not fitted: its gradients would distort the features.
        0.0 if config.finetune.is_automatic else loss.AUXILIARY_WEIGHT,
        teacher,
    )
    rate = optimizers.make_learning_rate(resolved.schedule)

    def choose(names: Sequence[str]) -> Sequence[str]:
        return warm_start.variables_to_train(config.finetune, name, names)

    return learning.create_train_op(
        loss_fn,
        optimizers.make_optimizer(config.optimizer, rate, NETWORKS[name].heads),
        store=slim.VariableStore(seed=config.run.seed, keep_float32=True),
        strategy=strategy,
        variables_to_train=choose,
        clip_gradient_norm=config.optimizer.clip_gradient_norm,
        moving_average_decay=config.optimizer.moving_average_decay,
        loss_scale=DynamicLossScale() if dtype == "float16" else None,
        seed=config.run.seed,
        learning_rate_multipliers=functools.partial(
            _multipliers, resolved.schedule.multipliers, resolved.schedule.layer_decay
        ),
        accumulate_steps=config.step.accumulate_steps,
        jit_compile=_is_compiled(config),
        recompute_gradients=config.step.recompute_gradients,
        all_reduce=AllReduce(
            config.strategy.all_reduce_dtype, round(config.strategy.all_reduce_bucket_mb * 1e6)
        ),
        trace_once=True,
        keep_batch=bool(config.saving.save_summaries_secs) or config.saving.summarize_images,
    )


def make_training_network(
    resolved: ResolvedRun,
) -> Callable[[tf.Tensor], tuple[tf.Tensor, dict[str, tf.Tensor]]]:
    """Returns a run's network in training mode: a function from images to (logits, end points)."""
    config = resolved.config
    return network.training_network(
        resolved.model,
        config.loss.weight_decay,
        config.network.compute_dtype,
        _frozen_batch_norm(config, resolved.model.model_name),
        config.batch_norm.batch_norm_decay,
        resolved.quantize_delay,
        config.batch_norm.sync_batch_norm,
    )


def _frozen_batch_norm(config: TrainConfig, model_name: str) -> bool | Callable[[str], bool]:
    scopes = warm_start.trainable_scopes(config.finetune, model_name)
    return batch_norm.frozen_rule(config.batch_norm, scopes)


def _multipliers(
    factors: Mapping[str, float], layer_decay: float, names: Sequence[str]
) -> dict[str, float]:
    """Returns each variable's learning rate multiplier: that of the longest scope it is in, times
    that of its block."""
    multipliers: dict[str, float] = {}
    for scope in sorted(factors, key=len):
        inside = warm_start.in_scopes(names, [scope], "learning_rate_multipliers")
        multipliers |= dict.fromkeys(inside, factors[scope])
    if layer_decay == 1:
        return multipliers
    decays = block_decays(names, layer_decay)
    return {name: decay * multipliers.get(name, 1.0) for name, decay in decays.items()}


def block_decays(names: Sequence[str], decay: float) -> dict[str, float]:
    """Returns each variable's factor: 1 in the last block, `decay` in the one before, and so on.

    Args:
      names: variables in the order of the layers. A block is a scope directly below the network's.
      decay: factor from a block to the one before it.
    """
    depth = 1 if len({name.partition("/")[0] for name in names}) == 1 else 0
    blocks = {name: name.split("/")[depth] for name in names}
    order = list(dict.fromkeys(blocks.values()))
    return {name: decay ** (len(order) - 1 - order.index(block)) for name, block in blocks.items()}


def devices_of(config: TrainConfig, workers: cluster.Cluster = cluster.ALONE) -> Devices:
    """Returns the devices and workers that the options select."""
    options = config.strategy
    return Devices(
        num_clones=options.num_clones,
        clone_on_cpu=options.clone_on_cpu,
        worker_hosts=workers.workers,
        server_hosts=workers.hosts[len(workers.hosts) - workers.servers :],
        task=workers.task,
        all_reduce=options.all_reduce,
    )


def _is_compiled(config: TrainConfig) -> bool:
    options = config.strategy
    is_one_graph = not (config.batch_norm.sync_batch_norm or options.num_ps_tasks)
    on_gpu = is_one_graph and devices_of(config).on_gpu
    return {"auto": on_gpu, "true": True, "false": False}[config.step.jit_compile]
