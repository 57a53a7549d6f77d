"""`--dry_run` of export: resolves the options, without writing."""

from classifier import ownership
from classifier.config.export import ExportConfig
from classifier.config.origins import Origins
from classifier.inference.dry_run import PUBLISHED, classes, of_location, of_model, opened
from classifier.resolve import export as exports
from classifier.resolve import published_model
from classifier.resolve.graph import graph


def resolve(config: ExportConfig, origins: Origins) -> None:
    """Resolves an export with the checks of `run.run`.

    Raises:
      UserError, RunError: as `run.run`.
    """
    if config.run.checkpoint_path is None:
        ownership.check_output("output_file", config.run.output_file)
        resolved_graph = graph(config)
        origins.update("network", {"model_name": resolved_graph.model_name})
        origins.update("data", {"num_classes": resolved_graph.num_classes})
        origins.add("options and network", input_shape=resolved_graph.input_shape)
        return
    exports.check_export(config)
    config = published_model.of_trained(config)
    origins.follow(config, PUBLISHED)
    ownership.check_export(str(config.run.output_dir))
    info, run, head_classes = opened(str(config.run.checkpoint_path), origins)
    resolved = exports.export(config, info, head_classes, run)
    origins.update(*of_model(info, resolved.model, resolved.image_size))
    origins.update("run's config.json", of_location(resolved.location))
    origins.update("default", {"formats": resolved.formats})
    origins.add("model", classes=classes(resolved.model))
    origins.add("data", compared_on=resolved.dataset or "digits of slim")
