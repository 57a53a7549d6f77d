"""Public addresses of this machine."""

import ipaddress
import os
import re
import socket
from collections.abc import Iterator

from classifier.config import problems
from classifier.config.problems import named

_FIB_TRIE, _IF_INET6 = "/proc/net/fib_trie", "/proc/net/if_inet6"


def check(is_allowed: bool) -> None:
    """Checks that no other network reaches this machine, or that this is allowed.

    TensorFlow's server listens on all interfaces, whatever its address, and trusts whoever
    connects.

    Raises:
      UserError: if the machine has a public address and that is not allowed.
    """
    public = [] if is_allowed else list(public_addresses())
    if public:
        raise problems.error(
            "this machine has the public address {}, where TensorFlow's server would listen too,"
            " and execute what anyone who connects asks for. If a firewall blocks it, pass {}",
            public[0],
            named("allow_public_bind"),
        )


def public_addresses() -> Iterator[str]:
    """Yields the addresses of this machine that the internet reaches."""
    addresses = {*_from_kernel()} or {*_from_name()}
    for address in sorted(addresses):
        if ipaddress.ip_address(address).is_global:
            yield address


def _from_kernel() -> Iterator[str]:
    """Yields the addresses of all interfaces, on Linux."""
    if os.path.exists(_FIB_TRIE):
        with open(_FIB_TRIE, encoding="ascii") as file:
            yield from re.findall(r"\|-- ([\d.]+)\n\s+/32 host LOCAL", file.read())
    if os.path.exists(_IF_INET6):
        with open(_IF_INET6, encoding="ascii") as file:
            for line in file:
                yield str(ipaddress.IPv6Address(int(line.split()[0], 16)))


def _from_name() -> Iterator[str]:
    try:
        places = socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        return
    yield from (str(place[4][0]).partition("%")[0] for place in places)
