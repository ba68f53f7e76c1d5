"""The section for ONNX files, by itself on a page of the real application."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr
import pytest
import uvicorn
from playwright.sync_api import BrowserContext, Page, expect

import ui.app
from backend.studio import Studio
from tests.browser.conftest import Server
from tests.conftest import free_port
from tests.support import until
from tests.unit.networks import odd_network, product
from ui.tabs.onnx import onnx_section


@pytest.fixture(scope="module")
def address(server: Server) -> Iterator[str]:
    """The section alone on a page, over the home and the worker that all share."""
    studio = Studio(server.settings)
    files = studio.settings.home / "onnx_files"
    files.mkdir(exist_ok=True)
    odd_network(files / "odd.onnx")

    def build_page(*_: object) -> gr.Blocks:
        page = gr.Blocks(analytics_enabled=False)
        with page:
            onnx_section(studio)
        return page

    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ui.app, "build_page", build_page)
        config = uvicorn.Config(ui.app.create_app(studio), port=port, log_level="warning")
    application = uvicorn.Server(config)
    thread = threading.Thread(target=application.run)
    thread.start()
    until(lambda: application.started, "the page")
    yield f"http://127.0.0.1:{port}"
    application.should_exit = True
    thread.join()
    studio.close()


@pytest.fixture
def opened(address: str, new_context: Callable[..., BrowserContext]) -> Page:
    page = new_context(base_url=address).new_page()
    page.goto("/")
    expect(page.locator("#onnx[data-ready]")).to_be_attached()
    return page


def look(page: Page, file: str) -> None:
    page.fill("#onnx-source [name=file]", file)
    page.click("#onnx-look-go")


def test_from_an_upload_to_error_and_latency(opened: Page, tmp_path: Path) -> None:
    page = opened
    file = product(tmp_path / "mine.onnx")
    page.set_input_files("#onnx-upload", [file, tmp_path / "weights.bin"])
    expect(page.locator("#onnx-source [name=file]")).to_have_value("mine.onnx")
    page.click("#onnx-look-go")
    expect(page.locator("#onnx-tensors tbody tr")).to_have_count(2)
    expect(page.locator(".o-good")).to_be_visible()
    largest = page.locator("[data-dimension=batch]").nth(2)
    largest.fill("0")
    page.click("#onnx-build-go")
    expect(page.locator("#onnx-notice [data-code]")).to_have_attribute(
        "data-code", "PROFILE_INVALID"
    )
    largest.fill("8")
    page.select_option("#onnx-form [name=runtime]", "onnxruntime")
    page.select_option("#onnx-form [name=precision]", "fp16")
    page.click("#onnx-build-go")
    expect(page.locator("#onnx-build [data-state=valid]")).to_be_visible()
    page.click("#onnx-run-go")
    expect(page.locator("#onnx-errors tbody tr")).to_have_count(1)
    expect(page.locator("#onnx-errors")).to_contain_text("e-04")
    page.reload()
    expect(page.locator("#onnx-errors tbody tr")).to_have_count(1)


def test_nodes_that_tensorrt_refuses_are_listed_and_failures_shown(opened: Page) -> None:
    page = opened
    look(page, "odd.onnx")
    expect(page.locator("#onnx-problems tbody tr")).to_have_count(3)
    expect(page.locator("#onnx-problems")).to_contain_text("odder one")
    page.click("#onnx-build-go")
    expect(page.locator("#onnx-build [data-code]")).to_have_attribute("data-code", "ONNX_INVALID")
    look(page, "gone.onnx")
    expect(page.locator("#onnx-notice [data-code]")).to_have_attribute(
        "data-code", "ONNX_NOT_FOUND"
    )
