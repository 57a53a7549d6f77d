"""Whether the devices that train compute natively in bfloat16."""

import pathlib
import re

import tensorflow as tf

_CPU_INFO = pathlib.Path("/proc/cpuinfo")
# Of x86-64 (AVX-512, AMX) and of 64-bit Arm.
_CPU_FEATURES = {"avx512_bf16", "amx_bf16", "bf16"}
# Of NVIDIA's GPUs: Ampere.
_COMPUTE_CAPABILITY = (8, 0)


def is_native(on_gpu: bool) -> bool:
    """Returns whether these devices have instructions for bfloat16.

    Args:
      on_gpu: whether to ask all GPUs instead of the processor, whose features only Linux reports.
    """
    if not on_gpu:
        return bool(_cpu_features() & _CPU_FEATURES)
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return all(each.get("compute_capability", (0, 0)) >= _COMPUTE_CAPABILITY for each in details)


def _cpu_features() -> set[str]:
    try:
        text = _CPU_INFO.read_text("ascii", errors="replace")
    except OSError:
        return set()
    line = re.search(r"^(?:flags|Features)\s*:(.*)", text, re.MULTILINE)
    return set(line[1].split()) if line else set()
