"""Which device and which arithmetic `auto` stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caseframe.domain.errors import ModelUnavailable

# Any of these is there wherever a driver for NVIDIA GPUs is loaded (the last one is WSL's).
_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg")
# Instructions that multiply bfloat16: without them it is slower than float32, and less exact.
_BFLOAT16 = {"amx_bf16", "avx512_bf16"}
_AMPERE = 8  # the first generation whose tensor cores take bfloat16


@dataclass(frozen=True)
class Place:
    """Where a model runs: a device as torch names it, and the name of a torch type."""

    device: str
    precision: str

    @property
    def on_cpu(self) -> bool:
        """No GPU."""
        return self.device == "cpu"


def choose(device: str, precision: str) -> Place:
    """The place for what the settings say. Raises ModelUnavailable for a GPU that is not there.

    Imports torch only where the machine might have a GPU.
    """
    place = _device(device)
    if precision != "auto":
        return Place(place, precision)
    return Place(place, _cpu_precision() if place == "cpu" else _gpu_precision(place))


def _device(wanted: str) -> str:
    if wanted == "cpu" or (wanted == "auto" and not any(Path(d).exists() for d in _DRIVERS)):
        return "cpu"
    import torch  # noqa: PLC0415 - slow to import

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return "cuda:0" if count else "cpu"
    number = int(wanted.partition(":")[2] or 0)
    if number >= count:
        raise ModelUnavailable(
            f"device {wanted} is not there: torch sees {count} GPUs; "
            "set vision_device (CASEFRAME_VISION_DEVICE) to cpu or auto"
        )
    return f"cuda:{number}"


def _cpu_precision() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "float32"
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return "bfloat16" if _BFLOAT16.intersection(flags) else "float32"


def _gpu_precision(device: str) -> str:
    import torch  # noqa: PLC0415 - slow to import

    major, _ = torch.cuda.get_device_capability(device)
    return "bfloat16" if major >= _AMPERE else "float16"
