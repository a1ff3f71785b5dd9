"""Which device and number format a network runs in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from ..errors import InputError, ResourceError

DEVICES = ("cpu", "cuda", "mps")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

#: Layout of weights by the number of their axes.
LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


def resolve_device(name: str) -> torch.device:
    """The device of that name: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises InputError for a name that means nothing, ResourceError for a device this machine does not have.
    """
    if name == "auto":
        return torch.device(_best_device())
    kind, _, number = name.partition(":")
    if kind not in DEVICES or (number and not (kind == "cuda" and number.isdigit())):
        raise InputError(f"Unknown device '{name}'. Choose auto, cpu, cuda, cuda:N or mps.")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ResourceError(f"Device '{name}' is not available: {_cuda_devices()}. Choose auto or cpu.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ResourceError("Device 'mps' is not available on this machine. Choose auto or cpu.")
    return torch.device(name)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _cuda_devices() -> str:
    count = torch.cuda.device_count()
    return f"this machine has {count} CUDA device{'s' if count > 1 else ''}" if count else "no CUDA device was found"


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """Number format of that name; "auto" takes bfloat16 or float16 only where the device computes faster in it."""
    if name != "auto":
        if name not in PRECISIONS:
            raise InputError(f"Unknown precision '{name}'. Choose auto, {', '.join(PRECISIONS)}.")
        if name == "float16" and device.type == "cpu":
            raise InputError("Precision float16 is for GPUs only. Choose auto, float32 or bfloat16 on a CPU.")
        return PRECISIONS[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and cpu_has_bfloat16() else torch.float32


def cpu_has_bfloat16() -> bool:
    """True when the CPU multiplies bfloat16 in hardware (AMX or AVX-512 BF16); elsewhere it is slower than float32."""
    return any(
        getattr(torch.cpu, name, lambda: False)() for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Context in which a float32 network computes its convolutions in `dtype`."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)


def precision_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def channels_innermost(network: nn.Module) -> nn.Module:
    """The network with the weights of its convolutions laid out as the fast kernels want them, in 2D and in 3D."""
    for parameter in network.parameters():
        if parameter.ndim in LAYOUTS:
            parameter.data = parameter.data.contiguous(memory_format=LAYOUTS[parameter.ndim])
    return network
