"""The table of docs/networks.md, and the tool that writes it."""

import pytest

from benchmarks import trace_time
from nets.nets_factory import NETWORKS


def test_the_table_has_every_network():
    assert list(trace_time.read_table()) == sorted(NETWORKS)


def test_tracing_is_no_slower_than_the_originals_building():
    table = trace_time.read_table()
    assert all(table[name][-1] for name in trace_time.LIMITS), "not measured"
    assert not trace_time.too_slow(table)


def test_small_networks_are_as_the_table_says():
    assert not trace_time.stale(["cifarnet", "lenet"])


@pytest.mark.slow
def test_the_table_is_as_the_networks_are():
    assert trace_time.main(["--check"]) == 0


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page with a table of one network, in place of the real one."""
    path = tmp_path / "networks.md"
    path.write_text(f"above\n{trace_time.BEGIN}\n{trace_time.END}\nbelow\n")
    trace_time.write_table({"lenet": (*trace_time.size_columns("lenet"), "0.1", "0.06")}, path)
    return path


def test_what_is_written_is_read(page):
    assert trace_time.read_table(page) == {
        "lenet": ("lenet", "28", "3.27", "14", "", "0.1", "0.06")
    }
    assert page.read_text().startswith("above\n<!--")
    assert page.read_text().endswith("-->\nbelow\n")


def test_a_stale_row_is_found(page):
    assert not trace_time.stale(["lenet"], page)
    page.write_text(page.read_text().replace("3.27", "3.28"))
    (problem,) = trace_time.stale(["lenet"], page)
    assert problem == (
        "lenet: the table has lenet | 28 | 3.28 | 14 | , the network lenet | 28 | 3.27 | 14 | "
    )
    (problem,) = trace_time.stale(["cifarnet"], page)
    assert "cifarnet: the table has no row" in problem


def test_a_network_that_became_slow_is_found():
    assert trace_time.too_slow({"nasnet_large": ("nasnet_large", "9.1")}) == [
        "nasnet_large: 9.1 times inception_v3, the original 8.5"
    ]
    assert not trace_time.too_slow({"nasnet_large": ("nasnet_large", "8.5"), "lenet": ("9",)})


def test_a_page_without_marks(tmp_path):
    (tmp_path / "page.md").write_text("above")
    with pytest.raises(SystemExit, match="page.md lacks the marks <!-- by"):
        trace_time.write_table({}, tmp_path / "page.md")


def test_the_training_function_is_traced():
    concrete = trace_time.tracer("lenet")()
    operations = {operation.type for operation in concrete.graph.get_operations()}
    assert {"Conv2D", "Conv2DBackpropFilter", "ResourceApplyMomentum", "L2Loss"} <= operations
