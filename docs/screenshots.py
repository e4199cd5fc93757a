"""Takes the screenshots of the README from the real pages: draws, scans, serves, looks.

`make screenshots` runs it, with the Chromium at /usr/bin/chromium or in CASEFRAME_CHROMIUM.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
_CHROMIUM = os.environ.get("CASEFRAME_CHROMIUM", "/usr/bin/chromium")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
_PASSWORD = "Only-4-pictures!"  # noqa: S105 - of a case that lives as long as this script


def caseframe(*words: str | Path) -> list[str]:
    """The words of a command."""
    return [sys.executable, "-m", "caseframe", *map(str, words)]


@contextmanager
def server(case: Path, sources: Path) -> Iterator[str]:
    """A server over a case; the link that makes its administrator."""
    command = caseframe("serve", "--case", case, "--sources", sources, "--port", "0")
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=unbuffered) as process:
        try:
            if process.stdout is None:
                raise RuntimeError("the server says nothing")
            for line in process.stdout:
                if found := re.search(r"http://\S+key=\S+", line):
                    yield found[0]
                    return
            raise RuntimeError("the server ended")
        finally:
            process.terminate()


def become_administrator(page: Page, link: str) -> None:
    """Fill in the form behind the one-time link."""
    page.goto(link)
    page.get_by_label("First name").fill("Ada")
    page.get_by_label("Last name").fill("Examiner")
    page.get_by_label("E-mail").fill("ada@example.org")
    for field in page.locator("input[type=password]").all():
        field.fill(_PASSWORD)
    page.locator("main form button[type=submit]").click()
    page.wait_for_url("**/jobs")


def take(page: Page, name: str) -> None:
    """Keep what the page shows, when its pictures are there."""
    page.wait_for_load_state("load")
    page.wait_for_timeout(1500)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(name)


def tour(browser: Browser, link: str) -> None:
    """Every page that the README shows."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    page = context.new_page()
    become_administrator(page, link)
    take(page, "jobs")
    job = page.locator("a[href^='/jobs/'][href$='/gallery']").first.get_attribute("href") or ""
    base = urllib.parse.urljoin(link, job.removesuffix("/gallery"))
    page.goto(base)
    take(page, "job")
    page.goto(f"{base}/gallery")
    take(page, "gallery")
    page.goto(f"{base}/gallery?q=place%3Achamonix")
    page.locator(".tile").first.click()
    take(page, "picture")
    page.goto(f"{base}/map")
    take(page, "map")
    page.goto(f"{base}/problems")
    take(page, "problems")
    dark = browser.new_context(
        viewport={"width": 390, "height": 780}, color_scheme="dark",
        storage_state=context.storage_state(),
    ).new_page()  # fmt: skip
    dark.goto(f"{base}/gallery")
    take(dark, "phone")


def main() -> None:
    """Draw, scan, serve and look."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        pictures, case = Path(folder, "pictures"), Path(folder, "case")
        subprocess.run(caseframe("demo", pictures), check=True)
        subprocess.run(caseframe("scan", pictures, "--case", case), check=True)
        with server(case, pictures) as link, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=list(_QUIET))
            tour(browser, link)
            browser.close()


if __name__ == "__main__":
    main()
