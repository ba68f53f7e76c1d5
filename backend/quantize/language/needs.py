"""What a job that quantises a language model takes of disk and memory, before it begins."""

from backend.contracts import MemorySample
from backend.quantize.language.order import Order
from backend.quantize.language.sizes import WIDE

PROCESS_BYTES = 480 << 20
"""Of a child process with torch, transformers and ModelOpt; on a GPU, of CUDA's context."""
UNIFIED_PROCESS_BYTES = 1536 << 20
"""Of a child process with CUDA's libraries too, where GPU and computer share their memory."""
SCORE_BYTES = 18
"""Of a logit while it is compared: in 16 bits, and four times in FP32."""
PASSING_TENSORS = 10
"""In 16 bits and of a layer's widths, that are alive at once while text passes on a CPU."""
SMOOTHING_TENSORS = 10
"""In FP32 and of the largest layer's size, while AWQ or SmoothQuant look for scales on a CPU."""
GPU_PASSING_TENSORS = 4
GPU_SMOOTHING_TENSORS = 4
GPU_ROUNDING_TENSORS = 3
"""In FP32 and of the largest layer's size, while a layer's weight is rounded on a GPU."""


def place(cuda: bool, sample: MemorySample) -> str:
    """Whose memory the work takes: `cpu`, `gpu`, or `unified`."""
    return sample.kind if cuda else "cpu"


def disk_bytes(order: Order) -> int:
    """Of the checkpoint, the original's logits while it is scored, and what calibration keeps."""
    logits = (order.request.evaluation_tokens + order.request.length) * _vocabulary(order) * 2
    kept = order.size.quantised_source if order.recipe.rewrites_weights else 0
    return order.size.whole + logits + kept


def memory_bytes(order: Order, at: str) -> int:
    """Peak of the working process at that `place`: the model in 16 bits, and the most of what is
    beside it at a time. Factors measured on a CPU and on an H200 (docs/quantisation.md)."""
    weights = 2 * order.source.parameters
    scoring = order.request.length * _vocabulary(order) * SCORE_BYTES
    if at == "cpu":
        return PROCESS_BYTES + weights + max(scoring, *_beside_on_cpu(order))
    largest = 4 * _largest(order)
    smoothing = GPU_SMOOTHING_TENSORS * largest if order.recipe.rewrites_weights else 0
    calibrating = GPU_PASSING_TENSORS * _passing(order) + smoothing
    beside = max(calibrating, scoring + GPU_ROUNDING_TENSORS * largest)
    if at == "gpu":
        return PROCESS_BYTES + weights + beside
    return UNIFIED_PROCESS_BYTES + weights + max(beside, order.size.quantised)


def _beside_on_cpu(order: Order) -> tuple[int, int, int]:
    """While it is loaded, calibrated and exported."""
    source = order.source
    converted = any(tensor.dtype in WIDE for tensor in source.tensors)
    calibrating = PASSING_TENSORS * _passing(order)
    if order.recipe.rewrites_weights:
        calibrating += SMOOTHING_TENSORS * 4 * _largest(order)
        calibrating += 0 if converted else order.size.quantised_source
    return source.files_bytes if converted else 0, calibrating, 2 * order.size.quantised


def _passing(order: Order) -> int:
    """Bytes of a batch of text at all of a layer's widths."""
    config = order.source.config
    width = sum(int(config.get(name) or 0) for name in ("hidden_size", "intermediate_size"))
    return order.request.batch * order.request.length * width * 2


def _largest(order: Order) -> int:
    """Weights of the largest layer that is quantised."""
    chosen = set(order.size.layers)
    return max(tensor.values for tensor in order.source.tensors if tensor.module in chosen)


def _vocabulary(order: Order) -> int:
    return int(order.source.config.get("vocab_size") or 0)
