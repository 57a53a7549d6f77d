"""A loaded model and a server of it."""

import pytest

from tests.classifier.serving import servers


@pytest.fixture(scope="module")
def model(lenet_run):
    """The model of `lenet_run`."""
    return servers.load(lenet_run)


@pytest.fixture(scope="module")
def client(model):
    """A client of a server."""
    with servers.running(model, max_batch_size=servers.BATCH) as started:
        yield started
