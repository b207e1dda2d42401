"""What this process takes: processor time and memory. Sizes are in bytes."""

import resource
from contextlib import suppress
from pathlib import Path


def cpu_seconds() -> float:
    """Processor time so far, of all threads, in the kernel and outside."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def forget_peak() -> None:
    """Begin the kernel's account of the peak anew, where it can be."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """The most that was resident.

    Linux tells it of this process alone; `getrusage`, which is asked elsewhere, also of the process
    that started this one.
    """
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident_memory() -> int:
    """What is resident now; 0 where it is not told."""
    return _status("VmRSS")


def _status(name: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
