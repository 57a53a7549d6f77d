"""Options of `nets/mobilenet_v1_train.py` and `nets/mobilenet_v1_eval.py`, as TF-Slim has them."""

import dataclasses
import math
from collections.abc import Iterator

from classifier.config import bounds, options
from classifier.config.evaluation import EvalConfig
from classifier.config.options import Options, option, required
from classifier.config.problems import Problem, named
from classifier.config.training import TrainConfig

# depth_multiplier -> network
_NETWORKS = {
    1.0: "mobilenet_v1",
    0.75: "mobilenet_v1_075",
    0.5: "mobilenet_v1_050",
    0.25: "mobilenet_v1_025",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _NetworkOptions(Options):
    dataset_dir: str = required("Directory of the dataset imagenet.", path="directory")
    num_classes: int | None = option(
        None,
        "Number of logits, at least the dataset's number of classes. Default: the dataset's.",
        check=bounds.positive,
        tf_slim=1001,
    )
    image_size: int = option(224, "Height and width of the images.", check=bounds.positive)
    depth_multiplier: float = option(1.0, "Width of the network: 1.0, 0.75, 0.5 or 0.25.")
    quantize: bool = option(False, "Round weights and activations to 8 bits.")

    def conflicts(self) -> Iterator[Problem]:
        """Yields contradictions."""
        if self.depth_multiplier not in _NETWORKS:
            yield Problem(
                "{} is not known. Known: 1.0, 0.75, 0.5, 0.25",
                named("depth_multiplier", self.depth_multiplier),
            )

    @property
    def network(self) -> str:
        """The name of the network."""
        return _NETWORKS[self.depth_multiplier]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MobilenetTrainConfig(_NetworkOptions):
    """Training of MobileNet V1."""

    checkpoint_dir: str = required("Directory of the run.", path="new_directory")
    batch_size: int = option(64, "Batch size.", check=bounds.positive)
    number_of_steps: int | None = option(
        None, "Number of training steps. Default: no limit.", check=bounds.positive
    )
    fine_tune_checkpoint: str | None = option(
        None,
        "Checkpoint to fine-tune, with a learning rate of 0.0001 instead of 0.045. With --quantize,"
        " rounding starts at step 0 instead of 250,000.",
        path="checkpoint",
    )
    log_every_n_steps: int = option(100, "Steps between log lines.", check=bounds.positive)
    save_summaries_secs: int = option(
        100, "Seconds between TensorBoard summaries. 0 disables.", check=bounds.non_negative
    )
    save_interval_secs: int = option(
        100, "Seconds between checkpoints. 0 disables.", check=bounds.non_negative
    )
    master: str | None = option(
        None,
        "host:port of every worker, separated by commas, the same for all. Default: no workers.",
    )
    task: int = option(
        0,
        "Index of this worker; worker 0 writes checkpoints and logs.",
        check=bounds.non_negative,
    )
    ps_tasks: int = option(0, "Must be 0: parameter servers are not supported.")

    def training(self) -> TrainConfig:
        """Returns these options as those of `train_image_classifier.py`."""
        hosts = tuple(filter(None, (self.master or "").split(",")))
        delay = 0 if self.fine_tune_checkpoint else 250_000
        return options.build(
            TrainConfig,
            train_dir=self.checkpoint_dir,
            dataset_name="imagenet",
            dataset_dir=self.dataset_dir,
            model_name=self.network,
            preprocessing_name="mobilenet_v1",
            num_classes=self.num_classes,
            train_image_size=(self.image_size, self.image_size),
            batch_size=self.batch_size,
            max_number_of_steps=self.number_of_steps,
            optimizer="sgd",
            learning_rate=1e-4 if self.fine_tune_checkpoint else 0.045,
            learning_rate_decay_factor=0.94,
            num_epochs_per_decay=2.5,
            quantize_delay=delay if self.quantize else -1,
            checkpoint_path=self.fine_tune_checkpoint,
            ignore_missing_vars=self.fine_tune_checkpoint is not None,
            log_every_n_steps=self.log_every_n_steps,
            save_summaries_secs=self.save_summaries_secs,
            save_interval_secs=self.save_interval_secs,
            master=hosts,
            worker_replicas=max(1, len(hosts)),
            task=self.task,
            num_ps_tasks=self.ps_tasks,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MobilenetEvalConfig(_NetworkOptions):
    """Evaluation of MobileNet V1."""

    checkpoint_dir: str = required("Directory of the run, or a checkpoint.", path="checkpoint")
    eval_dir: str | None = option(
        None,
        "Directory to write TensorBoard events to. Default: `eval` next to the checkpoint.",
        path="new_directory",
    )
    batch_size: int = option(250, "Batch size.", check=bounds.positive)
    num_examples: int = option(50_000, "Maximum number of images.", check=bounds.positive)
    master: str | None = option(
        None, "Must be empty: evaluation runs in this process and needs no server."
    )

    def evaluation(self) -> EvalConfig:
        """Returns these options as those of `eval_image_classifier.py`."""
        return options.build(
            EvalConfig,
            checkpoint_path=self.checkpoint_dir,
            eval_dir=self.eval_dir,
            dataset_name="imagenet",
            dataset_split_name="validation",
            dataset_dir=self.dataset_dir,
            model_name=self.network,
            preprocessing_name="mobilenet_v1",
            num_classes=self.num_classes,
            eval_image_size=(self.image_size, self.image_size),
            batch_size=self.batch_size,
            max_num_batches=math.ceil(self.num_examples / self.batch_size),
            quantize=self.quantize,
            master=(self.master,) if self.master else (),
        )
