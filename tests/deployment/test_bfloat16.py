"""Which devices compute natively in bfloat16."""

import pytest
import tensorflow as tf

from deployment import bfloat16


@pytest.mark.parametrize(
    ("text", "native"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("flags\t\t: fpu amx_tile amx_bf16\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),
        ("flags\t\t: fpu avx2 avx512f\nmodel name\t: bf16\n", False),
        ("", False),
    ],
)
def test_the_processor_is_asked_for_its_instructions(tmp_path, monkeypatch, text, native):
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    monkeypatch.setattr(bfloat16, "_CPU_INFO", path)
    assert bfloat16.is_native(on_gpu=False) is native


def test_a_system_without_cpuinfo_is_not_native(tmp_path, monkeypatch):
    monkeypatch.setattr(bfloat16, "_CPU_INFO", tmp_path / "absent")
    assert not bfloat16.is_native(on_gpu=False)


@pytest.mark.parametrize(
    ("capabilities", "native"), [([(8, 0)], True), ([(9, 0), (7, 5)], False), ([None], False)]
)
def test_all_gpus_need_the_compute_capability(monkeypatch, capabilities, native):
    details = [{} if each is None else {"compute_capability": each} for each in capabilities]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(range(len(details))))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
    assert bfloat16.is_native(on_gpu=True) is native
