"""The public API through `gradio_client`."""

import io
import json
from collections.abc import Iterator

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from tests.browser.conftest import Server
from tests.unit.networks import product

ENDPOINTS = {
    "/generate",
    "/build_engine",
    "/look_onnx",
    "/build_onnx",
    "/run_engine",
    "/export_language_model",
    "/engine_text",
    "/quantize",
    "/compare",
    "/engines",
    "/fetch",
    "/jobs",
    "/job",
    "/cancel",
    "/chat",
    "/models",
    "/memory",
}


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    client = Client(server.address, verbose=False)
    yield client
    client.close()


def test_the_schema_shows_the_public_endpoints_and_nothing_else(client: Client) -> None:
    info = client.view_api(return_format="dict", print_info=False)
    assert set(info["named_endpoints"]) == ENDPOINTS
    assert info["unnamed_endpoints"] == {}


def test_a_picture_with_the_models_own_settings(client: Client) -> None:
    done = client.predict(prompt="a blue star", api_name="/generate")
    assert done["state"] == "succeeded"
    request = done["request"]
    assert (request["width"], request["steps"], request["precision"]) == (256, 12, "fp32")
    assert done["metrics"]["runtime"] == "torch"
    answer = httpx.get(done["images"][0]["url"])
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.size == (256, 256)
    assert json.loads(picture.info["spark_studio"])["seed"] == done["images"][0]["seed"]
    assert httpx.get(done["images"][0]["url"].split("?")[0]).status_code == 403


def test_the_same_seed_gives_the_same_pixels(client: Client) -> None:
    asked = {"prompt": "a ring", "seed": 5, "steps": 4, "width": 64, "height": 64}
    pixels = {
        Image.open(io.BytesIO(httpx.get(image["url"]).content)).tobytes()
        for _ in range(2)
        for image in client.predict(**asked, api_name="/generate")["images"]
    }
    assert len(pixels) == 1


def test_progress_is_told_and_a_job_can_be_cancelled(client: Client) -> None:
    running = client.submit(prompt="a slow circle", steps=100, count=16, api_name="/generate")
    first = next(iter(running))
    assert first["state"] in ("queued", "running")
    job_id = first["job_id"]
    assert client.predict(job_id=job_id, api_name="/job")["job_id"] == job_id
    assert client.predict(job_id=job_id, api_name="/cancel")["state"] == "cancelled"
    with pytest.raises(AppError, match=r"^JOB_STOPPED: "):
        running.result()
    listed = client.predict(search="slow circle", api_name="/jobs")
    assert [job["job_id"] for job in listed] == [job_id]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"prompt": ""}, "PROMPT_EMPTY"),
        ({"prompt": "x", "steps": 0}, "STEPS_OUT_OF_RANGE"),
        ({"prompt": "x", "steps": 10_000}, "STEPS_OUT_OF_RANGE"),
        ({"prompt": "x", "guidance": -1.0}, "GUIDANCE_OUT_OF_RANGE"),
        ({"prompt": "x", "count": 99}, "COUNT_OUT_OF_RANGE"),
        ({"prompt": "x", "model": "../../etc"}, "MODEL_UNKNOWN"),
        ({"prompt": "x", "precision": "fp3"}, "INVALID_REQUEST"),
        ({"prompt": "x", "precision": "int4"}, "VARIANT_UNKNOWN"),
        ({"prompt": "x", "model": "flux.1-dev"}, "VARIANT_UNAVAILABLE"),
        ({"prompt": "x", "seed": "<b>"}, "INVALID_REQUEST"),
    ],
)
def test_errors_have_a_code_a_message_and_a_hint(client: Client, asked, code: str) -> None:
    with pytest.raises(AppError, match=rf"^{code}: .+\. .+"):
        client.predict(**asked, api_name="/generate")


def test_another_client_finds_nothing(client: Client, server: Server) -> None:
    job_id = client.predict(prompt="mine", steps=2, width=64, height=64, api_name="/generate")[
        "job_id"
    ]
    other = Client(server.address, verbose=False)
    for name in ("/job", "/cancel"):
        with pytest.raises(AppError, match=r"^JOB_NOT_FOUND: "):
            other.predict(job_id=job_id, api_name=name)
    assert other.predict(api_name="/jobs") == []
    other.close()


def test_an_onnx_file_is_looked_at_built_and_run(client: Client, server: Server) -> None:
    folder = server.settings.home / "onnx_files"
    folder.mkdir(exist_ok=True)
    product(folder / "product.onnx", save_as_external_data=False)
    seen = client.predict(file="product.onnx", api_name="/look_onnx")["result"]
    assert (seen["nodes"], seen["problems"]) == (1, [])
    shapes = {"x": [[1, 128], [2, 128], [4, 128]]}
    built = client.predict(
        file="product.onnx", runtime="onnxruntime", shapes=shapes, api_name="/build_onnx"
    )["result"]
    ran = client.predict(engine=built["engines"][0], api_name="/run_engine")["result"]
    assert ran["outputs"][0]["shape"] == [2, 128]
    assert ran["outputs"][0]["max_abs"] < 1e-4
    with pytest.raises(AppError, match=r"^ONNX_NOT_FOUND: "):
        client.predict(file="../gone.onnx", api_name="/look_onnx")
    with pytest.raises(AppError, match=r"^INVALID_REQUEST: "):
        client.predict(file="product.onnx", shapes={"x": [[1]]}, api_name="/build_onnx")


def test_models_and_memory(client: Client) -> None:
    models = client.predict(api_name="/models")
    assert models[0]["id"] == "demo-flux"
    assert all(isinstance(variant["reason"], str) for variant in models[0]["variants"])
    memory = client.predict(api_name="/memory")
    assert memory[0]["memory"]["total_bytes"] > memory[0]["memory"]["used_bytes"] > 0


def test_health_needs_no_cookie(server: Server) -> None:
    answer = httpx.get(f"{server.address}/healthz")
    assert answer.status_code == 200
    assert answer.json()["worker"] == "ready"
    assert set(answer.json()) == {"status", "version", "worker"}
