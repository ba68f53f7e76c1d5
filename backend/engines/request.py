"""The engines that a job asks for, whether it only builds them or compares pictures of them."""

from backend.contracts import EngineRequest, JobKind, QuantizeImagesRequest
from backend.jobs.store import JobRow


def engine_request(row: JobRow) -> EngineRequest:
    if row.kind is JobKind.QUANTIZE_IMAGES:
        return QuantizeImagesRequest.model_validate(row.request).engines
    return EngineRequest.model_validate(row.request)
