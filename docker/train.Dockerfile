# Trains a model: docker build --file docker/train.Dockerfile --tag slim-train .
FROM python:3.13-slim

WORKDIR /slim
COPY requirements/base.txt requirements/
RUN pip install --no-cache-dir --require-hashes --requirement requirements/base.txt
COPY . .
RUN pip install --no-cache-dir --no-deps . \
    && useradd --create-home --uid 10001 slim
USER 10001
WORKDIR /home/slim
# A stopped run saves and ends with 75: the same command resumes it.
STOPSIGNAL SIGTERM
ENTRYPOINT ["slim-train"]
CMD ["--help"]
