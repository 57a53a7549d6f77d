"""The formats by name, and the export that the options ask for."""

from collections.abc import Callable, Mapping

from classifier import facts, model
from classifier.config.export import DEFAULT_FORMATS, ExportConfig, ExportOptions
from classifier.exit_codes import ExitCode
from classifier.exporting import checks, frozen, graph_def, labels, model_card, saved_model
from slim import _paths

FORMATS: Mapping[str, Callable[[model.InferenceModel, ExportOptions], checks.Exported]] = {
    "frozen_pb": frozen.write,
    "saved_model": saved_model.write,
}


def run(config: ExportConfig) -> ExitCode | None:
    """Writes the formats asked for, or a GraphDef without weights, and prints where they are.

    Args:
      config: the options of `export_inference_graph.py`.

    Raises:
      UserError: if the checkpoint is not the model's, a version folder exists, options do not fit
        each other, or `eval_json` is of another checkpoint.
      RunError: if an export does not give the checkpoint's logits; it is not kept.
    """
    if config.run.checkpoint_path is None:
        graph_def.write(facts.graph(config))
        return None
    resolved = facts.export(config)
    classifier = model.InferenceModel(
        resolved.model, config.run.checkpoint_path, resolved.image_size
    )
    numbers = model_card.measured(config.run, classifier.step)
    _paths.check_writable_directory(str(config.run.output_dir), "output_dir")
    found: dict[str, checks.Exported] = {}
    for name in config.run.formats or DEFAULT_FORMATS:
        exported = found[name] = FORMATS[name](classifier, config.run)
        print(f"{name} {exported.path} largest difference {exported.difference:.1e}", flush=True)
    labels_path = labels.write(resolved.model, str(config.run.output_dir))
    if labels_path:
        print(f"labels {labels_path}")
    card_path = model_card.write(classifier, config.run, found, numbers)
    print(f"model card {card_path}" if card_path else "model card: yours is left as it is")
    for exported in found.values():
        print(f"\n{exported.usage}", flush=True)
    return None
