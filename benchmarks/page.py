"""From opening the page to typing into it, and from Generate to the first news on the screen."""

import time

from playwright.sync_api import sync_playwright

from benchmarks.measure import Result, median, served

LOADS = 5
CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]


def measure() -> list[Result]:
    interactive, first_news = [], []
    with served() as (_, address, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for _ in range(LOADS):
            page = browser.new_context().new_page()
            started = time.perf_counter()
            page.goto(address, wait_until="commit")
            prompt = page.locator("#prompt textarea")
            prompt.fill("a red circle", timeout=30_000)
            page.wait_for_function("document.body.dataset.ready", timeout=30_000)
            interactive.append(time.perf_counter() - started)
            prompt.press("Control+Enter")
            pressed = time.perf_counter()
            page.wait_for_selector("#stage [data-job]", timeout=30_000)
            first_news.append(1000 * (time.perf_counter() - pressed))
            page.wait_for_selector("#stage [data-state=succeeded]", timeout=30_000)
            page.context.close()
        browser.close()
    return [
        Result("page interactive, median", median(interactive), "s", 1.5),
        Result("Generate to first news on the screen, median", median(first_news), "ms"),
    ]
