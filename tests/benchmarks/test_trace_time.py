"""The table of times in docs/networks.md, and the tool that writes it."""

import pytest

from benchmarks import trace_time
from nets.nets_factory import NETWORKS


def test_documentation_lists_every_network():
    documented = list(trace_time.read_table())
    missing = " ".join(sorted(set(NETWORKS) - set(documented)))
    assert documented == sorted(NETWORKS), f"benchmarks/trace_time.py {missing} adds it"


def test_tracing_is_not_slower_than_in_tf_slim():
    table = trace_time.read_table()
    assert all(table[name][-1] for name in trace_time.LIMITS), "not measured"
    assert not trace_time.too_slow(table)


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page with a table of one network, in place of the real one."""
    path = tmp_path / "networks.md"
    path.write_text(f"above\n{trace_time.BEGIN}\n{trace_time.END}\nbelow\n")
    trace_time.write_table({"lenet": ("lenet", "0.1", "0.06")}, path)
    return path


def test_written_table_is_read_back(page):
    assert trace_time.read_table(page) == {"lenet": ("lenet", "0.1", "0.06")}
    assert page.read_text().startswith("above\n<!--")
    assert page.read_text().endswith("-->\nbelow\n")


def test_slow_network_is_reported():
    assert trace_time.too_slow({"nasnet_large": ("nasnet_large", "9.1")}) == [
        "nasnet_large: 9.1 times inception_v3, TF-Slim 8.5"
    ]
    assert not trace_time.too_slow({"nasnet_large": ("nasnet_large", "8.5"), "lenet": ("9",)})


def test_page_without_markers_is_an_error(tmp_path):
    (tmp_path / "page.md").write_text("above")
    with pytest.raises(SystemExit, match="page.md does not contain the markers <!-- by"):
        trace_time.write_table({}, tmp_path / "page.md")


def test_tracer_traces_the_training_function():
    concrete = trace_time.tracer("lenet")()
    operations = {operation.type for operation in concrete.graph.get_operations()}
    assert {"Conv2D", "Conv2DBackpropFilter", "ResourceApplyMomentum", "L2Loss"} <= operations
