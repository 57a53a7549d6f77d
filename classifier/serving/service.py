"""The answers of the server, without HTTP."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent import futures
from typing import Any, TypeVar

from classifier.config.serving import ServingOptions
from classifier.inference.predictor import Outputs
from classifier.serving import inputs
from classifier.serving.batching import Batcher
from classifier.serving.inputs import Input, Limits, Request, RequestError
from classifier.serving.model import ServedModel
from classifier.serving.telemetry import Telemetry
from slim import _checks, _cores

_MAX_LISTED = 5
T = TypeVar("T")


class Service:
    """Answers requests with a model.

    Attributes:
      model: the model.
      options: of the server.
      telemetry: its counts.
      batch_sizes: sizes of batches, rising.
      admitted: number of requests to predict or classify that are being received or answered.

    Args:
      model: the model.
      options: of the server.
    """

    def __init__(self, model: ServedModel, options: ServingOptions) -> None:
        self.model, self.options, self.admitted = model, options, 0
        self.telemetry = Telemetry(options.max_batch_size, options.access_log)
        self.batch_sizes = model.batch_sizes(options.max_batch_size, options.max_pixels)
        self._limits = model.limits(options.max_instances, options.max_pixels)
        threads = options.num_preprocessing_threads or _cores.usable_cores()
        self._pool = futures.ThreadPoolExecutor(threads, "images")
        # Prepared images are far larger than files.
        self._room = asyncio.Semaphore(2 * options.max_batch_size + threads)
        self._reading = asyncio.Lock()
        self._batcher = Batcher(
            model.predictor.network,
            self.batch_sizes,
            options.batch_timeout / 1000,
            self.telemetry.add_batch,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs batches during the block."""
        task = asyncio.create_task(self._batcher.work())
        try:
            yield
        finally:
            task.cancel()
            self._batcher.close()
            self._pool.shutdown()

    async def predict(self, body: bytes, content_type: str) -> dict[str, Any]:
        """Returns the response to a request to predict: for each image `classes`, the name of the
        most probable class, and all `probabilities`.

        With several labels an image, `classes` has the name of each class that is one, and "" for
        the others, as a SavedModel's.

        Raises:
          RequestError: if the request is malformed, or an image cannot be decoded.
        """
        request = await self._read(inputs.read_predict, body, content_type)
        rows = [self._row(outputs) for outputs in await self._outputs(request.images)]
        if request.by_columns:
            return {"outputs": {name: [row[name] for row in rows] for name in rows[0]}}
        return {"predictions": rows}

    async def classify(self, body: bytes, content_type: str) -> dict[str, Any]:
        """Returns the response to a request to classify: for each image pairs of class name and
        probability, the most probable first.

        Raises:
          RequestError: if the request is malformed, or an image cannot be decoded.
        """
        request = await self._read(inputs.read_classify, body, content_type)
        answers = [self.model.answer(outputs) for outputs in await self._outputs(request.images)]
        response: dict[str, Any] = {"results": [answer.classes for answer in answers]}
        if self._rejects:
            response["rejected"] = [answer.is_rejected for answer in answers]
        return response

    @property
    def _rejects(self) -> bool:
        return self.model.predictor.rejects

    def _row(self, outputs: Outputs) -> dict[str, Any]:
        answer = self.model.answer(outputs)
        classes: Any = answer.classes[0][0] if answer.classes else ""
        if self.model.predictor.info.multi_label:
            labels = {name for name, _ in answer.classes}
            classes = [name if name in labels else "" for name in self.model.class_names]
        row = {"classes": classes, "probabilities": outputs.probabilities.tolist()}
        return row | ({"rejected": answer.is_rejected} if self._rejects else {})

    async def _read(
        self, read: Callable[[bytes, str, Limits], Request], body: bytes, content_type: str
    ) -> Request:
        async with self._reading:  # one at a time: lists of numbers take far more memory than text
            return await self._in_pool(read, body, content_type, self._limits)

    async def _outputs(self, images: Sequence[Input]) -> Sequence[Outputs]:
        results = await asyncio.gather(*map(self._output, images))
        bad = [f"image {i}: {each}" for i, each in enumerate(results) if isinstance(each, str)]
        if bad:
            raise RequestError(_checks.listed(bad, _MAX_LISTED))
        return results

    async def _output(self, image: Input) -> Outputs | str:
        async with self._room:
            prepared: Any = image
            if isinstance(image, bytes):
                prepared = await self._in_pool(self.model.prepare, image)
            return prepared if isinstance(prepared, str) else await self._batcher(prepared)

    def _in_pool(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def status(self) -> dict[str, Any]:
        """Returns the state of the model."""
        status = {"error_code": "OK", "error_message": ""}
        version = str(self.model.version)
        return {
            "model_version_status": [{"version": version, "state": "AVAILABLE", "status": status}]
        }

    @functools.cached_property
    def _signatures(self) -> dict[str, Any]:
        limits, classes = self._limits, len(self.model.class_names)
        outputs = {
            "classes": _tensor("DT_STRING", [-1]),
            "probabilities": _tensor("DT_FLOAT", [-1, classes]),
        } | ({"rejected": _tensor("DT_BOOL", [-1])} if self._rejects else {})
        accepted = {"serving_default": _tensor("DT_STRING", [-1])}
        if limits.shape is not None:
            sides = [-1 if side is None else side for side in limits.shape]
            dtype = "DT_UINT8" if limits.dtype == "uint8" else "DT_FLOAT"
            accepted["image_tensor"] = _tensor(dtype, [-1, *sides])
        return {
            signature: {
                "inputs": {inputs.SIGNATURES[signature]: tensor},
                "outputs": outputs,
                "method_name": "tensorflow/serving/predict",
            }
            for signature, tensor in accepted.items()
        }

    def metadata(self) -> dict[str, Any]:
        """Returns the signatures, and model_info.json's content."""
        model = self.model
        return {
            "model_spec": {
                "name": model.name,
                "signature_name": "",
                "version": str(model.version),
            },
            "metadata": {
                "signature_def": {"signature_def": self._signatures},
                "model_info": model.predictor.info.to_dict(),
            },
        }


def _tensor(dtype: str, shape: Sequence[int]) -> dict[str, Any]:
    """Returns a TensorInfo as in TensorFlow Serving's JSON."""
    sides = [{"size": str(side), "name": ""} for side in shape]
    return {"dtype": dtype, "tensor_shape": {"dim": sides, "unknown_rank": False}}
