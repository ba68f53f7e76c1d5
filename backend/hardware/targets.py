"""The GPUs that engines are built for, as people call them."""

from backend.hardware.capability import RTX_EDITION_CAPABILITIES, target_name

CPU = "cpu"
PARTS = {
    "sm75": "GeForce RTX 20",
    "sm80": "A100",
    "sm86": "GeForce RTX 30",
    "sm87": "Jetson Orin",
    "sm89": "GeForce RTX 40, L40",
    "sm90": "H100, H200",
    "sm100": "B200",
    "sm103": "B300",
    "sm110": "Jetson Thor",
    "sm120": "GeForce RTX 50, RTX PRO",
    "sm121": "GB10 (DGX Spark)",
}
PORTABLE = tuple(target_name(capability) for capability in sorted(RTX_EDITION_CAPABILITIES))
"""What TensorRT for RTX builds for on any machine."""


def part_name(target: str) -> str:
    """The parts of a target like sm121; "CPU" of `cpu`, and the target itself where unknown."""
    return "CPU" if target == CPU else PARTS.get(target, target)
