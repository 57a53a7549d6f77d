"""Counted sizes: each kind of layer checked by hand, and networks against published figures."""

import pytest

import slim
from nets import nets_factory, published, sizes, statistics
from slim import _checks


def conv2d(images):
    slim.conv2d(images, 5, [3, 2], stride=2, scope="a")


def conv2d_with_batch_norm(images):
    slim.conv2d(
        images, 5, 3, normalizer_fn=slim.batch_norm, normalizer_params={"scale": True}, scope="a"
    )


def depthwise(images):
    slim.separable_conv2d(images, None, 3, depth_multiplier=2, scope="a")


def separable(images):
    slim.separable_conv2d(images, 7, 3, depth_multiplier=2, scope="a")


def fully_connected(images):
    slim.fully_connected(slim.flatten(images), 11, scope="a")


def shared_weights(images):
    slim.conv2d(images, 4, 1, scope="a")
    slim.conv2d(images, 4, 1, scope="a", reuse=True)


def no_weights(images):
    slim.avg_pool2d(images, 2, scope="a")
    slim.softmax(slim.flatten(images))


@pytest.mark.parametrize(
    "network, multiply_adds, parameters, batch_norm",
    [
        # 6x8 images with 4 channels; biases need no multiplication.
        (conv2d, (3 * 4) * 5 * (3 * 2 * 4), 3 * 2 * 4 * 5 + 5, 0),
        (conv2d_with_batch_norm, (6 * 8) * 5 * (3 * 3 * 4), 3 * 3 * 4 * 5 + 5 + 5, 10),
        (depthwise, (6 * 8) * (4 * 2) * (3 * 3), 3 * 3 * 4 * 2 + 8, 0),
        (
            separable,
            (6 * 8) * 8 * (3 * 3) + (6 * 8) * 7 * 8,
            3 * 3 * 4 * 2 + 8 * 7 + 7,
            0,
        ),
        (fully_connected, 6 * 8 * 4 * 11, 6 * 8 * 4 * 11 + 11, 0),
        (shared_weights, 2 * (6 * 8) * 4 * 4, 4 * 4 + 4, 0),
        (no_weights, 0, 0, 0),
    ],
)
def test_counts_of_layers_equal_calculation_by_hand(network, multiply_adds, parameters, batch_norm):
    counted = statistics.count_function(network, [6, 8, 4])
    assert counted == statistics.Statistics(parameters, batch_norm, multiply_adds)


def test_counts_of_conv3d_equal_calculation_by_hand():
    def network(video):
        slim.conv3d(video, 5, [3, 1, 2], scope="a")

    counted = statistics.count_function(network, [4, 6, 8, 2])
    assert counted.multiply_adds == (4 * 6 * 8) * 5 * (3 * 1 * 2 * 2)
    assert counted.parameters == 3 * 1 * 2 * 2 * 5 + 5


def test_image_size_and_number_of_classes_change_the_counts():
    lenet = statistics.count("lenet", 10)
    assert lenet.multiply_adds == (
        28 * 28 * 32 * 25 + 14 * 14 * 64 * 25 * 32 + 7 * 7 * 64 * 1024 + 1024 * 10
    )
    larger = statistics.count("lenet", 10, image_size=56)
    assert larger.multiply_adds == 4 * (lenet.multiply_adds - 1024 * 10) + 1024 * 10
    assert statistics.count("lenet", 11).parameters == lenet.parameters + 1024 + 1


def test_unknown_network_is_an_error():
    with pytest.raises(_checks.UserError, match="is not known; did you mean 'lenet'"):
        statistics.count("lenett", 10)


# Arguments for widths without a row.
ARGUMENTS = {
    ("mobilenet_v2", 1.3): {"depth_multiplier": 1.3},
    ("mobilenet_v2", 0.75): {"depth_multiplier": 0.75, "finegrain_classification_mode": True},
    ("mobilenet_v2", 0.5): {"depth_multiplier": 0.5, "finegrain_classification_mode": True},
}
NAMED = {("mobilenet_v1", 1.0): "mobilenet_v1", ("mobilenet_v2", 1.0): "mobilenet_v2"} | {
    (base, int(width) / 100): f"{base}_{width}"
    for base, _, width in (name.rpartition("_") for name in nets_factory.NETWORKS)
    if base in ("mobilenet_v1", "mobilenet_v2")
}
# (network, width, image size) -> why the published multiply-adds differ.
MISPRINTS = {
    ("mobilenet_v1", 0.25, 192): (
        "34 should be 30.2: the other figures, 41 at 224, 21 at 160 and 14 at 128, are proportional"
        " to the area of the images, and so is 30"
    )
}


def figures():
    """Yields the published multiply-adds and parameters, once per network, width and size."""
    rows = {
        (row.network, row.depth_multiplier, row.image_size): row
        for row in published.checkpoints()
        if row.madds_millions is not None
    }
    # All of them take half a minute: one of each version is enough for the fast tests.
    fast = {("mobilenet_v1", 0.75, 128), ("mobilenet_v2", 0.35, 96)}
    for key, row in rows.items():
        yield pytest.param(row, id=row.stem, marks=() if key in fast else pytest.mark.slow)


def agrees(counted, figure, unit):
    """Returns whether a published figure equals the counted one, to 1 % or to its last digit.

    Some figures are rounded and some are truncated.
    """
    return abs(counted / 1e6 - figure) <= max(0.01 * figure, unit)


@pytest.mark.parametrize("row", list(figures()))
def test_counts_equal_published_figures(row):
    key = row.network, row.depth_multiplier
    name = NAMED.get(key, row.network)
    counted = statistics.count(name, 1001, row.image_size, **ARGUMENTS.get(key, {}))
    parameters, multiply_adds = counted.parameters, counted.multiply_adds
    if row.network == "mobilenet_v2":
        parameters -= counted.batch_norm_parameters  # not in version 2's figures
    if key == ("mobilenet_v1", 0.75):
        # Its figures omit the first layer, 3x3 with 3 channels and a stride of 2.
        multiply_adds -= (row.image_size // 2) ** 2 * 24 * 27
        assert multiply_adds / 1e6 == pytest.approx(row.madds_millions, abs=1)
    assert agrees(parameters, row.parameters_millions, 0.01)
    is_misprint = (*key, row.image_size) in MISPRINTS
    assert agrees(multiply_adds, row.madds_millions, 1) != is_misprint, multiply_adds


def test_every_misprint_refers_to_a_published_figure():
    rows = {(r.network, r.depth_multiplier, r.image_size) for r in published.checkpoints()}
    assert set(MISPRINTS) <= rows


def counted_networks():
    """The networks; three of them for the fast tests, since counting all takes two minutes."""
    for name in sorted(nets_factory.NETWORKS):
        fast = name in ("lenet", "mobilenet_v1_025", "vgg_a")
        yield pytest.param(name, marks=() if fast else pytest.mark.slow)


@pytest.mark.parametrize("name", list(counted_networks()))
def test_size_in_the_table_equals_the_network(name):
    counted = statistics.count(name, nets_factory.NETWORKS[name].classes)
    size = sizes.sizes().get(name)
    assert size == (counted.parameters, counted.multiply_adds), (
        "run `python -m nets.statistics` to renew nets/network_sizes.csv"
    )
