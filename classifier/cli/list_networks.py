"""The table of `--list_networks`."""

from collections.abc import Iterator, Sequence

from nets import nets_factory, published, sizes

_HEADINGS = ("network", "parameters", "multiply-adds", "image", "published checkpoints")


def rows(names: Sequence[str] | None = None) -> Iterator[tuple[str, str, str, str, str]]:
    """Yields the columns of each network's line.

    Args:
      names: which networks; all by default.
    """
    for name in names or sorted(nets_factory.NETWORKS):
        files = ", ".join(row.stem for row in published.of_network(name)) or "none"
        size = sizes.sizes().get(name)
        yield (
            name,
            f"{size.parameters / 1e6:.2f} M" if size else "-",
            f"{size.multiply_adds / 1e6:,.0f} M" if size else "-",
            str(nets_factory.NETWORKS[name].image_size),
            files,
        )


def show() -> None:
    """Prints the table."""
    width = max(map(len, nets_factory.NETWORKS)) + 2
    print(_line(_HEADINGS, width))
    for row in rows():
        print(_line(row, width))


def _line(row: Sequence[str], width: int) -> str:
    name, parameters, multiply_adds, image, files = row
    return f"{name:<{width}}{parameters:>11}{multiply_adds:>15}{image:>7}  {files}"
