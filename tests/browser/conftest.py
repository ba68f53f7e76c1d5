"""The real studio with the demo model, and a real browser."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from backend.jobs.supervisor import listen
from backend.settings import Settings
from tests.conftest import free_port
from tests.support import ROOT, WarmWorker, environment, until

PATIENCE_S = 60
NewContext = Callable[..., BrowserContext]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Server:
    """The studio's web process and a worker, with a home of their own. The worker is forked where
    what it imports is imported already."""

    def __init__(self, home: Path, *models: Path) -> None:
        self.settings = Settings(home=home, models=models)
        self.log = home.parent / f"{home.name}.log"
        self.address = ""
        self.process: subprocess.Popen[bytes] | None = None
        self._worker: WarmWorker | None = None

    def start(self) -> "Server":
        with listen("127.0.0.1", 0) as listener:
            descriptor = listener.fileno()
            self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self._run("web", str(descriptor), inherited=(descriptor,))
        self._worker = WarmWorker(self.settings)
        self._await_ready()
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
            self.process = None
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _run(self, *arguments: str, inherited: tuple[int, ...] = ()) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py", *arguments],
                cwd=ROOT,
                env=environment(self.settings) | {"HF_HUB_OFFLINE": "1"},
                stdout=log,
                stderr=log,
                pass_fds=inherited,
            )

    def _await_ready(self) -> None:
        until(self.is_ready, f"the studio to be ready: see {self.log}")

    def is_ready(self) -> bool:
        try:
            answer = httpx.get(f"{self.address}/healthz", timeout=5).json()
        except httpx.HTTPError:
            return False
        return bool(answer["worker"] == "ready")


class SupervisedServer(Server):
    """`spark-studio serve`."""

    def __init__(self, home: Path, *models: Path) -> None:
        super().__init__(home, *models)
        self._port = free_port()
        self.address = f"http://127.0.0.1:{self._port}"

    def start(self, *arguments: str) -> "SupervisedServer":
        self._run("serve", "--port", str(self._port), *arguments)
        self._await_ready()
        return self

    def _child(self, word: str) -> psutil.Process:
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if word in " ".join(child.cmdline()))

    def kill_web(self) -> None:
        web = self._child(" web ")
        web.kill()
        web.wait()

    @contextmanager
    def frozen_web(self) -> Iterator[None]:
        web = self._child(" web ")
        web.suspend()
        try:
            yield
        finally:
            web.resume()

    def kill_worker(self) -> None:
        self._child("backend.jobs.worker").kill()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The studio that most tests share; each comes with a browser context of its own."""
    made = Server(tmp_path_factory.mktemp("studio") / "home")
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium where there is one, else Playwright's own."""
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    expect.set_options(timeout=PATIENCE_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def people(browser: Browser, **defaults: Any) -> Iterator[NewContext]:
    """Makes browser contexts, people with cookies of their own, and closes them at the end."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        plain = {"locale": "en-US", "color_scheme": "light"}
        context = browser.new_context(**(plain | defaults | options))
        context.set_default_timeout(PATIENCE_S * 1000)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


@pytest.fixture
def new_context(browser: Browser, server: Server) -> Iterator[NewContext]:
    with people(browser, base_url=server.address) as make:
        yield make


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    """The studio's page, ready to be used."""
    from tests.browser.actions import open_page

    return open_page(new_context())
