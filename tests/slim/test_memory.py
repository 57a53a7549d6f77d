"""Available memory, on files as Linux writes them."""

import pytest

from slim import _memory

GB = 1 << 30


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


MEMINFO = {"proc/meminfo": f"MemTotal: 9 kB\nMemAvailable:   {8 * GB // 1024} kB\n"}
V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"
GROUPS = {
    "none": ({}, 8),
    "unlimited": ({"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "max\n"}, 8),
    "container": ({
        "proc/self/cgroup": "0::/\n",
        f"{V2}/memory.max": f"{4 * GB}\n",
        f"{V2}/memory.current": f"{3 * GB}\n",
        f"{V2}/memory.stat": f"anon 5\ninactive_file {GB}\n",
    }, 2),
    "parent": ({
        "proc/self/cgroup": "0::/user/job\n",
        f"{V2}/user/memory.max": f"{3 * GB}\n",
        f"{V2}/user/memory.current": f"{GB}\n",
        f"{V2}/user/job/memory.max": "max\n",
    }, 2),
    "version 1": ({
        "proc/self/cgroup": "4:cpu,memory:/docker/1\n1:name=systemd:/\n",
        f"{V1}/memory.limit_in_bytes": f"{6 * GB}\n",
        f"{V1}/memory.usage_in_bytes": f"{GB}\n",
        f"{V1}/memory.stat": "damaged\n",
    }, 5),
    "over its limit": ({
        "proc/self/cgroup": "0::/\n",
        f"{V2}/memory.max": f"{GB}\n",
        f"{V2}/memory.current": f"{2 * GB}\n",
    }, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_available_memory_is_that_of_the_machine_or_of_a_group(name, tmp_path):
    files, expected = GROUPS[name]
    assert _memory.available_bytes(write(tmp_path, MEMINFO | files)) == expected * GB


def test_memory_is_known_on_linux_only(tmp_path):
    assert _memory.available_bytes(str(tmp_path)) is None
    assert _memory.available_bytes() is None or _memory.available_bytes() > 1_000_000
    assert _memory.resident_bytes() is None or _memory.resident_bytes() > 1_000_000
