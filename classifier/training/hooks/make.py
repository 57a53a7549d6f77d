"""Hooks of a training run."""

from classifier import inputs
from classifier.metrics_file import MetricsFile
from classifier.resolve.training import ResolvedRun, location_of_run
from classifier.run_directory import RunDirectory
from classifier.training.batches import TrainingBatches
from classifier.training.hooks.activations import Activations
from classifier.training.hooks.curves import Curves
from classifier.training.hooks.data_wait import DataWait
from classifier.training.hooks.image_grid import ImageGrid
from classifier.training.hooks.profiler import Profile
from classifier.training.hooks.progress import Progress
from classifier.training.hooks.tensorboard import EventHook
from classifier.training.hooks.validation import Validation
from classifier.training.hooks.watchdog import Watchdog
from classifier.training.step import make_training_network
from slim import learning


def make_hooks(
    resolved: ResolvedRun, directory: RunDirectory, batches: TrainingBatches
) -> list[learning.Hook]:
    """Returns the hooks that a run's options enable; only the first worker has them."""
    config, saving, reporting = resolved.config, resolved.config.saving, resolved.config.reporting
    metrics = MetricsFile(directory.metrics_path)
    hooks: list[learning.Hook] = [
        Progress(resolved, saving.log_every_n_steps, metrics),
        DataWait(resolved, batches.in_place),
    ]
    if config.failures.watchdog_minutes:
        hooks.append(Watchdog(config.failures.watchdog_minutes))
    if saving.save_summaries_secs:
        activations = Activations(
            make_training_network(resolved), config.data.batch_size, config.run.seed
        )
        seconds = saving.save_summaries_secs
        hooks.append(EventHook(directory.path, seconds, activations, batches.last_batch))
    if resolved.eval_every_steps:
        data, split = config.data, config.validation.eval_split_name
        limits = data.max_pixels, resolved.model
        dataset = inputs.open_dataset(location_of_run(config), split, *limits)
        hooks.append(Validation(resolved, dataset, metrics))
    if reporting.plot_curves:  # after Validation, whose metrics it draws
        hooks.append(Curves(resolved, directory.path, metrics))
    if reporting.profile_steps is not None:
        first, last = reporting.profile_steps
        hooks.append(Profile(directory.path, first, last, config.run.steps_per_loop))
    if saving.summarize_images:
        seconds = saving.save_summaries_secs
        hooks.append(
            ImageGrid(directory.path, batches.last_batch, resolved.model.class_names, seconds)
        )
    return hooks
