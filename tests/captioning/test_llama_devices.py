"""What llama.cpp says it can compute on."""

import psutil

from photosearch.captioning.llama.devices import can_use_gpu, describe_devices, free_gpu_mb


def test_the_processor_is_there_with_its_memory() -> None:
    devices = describe_devices()
    processors = [device for device in devices if not device.is_gpu]
    assert processors
    assert all(device.name and device.description for device in devices)
    installed_mb = psutil.virtual_memory().total >> 20
    assert any(0 < device.total_mb <= installed_mb for device in processors)
    assert can_use_gpu() == any(device.is_gpu for device in devices)
    assert free_gpu_mb() == sum(device.free_mb for device in devices if device.is_gpu)
