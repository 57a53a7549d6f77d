"""The options of training: one class per concern, one field per flag.

A new flag is a field of its group, and code that reads it (a test checks this). The defaults are
TF-Slim's, except where `tf_slim=` declares a different one.
"""

import dataclasses

from classifier.config.augmentation import AugmentationOptions
from classifier.config.bad_images import BadImageOptions
from classifier.config.data import TrainingDataOptions
from classifier.config.dataset_source import SourceOptions
from classifier.config.distillation import DistillationOptions
from classifier.config.failures import FailureOptions
from classifier.config.finetuning import BatchNormOptions, FinetuneOptions
from classifier.config.network import LossOptions, NetworkOptions
from classifier.config.optimizer import OptimizerOptions
from classifier.config.reporting import ReportingOptions
from classifier.config.run import RunOptions, SavingOptions
from classifier.config.schedule import ScheduleOptions
from classifier.config.step import StepOptions
from classifier.config.strategy import StrategyOptions
from classifier.config.validation import ValidationOptions


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Options of `train_image_classifier.py`."""

    run: RunOptions
    data: TrainingDataOptions
    source: SourceOptions = SourceOptions()
    bad_images: BadImageOptions = BadImageOptions()
    augmentation: AugmentationOptions = AugmentationOptions()
    network: NetworkOptions = NetworkOptions()
    loss: LossOptions = LossOptions()
    distillation: DistillationOptions = DistillationOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    step: StepOptions = StepOptions()
    finetune: FinetuneOptions = FinetuneOptions()
    batch_norm: BatchNormOptions = BatchNormOptions()
    strategy: StrategyOptions = StrategyOptions()
    validation: ValidationOptions = ValidationOptions()
    failures: FailureOptions = FailureOptions()
    saving: SavingOptions = SavingOptions()
    reporting: ReportingOptions = ReportingOptions()
