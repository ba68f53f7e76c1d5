"""What a person does on the page."""

import re

from playwright.sync_api import BrowserContext, Page, expect

LONG = {"steps": 100, "width": 128, "height": 128, "count": 16}
"""Settings of a job that is still running whenever a test stops it."""
ANY_STEP = re.compile(r"^[1-9]\d*$")
QUICK = {"steps": 4, "width": 64, "height": 64, "count": 1}


def open_page(context: BrowserContext, address: str = "/") -> Page:
    page = context.new_page()
    page.goto(address, wait_until="commit")
    return ready(page)


def ready(page: Page) -> Page:
    """The page once it can be used."""
    expect(page.locator("body[data-ready]")).to_be_attached()
    expect(page.locator("#picker-list input:checked")).to_be_attached()
    return page


def fill(page: Page, prompt: str, **numbers: float | str) -> None:
    page.fill("#prompt textarea", prompt)
    for name, value in numbers.items():
        field = page.locator(f"#{name} input[type=number]")
        field.fill(str(value))
        field.press("Tab")


def generate(page: Page, prompt: str, **numbers: float | str) -> None:
    """Fill in the form and press Ctrl+Enter."""
    fill(page, prompt, **numbers)
    page.keyboard.press("Control+Enter")


def stage_state(page: Page, state: str) -> None:
    """Wait until the job on the stage is in a state."""
    expect(page.locator("#stage .s-stage")).to_have_attribute("data-state", state)


def finished(page: Page) -> str:
    """Wait for the picture on the stage; its job's id."""
    stage_state(page, "succeeded")
    return shown_job(page)


def shown_job(page: Page) -> str:
    return page.locator("#stage .s-stage").get_attribute("data-job") or ""


def denoising(page: Page) -> None:
    """Wait until the job on the stage has taken a few steps."""
    expect(page.locator('#stage [role="progressbar"]')).to_have_attribute("aria-valuenow", ANY_STEP)
