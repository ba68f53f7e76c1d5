"""What all contracts share."""

from pydantic import BaseModel, ConfigDict

from backend.errors import Name


class Contract(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Precision(Name):
    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
    FP8 = "fp8"
    NVFP4 = "nvfp4"
    INT4 = "int4"


class Runtime(Name):
    TORCH = "torch"
    ONNXRUNTIME = "onnxruntime"
    TENSORRT = "tensorrt"
