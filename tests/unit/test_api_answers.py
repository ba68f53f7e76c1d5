"""What the API tells of a job's result."""

from gradio_client.utils import is_file_obj, traverse

from backend.contracts import Checkpoint, Quality, QuantizeResult
from ui.api.answers import without_paths

QUALITY = {
    "scope": "quantised",
    "perplexity_reference": 1.0,
    "perplexity": 1.0,
    "kl_mean": 0.0,
    "kl_p99": 0.0,
    "kl_max": 0.0,
    "top1_agreement": 1.0,
    "tokens": 1,
    "seconds": 1.0,
}


def test_no_folder_of_the_server_is_taken_for_a_download() -> None:
    made = Checkpoint(
        path="/c", size_bytes=1, source_size_bytes=2, ratio_whole=2, ratio_quantised_layers=2
    )
    result = QuantizeResult(checkpoint=made, quality=Quality.model_validate(QUALITY))
    data = {"runs": [result.model_dump(mode="json")]}
    taken: list[object] = []
    traverse(data, taken.append, is_file_obj)
    assert taken, "as it is, the client would fetch it"
    told = without_paths(data)
    taken.clear()
    traverse(told, taken.append, is_file_obj)
    assert not taken
    assert told["runs"][0]["checkpoint"]["file"] == "/c"
