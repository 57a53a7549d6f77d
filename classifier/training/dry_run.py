"""`--dry_run` of training: resolves a run, without writing."""

import slim
from classifier import ownership
from classifier.config.origins import Origins
from classifier.config.training import TrainConfig
from classifier.resolve import cluster, published_model
from classifier.resolve.training import ResolvedRun, training_run
from classifier.training import run
from classifier.training.batches import check_bad_images
from classifier.training.step import devices_of
from slim import _checks


def resolve(config: TrainConfig, origins: Origins) -> None:
    """Resolves a training run with the checks of `run.run`, and records each value's origin.

    Raises:
      UserError: as `run.run`.
    """
    config = published_model.of_training(config)
    origins.follow(config, "published checkpoint")
    config = run.with_devices(config)
    origins.follow(config, "devices")
    workers = cluster.resolve(config.strategy)
    config = cluster.with_workers(config, workers)
    origins.follow(config, workers.source or "cluster")
    resolved = training_run(config)
    check_bad_images(config, workers)
    run.check_automatic(resolved, workers)
    devices_of(config, workers)
    if not workers.task:
        ownership.check_run(config.run.train_dir)
    origins.follow(resolved.config, "finetune=auto")
    resolved, changes = run.resumed(config, resolved)
    origins.follow(resolved.config, "run's config.json")
    info = resolved.model
    network = {"preprocessing_name": info.preprocessing_name, "train_image_size": info.image_size}
    origins.update(f"network {info.model_name}", network)
    origins.update("data", {"num_classes": info.num_classes, "multi_label": info.multi_label})
    origins.add(
        "data",
        num_samples=resolved.num_samples,
        classes=_checks.listed(info.label_names, 5),
    )
    _add_steps(resolved, origins)
    latest = slim.checkpoints.latest(config.run.train_dir)
    is_resumed = latest is not None and not config.run.restart
    origins.add("train_dir", resumes=latest if is_resumed else "nothing: a new run")
    if changes:
        origins.add("run's config.json", changed=list(changes))


def _add_steps(resolved: ResolvedRun, origins: Origins) -> None:
    if resolved.config.data.is_batch_automatic:
        origins.add("the first steps of the run, by memory", global_batch_size="auto")
        return
    origins.add(
        "options and data",
        global_batch_size=resolved.global_batch_size,
        steps_per_epoch=resolved.steps_per_epoch,
        number_of_steps=resolved.number_of_steps,
        eval_every_steps=resolved.eval_every_steps,
        save_every_steps=resolved.save_every_steps,
        class_weights=resolved.class_weights,
        schedule=resolved.schedule.words,
    )
