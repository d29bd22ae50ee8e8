"""The work of a device, as a profiler records it."""

from __future__ import annotations

import pytest
import torch

from zoo_core.tools.bench.kernels import DeviceWork, Span, profiler, spans


def test_work_that_overlaps_on_several_streams_counts_once() -> None:
    work = DeviceWork.of(
        [
            Span("kernel", 3.0, 4.0, on_device=True),
            Span("copy", 1.0, 2.0, on_device=True),
            Span("kernel", 1.5, 2.5, on_device=True),
            Span("kernel", 1.6, 1.7, on_device=True),
        ]
    )
    assert work.busy == pytest.approx(2.5)


def test_a_launch_is_a_call_that_starts_a_kernel_or_a_graph() -> None:
    names = ("cudaLaunchKernel", "cudaLaunchKernelExC", "cuLaunchKernel", "cudaGraphLaunch")
    others = ("aten::add", "cudaMemcpyAsync", "cudaDeviceSynchronize")
    assert DeviceWork.of(Span(name, 0, 1, on_device=False) for name in (*names, *others)) == DeviceWork(4, 0.0)


def test_a_profile_of_the_cpu_has_its_calls_and_no_work_of_a_device() -> None:
    with profiler() as profile:
        torch.ones(3) + 1
    found = spans(profile)
    assert {"aten::ones", "aten::add"} <= {span.name for span in found}
    assert all(0 <= span.end - span.start < 60 for span in found)
    assert torch.cuda.is_available() or DeviceWork.of(found) == DeviceWork(0, 0.0)
