"""Take screenshots of a running shop in real Chromium: .venv/bin/python script/screenshots.py URL OUT [PHOTO] [NAME PASSWORD]."""

import sys
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

PHONE, TABLET, DESK = (375, 812), (768, 1024), (1440, 1000)


def open_browser(size: tuple[int, int], dark: bool = False) -> webdriver.Chrome:
    """Headless Chromium with a viewport of `size` CSS pixels."""
    options = Options()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                     "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     "--hide-scrollbars", "--disable-dev-shm-usage"):  # fmt: skip
        options.add_argument(argument)
    options.binary_location = "/usr/bin/chromium"
    browser = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 500},
    )
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.set_page_load_timeout(60)
    return browser


def draw_frame(browser: webdriver.Chrome, x0: float, y0: float, x1: float, y1: float) -> None:
    """Draw a frame on the photo with the mouse; shares of its sides."""
    canvas = browser.find_element(By.CSS_SELECTOR, "[data-canvas]")
    width, height = canvas.size["width"], canvas.size["height"]
    actions = ActionChains(browser, duration=50)
    actions.move_to_element_with_offset(canvas, int((x0 - 0.5) * width), int((y0 - 0.5) * height)).click_and_hold()
    actions.move_by_offset(int((x1 - x0) * width / 2), int((y1 - y0) * height / 2))
    actions.move_by_offset(int((x1 - x0) * width / 2), int((y1 - y0) * height / 2)).release().perform()


def shopper(url: str, out: Path, photo: Path | None) -> None:
    """The storefront at three widths, light and dark, options 1 to 3."""
    for name, size, dark in (("phone", PHONE, False), ("tablet", TABLET, True), ("desk", DESK, False)):
        browser = open_browser(size, dark)
        browser.get(url)
        browser.save_screenshot(str(out / f"{name}-1-start.png"))
        if photo is not None:
            browser.find_element(By.CSS_SELECTOR, ".drop input[name=photo]").send_keys(str(photo.resolve()))
        else:
            browser.find_element(By.CSS_SELECTOR, ".examples button").click()
        _until(browser, "[data-canvas]")
        browser.save_screenshot(str(out / f"{name}-2-model-picks.png"))
        runner_up = browser.find_elements(By.CSS_SELECTOR, ".guesses a:not(.on)")[0]
        browser.execute_script("arguments[0].click()", runner_up)
        time.sleep(2)
        browser.save_screenshot(str(out / f"{name}-3-category-chosen.png"))
        browser.execute_script("scrollTo(0, 0)")
        draw_frame(browser, 0.3, 0.5, 0.75, 0.95)
        time.sleep(2.5)
        browser.save_screenshot(str(out / f"{name}-4-frame-drawn.png"))
        browser.find_elements(By.CSS_SELECTOR, ".tile > a")[0].click()
        _until(browser, ".product")
        browser.save_screenshot(str(out / f"{name}-5-product.png"))
        browser.get(url + "browse/?q=black+leather+shoes+under+water")
        browser.save_screenshot(str(out / f"{name}-6-words.png"))
        browser.quit()


def merchandiser(url: str, out: Path, name: str, password: str) -> None:
    """The admin: table, product, desk, import, health."""
    browser = open_browser(DESK)
    browser.get(url + "admin/")
    browser.find_element(By.NAME, "username").send_keys(name)
    browser.find_element(By.NAME, "password").send_keys(password)
    browser.find_element(By.CSS_SELECTOR, "form [type=submit]").click()
    time.sleep(1)
    for page in ("catalog/product/", "catalog/product/desk/", "catalog/product/import/", "catalog/product/health/"):
        browser.get(url + "admin/" + page)
        time.sleep(1)
        browser.save_screenshot(str(out / f"admin-{page.strip('/').rpartition('/')[2]}.png"))
    browser.quit()


def _until(browser: webdriver.Chrome, selector: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not browser.find_elements(By.CSS_SELECTOR, selector):
        if time.monotonic() > end:
            raise SystemExit(f"error: {selector} did not appear at {browser.current_url}")
        time.sleep(0.1)
    time.sleep(0.8)


def main() -> None:
    """Read the command line and take pictures."""
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    url, out = sys.argv[1].rstrip("/") + "/", Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    photo = Path(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[3] else None
    shopper(url, out, photo)
    if len(sys.argv) > 5:
        merchandiser(url, out, sys.argv[4], sys.argv[5])


if __name__ == "__main__":
    main()
