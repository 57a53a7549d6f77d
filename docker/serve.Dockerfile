# Serves a model: docker build --file docker/serve.Dockerfile --tag slim-serve .
FROM python:3.13-slim

# Further packages, such as ai-edge-litert for .tflite or onnxruntime for .onnx.
ARG PACKAGES=""
WORKDIR /slim
COPY requirements/serve.txt requirements/
RUN pip install --no-cache-dir --require-hashes --requirement requirements/serve.txt
COPY . .
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --no-deps . \
    && if [ -n "$PACKAGES" ]; then pip install --no-cache-dir $PACKAGES; fi \
    && useradd --system --no-create-home --uid 10001 slim
USER 10001
WORKDIR /
EXPOSE 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/healthz', timeout=5)"]
ENTRYPOINT ["slim-serve", "--public", "--port=8501"]
CMD ["--model=/model"]
