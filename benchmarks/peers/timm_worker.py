"""timm's networks on PyTorch, eager and compiled."""

from collections.abc import Callable
from typing import Any

import protocol
import timm
import torch


def prepare(
    function: str, size: int, batch: int, dtype: str, mode: str, options: Any
) -> tuple[protocol.Run, dict[str, Any]]:
    """Prepares a network.

    Args:
      function: its name in timm.
      size: height and width of its images.
      batch: number of images.
      dtype: float32, or bfloat16 by autocast.
      mode: "train" or "predict", with ", compiled" for `torch.compile`.
      options: of the training, see `benchmarks/training.py`.
    """
    mode, _, compiled = mode.partition(", ")
    training = mode == "train"
    arguments = {"aux_logits": True} if training and function == "inception_v3" else {}
    network = timm.create_model(function, num_classes=options["classes"], **arguments)
    network = network.to(memory_format=torch.channels_last).train(training)
    images = torch.rand([batch, 3, size, size]).to(memory_format=torch.channels_last)
    labels = torch.randint(options["classes"], [batch])
    facts = {**_counted(network, images[:1]), "version": f"PyTorch {torch.__version__}"}
    if compiled:
        network = torch.compile(network)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16")
    if training:
        step = _training_step(network, images, labels, autocast, options)
    else:
        step = _prediction(network, images, autocast)
    return protocol.repeated(step), facts


def _training_step(
    network: torch.nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    autocast: torch.autocast,
    options: Any,
) -> Callable[[], object]:
    optimizer = torch.optim.RMSprop(
        network.parameters(),
        options["learning_rate"],
        alpha=options["decay"],
        momentum=options["momentum"],
        eps=options["epsilon"],
        weight_decay=options["weight_decay"],
    )
    loss_fn = torch.nn.functional.cross_entropy

    def step() -> float:
        optimizer.zero_grad()
        with autocast:
            logits = network(images)
            if isinstance(logits, tuple):  # with those of the auxiliary classifier
                loss = loss_fn(logits[0], labels) + 0.4 * loss_fn(logits[1], labels)
            else:
                loss = loss_fn(logits, labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _prediction(
    network: torch.nn.Module, images: torch.Tensor, autocast: torch.autocast
) -> Callable[[], object]:
    def step() -> object:
        with torch.inference_mode(), autocast:
            return network(images).softmax(-1).float().numpy()

    return step


def _counted(network: torch.nn.Module, image: torch.Tensor) -> dict[str, int]:
    total = 0

    def add(layer: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output.numel() * layer.weight[0].numel()

    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, kinds)]
    training = network.training
    with torch.no_grad():
        network.eval()(image)
    network.train(training)
    for hook in hooks:
        hook.remove()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"parameters": parameters, "multiply_adds": total}


if __name__ == "__main__":
    protocol.serve(prepare)
