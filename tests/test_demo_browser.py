"""The studio as people meet it: real Chromium, the real server with its weights, one house for all of these tests."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
import wave
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

pytest.importorskip("playwright")
pytest.importorskip("gradio")

import cv2
import numpy as np
from axe_playwright_python.sync_playwright import Axe
from demo_house import PASSWORD, House, running
from playwright.sync_api import (
    Browser,
    BrowserContext,
    BrowserType,
    ConsoleMessage,
    Locator,
    Page,
    Route,
    TimeoutError,
    expect,
    sync_playwright,
)

from vasa_core import assets
from vasa_core.audio import load_sound

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)")

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]}
PEOPLE = (("ada", "administrator"), ("rex", "reviewer"), ("vic", "viewer"))
FLAGS = (
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--mute-audio",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--disable-crash-reporter",
    "--disable-breakpad",
)
ANSWERS = re.compile("/gradio_api/(run/|call/|queue/data)")
EXPECTED = ("status of 4", "AbortError", "Connection errored out")
"""Refusals are part of these tests; and whoever leaves a page cuts off what it was still asking."""

SLOW_MS = 120_000
"""Two busy cores make a clip in this time, whatever else they do."""


@dataclass
class Studio:
    """The server, a browser, and what went wrong in any of its pages."""

    house: House
    chromium: Browser
    complaints: list[str] = field(default_factory=list)
    visits: list[BrowserContext] = field(default_factory=list)
    """The sessions that end with the test at hand."""

    def page(self, name: str | None = None, *, stays: bool = False, **context: object) -> Page:
        """A page in a session of its own, signed in as `name`; it is closed when the test is over, unless it stays."""
        made: BrowserContext = self.chromium.new_context(base_url=self.house.url, accept_downloads=True, **context)
        if not stays:
            self.visits.append(made)
        page = made.new_page()
        page.set_default_timeout(SLOW_MS)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", lambda request: self._note_address(request.url))
        if name is not None:
            sign_in(page, name)
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(words in message.text for words in EXPECTED):
            self.complaints.append(message.text)

    def _note_address(self, url: str) -> None:
        if url.startswith(("http", "ws")) and not url.split("://")[1].startswith("127.0.0.1:"):
            self.complaints.append(f"asked another host: {url}")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    microphone = folder / "microphone.wav"
    as_samples(load_sound(assets.voices()[1]).numpy(), microphone)
    with running(folder / "house", *PEOPLE) as house, sync_playwright() as player:
        chromium = launch(player.chromium, microphone)
        made = Studio(house, chromium)
        yield made
        chromium.close()


@pytest.fixture(autouse=True)
def _nothing_goes_wrong_unseen(studio: Studio) -> Iterator[None]:
    """Whatever a test looks at: no page may fail in its scripts, break its policy, or ask another host."""
    studio.complaints.clear()
    yield
    while studio.visits:  # also where a test failed: a face that goes on speaking would keep the others waiting
        studio.visits.pop().close()
    assert studio.complaints == []


@pytest.fixture(scope="module")
def ada(studio: Studio) -> Page:
    """The administrator's page, as large as a desktop's."""
    return studio.page("ada", stays=True, viewport={"width": 1280, "height": 800})


expect.set_options(timeout=SLOW_MS)


def launch(browsers: BrowserType, microphone: Path, *more: str) -> Browser:
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={microphone}", *more]
    return browsers.launch(executable_path=CHROMIUM, args=flags, env=dict(os.environ))


def as_samples(samples: np.ndarray, out: Path) -> None:
    with wave.open(str(out), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.goto("/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    if password == PASSWORD:
        page.locator("vs-session").wait_for(state="attached")


def to_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.1 A and AA."""
    found = Axe().run(page, options=WCAG).response["violations"]
    return [f"{each['id']}: {node['target']} {node['html'][:120]}" for each in found for node in each["nodes"]]


def until(page: Page, expression: str, within_s: float = SLOW_MS / 1000) -> None:
    """Waits for a JavaScript expression to become true (the pages' own policy lets no strings be run in them)."""
    ends = time.monotonic() + within_s
    while not page.evaluate(expression):
        assert time.monotonic() < ends, f"never true: {expression}"
        page.wait_for_timeout(50)


def overflow(page: Page) -> float:
    """How far the page is wider than its window, in pixels."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


# ---- the door -------------------------------------------------------------------------------------------------------


def test_nobody_gets_in_without_a_password(studio):
    page = studio.page()
    assert page.goto("/studio/").url.endswith("/login")
    sign_in(page, "ada", "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.url.endswith("/login")
    assert violations(page) == []


def test_who_signs_in_sees_their_tabs_and_leaves_again(studio):
    page = studio.page("vic")
    expect(page.get_by_text("vic · viewer")).to_be_visible()
    expect(page.get_by_role("tab", name="Create")).to_be_visible()
    expect(page.get_by_role("tab", name="Audit")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login*")
    assert page.goto("/studio/").url.endswith("/login")


# ---- create ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(ada: Page, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of our cast saying a typed sentence, made and downloaded in the browser."""
    to_tab(ada, "Create")
    ada.locator("#create-cast").get_by_role("radio", name="Kofi").check()
    say(ada, "Good morning to you.")
    ada.locator("#make-clip").click()
    expect(ada.locator("#create-stage [role=progressbar]")).to_be_visible()
    clip_on(ada.locator("#create-stage"))
    with ada.expect_download() as download:
        ada.locator("#create-stage").get_by_role("link", name="Download").click()
    path = tmp_path_factory.mktemp("made") / "clip.mp4"
    download.value.save_as(path)
    return path


def say(page: Page, words: str) -> None:
    """A typed sentence where a machine voice is installed; else a sample voice."""
    if shutil.which("espeak-ng") is None:
        page.locator("#create-voice").get_by_role("radio", name="English").check()
        return
    page.get_by_role("radio", name="Type a sentence").check()
    page.locator("#create-words textarea").fill(words)


def clip_on(stage: Locator) -> Locator:
    """The clip that a stage comes to show; if it shows something else, the failure says what."""
    with suppress(TimeoutError):
        stage.locator("video, [role=alert]").first.wait_for()
    assert stage.locator("video").count() == 1, f"instead of a clip: {stage.inner_text()!r}"
    return stage.locator("video")


def test_a_clip_plays_at_once_with_its_captions(ada, made):
    video = ada.locator("#create-stage video")
    until(ada, "document.querySelector('#create-stage video').currentTime > 0.3")
    assert video.evaluate("video => [video.videoWidth, video.error]") == [512, None]
    expect(ada.locator("#create-stage")).to_contain_text("AI-generated")
    if shutil.which("espeak-ng"):
        until(ada, "document.querySelector('#create-stage video').textTracks[0].cues?.length > 0")
        shown = video.evaluate("video => [...video.textTracks[0].cues].map(cue => cue.text).join(' ')")
        assert shown == "Good morning to you."


def test_a_clip_is_downloaded_byte_for_byte_as_it_was_signed(studio, made):
    kept = [p for p in (studio.house.home / "files").rglob("*.mp4") if "unfinished" not in p.parts]
    assert sha256(made) in {sha256(path) for path in kept}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_clip_is_there_after_a_reload_and_plays_from_the_list(ada, made):
    ada.reload()
    ada.get_by_role("button", name="Play Kofi").first.click()
    until(ada, "document.querySelector('#create-stage video')?.currentTime > 0.1")


def test_a_job_can_be_cancelled(ada):
    ada.reload()
    to_tab(ada, "Create")
    ada.locator("#make-clip").click()
    ada.locator("#cancel-clip").click()
    expect(ada.locator("#create-stage")).to_contain_text("Cancelled")
    expect(ada.locator("#make-clip")).to_be_enabled()


def test_who_clicks_before_the_page_has_its_answers_is_not_forgotten(ada):
    """Gradio closes its stream of answers when all are given; a click in that moment was never answered."""
    held, page = [], ada.context.new_page()

    def hold(route: Route) -> None:
        if held is None:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route(ANSWERS, hold)
    page.goto("/studio/")
    make = page.locator("#make-clip")
    make.wait_for()
    page.wait_for_timeout(1500)
    answers, held = held, None
    assert answers, "the page asks for something when it is opened"
    make.click()
    page.wait_for_timeout(500)
    for route, answer in answers:
        route.fulfill(response=answer)
    page.locator("#cancel-clip").click()
    expect(page.locator("#create-stage")).to_contain_text("Cancelled")
    page.close()


def test_the_cast_is_chosen_by_keyboard_with_the_focus_in_sight(ada):
    ada.reload()
    to_tab(ada, "Create")
    cast = ada.locator("#create-cast")
    cast.get_by_role("radio", name="Mei").focus()
    ada.keyboard.press("ArrowRight")
    chosen = cast.get_by_role("radio", name="Nora")
    expect(chosen).to_be_checked()
    expect(chosen).to_be_focused()
    width = chosen.evaluate("radio => parseFloat(getComputedStyle(radio.closest('label')).outlineWidth)")
    assert width >= 2


FOCUS = """() => {
    const at = document.activeElement, of = (id) => document.getElementById(id)?.innerText ?? "";
    const by = at.getAttribute("aria-labelledby") ?? "";
    const named = at.getAttribute("aria-label") || by.split(" ").map(of).join(" ");
    const rim = getComputedStyle(at.type === "radio" ? at.closest("label") : at);
    const name = named.trim() || at.labels?.[0]?.innerText || at.innerText || at.title;
    return [at.tagName + (at.type ? ":" + at.type : ""), (name ?? "").trim(), parseFloat(rim.outlineWidth)];
}"""


def test_a_clip_is_made_and_cancelled_by_keyboard_alone(studio):
    page = studio.page("vic", viewport=WINDOWS["desktop"]["viewport"])
    page.get_by_role("radio", name="Mei").wait_for()
    passed = tabbed_to(page, "Make the clip")
    names = {name.split("\n")[0] for _, name, _ in passed}  # Gradio's folds have an arrow in theirs
    assert {"Sign out", "Create", "Mei", "English", "Neutral", "Head and eyes"} <= names
    assert not [stop for stop in passed if not stop[1]], "whatever is reached has a name"
    assert not [stop for stop in passed if stop[0] != "BODY" and stop[2] < 2], "and shows that it is reached"
    page.keyboard.press("Enter")
    expect(page.locator("#create-stage [role=progressbar]")).to_be_visible()
    tabbed_to(page, "Cancel")
    page.keyboard.press("Enter")
    expect(page.locator("#create-stage")).to_contain_text("Cancelled")


def tabbed_to(page: Page, name: str) -> list[list]:
    """Where the focus was on its way to what bears this name."""
    passed = []
    for _ in range(120):
        page.keyboard.press("Tab")
        passed.append(page.evaluate(FOCUS))
        if passed[-1][1] == name:
            return passed
    raise AssertionError(f"'{name}' is never reached: {passed}")


def test_a_recording_from_the_microphone_is_kept_for_the_clip(ada):
    ada.get_by_role("radio", name="Record or upload").check()
    ada.get_by_role("button", name="Record", exact=False).first.click()
    ada.wait_for_timeout(700)
    ada.get_by_role("button", name="Stop").click()
    expect(ada.get_by_text("Recorded.")).to_be_visible()
    expect(ada.get_by_label("Your recording")).to_be_visible()
    assert len(ada.locator("#create-sound textarea, #create-sound input").input_value()) >= 16


# ---- consent --------------------------------------------------------------------------------------------------------


def test_a_strangers_face_needs_consent_and_loses_it(studio, ada, tmp_path):
    rex = studio.page("rex")
    hand_in(rex, stranger(tmp_path / "stranger.jpg"), tmp_path)
    expect(rex.get_by_text("waits for a reviewer")).to_be_visible()
    rex.locator("#make-clip").click()  # nothing is approved yet
    expect(rex.locator("#create-stage").get_by_role("alert")).to_contain_text("consent")

    to_tab(ada, "Audit")
    ada.get_by_role("button", name="Review the consent of Grace").click()
    paper = ada.get_by_role("dialog")
    expect(paper).to_contain_text("Grace, signed.")
    picture = paper.get_by_role("img", name="The portrait of Grace")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") >= 512
    assert violations(ada) == []
    ada.get_by_role("button", name="Approve Grace").click()
    expect(ada.get_by_text("May be used")).to_be_visible()

    rex.reload()
    rex.get_by_role("radio", name="Another person").check()
    person = rex.get_by_label("Portraits with consent")
    expect(person).to_have_value(re.compile("Grace"))
    say(rex, "Yes.")
    rex.locator("#make-clip").click()
    clip = clip_on(rex.locator("#create-stage")).get_attribute("src")
    assert rex.request.get(clip).status == 200

    ada.get_by_role("button", name="Take back the consent of Grace").click()
    ada.get_by_label("Why").fill("asked for by Grace")
    ada.get_by_role("button", name="Take it back").click()
    expect(ada.get_by_text("Taken back", exact=True)).to_be_visible()

    assert rex.request.get(clip).status in (403, 404, 410)
    rex.locator("#make-clip").click()
    expect(rex.locator("#create-stage").get_by_role("alert")).to_be_visible()


def stranger(path: Path) -> Path:
    """A face that is none of our cast: one of them, mirrored and recoloured."""
    portrait = cv2.imread(str(assets.portraits()[3]))
    other = np.clip(portrait[:, ::-1] * np.array([1.1, 0.95, 0.9]), 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), other)
    return path


def hand_in(page: Page, portrait: Path, folder: Path) -> None:
    page.get_by_role("radio", name="Another person").check()
    page.get_by_text("Hand in a signed statement").click()
    form = page.locator("vs-consent[data-mode=statement]")
    go = form.get_by_role("button", name="Hand it in")
    form.get_by_label("Their name").fill("Grace")
    form.get_by_label("Their portrait").set_input_files(portrait)
    paper = folder / "statement.txt"
    paper.write_text("I agree that this studio makes videos of my face. Grace, signed.")
    form.get_by_label("Their signed statement").set_input_files(paper)
    go.click()
    expect(form.get_by_text("Nothing is recorded without this consent")).to_be_visible()
    form.get_by_label("I have this statement").check()
    go.click()


def test_a_camera_that_shows_nobody_gives_no_consent(studio):
    page = studio.page("rex")
    page.get_by_role("radio", name="Me", exact=True).check()
    page.get_by_text("Record my consent").click()
    form = page.locator("vs-consent[data-mode=capture]")
    form.get_by_label("My name").fill("Nobody")
    form.get_by_label("I agree").check()
    form.get_by_role("button", name="Give me my phrase").click()
    expect(form.locator("[data-phrase]")).not_to_be_empty()
    form.get_by_role("button", name="Record").click()
    said = form.locator("[data-said].vs-wrong")
    expect(said).to_be_visible()


CAMERA_PX = (640, 480)
LEAD_S, REST_S = 3.5, 8.0
"""Silence before and after the phrase: whenever within that time somebody starts to record, the phrase is in it."""


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_who_says_the_phrase_to_the_camera_may_be_animated(studio, tmp_path):
    """Camera and microphone are files: a face that moves its mouth, and a voice that says whatever phrase was drawn."""
    camera, microphone = tmp_path / "camera.mjpeg", tmp_path / "microphone.wav"
    filmed_talking(stranger(tmp_path / "stranger.jpg"), camera)
    as_samples(np.zeros(16_000, np.float32), microphone)
    chromium = launch(studio.chromium.browser_type, microphone, f"--use-file-for-fake-video-capture={camera}")
    page = replace(studio, chromium=chromium).page("rex")

    def speak(route: Route) -> None:
        answer = route.fetch()
        as_samples(phrase_said(answer.json()["phrase"], tmp_path / "said.wav"), microphone)
        route.fulfill(response=answer)

    page.route("**/consent/begin", speak)
    page.get_by_role("radio", name="Me", exact=True).check()
    page.get_by_text("Record my consent").click()
    form = page.locator("vs-consent[data-mode=capture]")
    form.get_by_label("My name").fill("Sam")
    form.get_by_label("I agree").check()
    for _ in range(2):  # a machine's voice is not always understood at once, as people are not
        form.get_by_role("button", name="Give me my phrase").click()
        form.get_by_role("button", name="Record").click()
        form.locator("[data-said].vs-right, [data-said].vs-wrong").wait_for()
        if form.locator("[data-said].vs-right").count():
            break
    expect(form.locator("[data-said]")).to_contain_text("Thank you, Sam")

    expect(page.get_by_label("Portraits with consent")).to_have_value(re.compile("Sam"))
    say(page, "It is me.")
    page.locator("#make-clip").click()
    clip_on(page.locator("#create-stage"))
    (consent,) = [each for each in page.request.get("/consents").json() if each["name"] == "Sam"]
    assert (consent["basis"], consent["state"], consent["paper"]) == ("live capture", "approved", None)
    chromium.close()


def filmed_talking(face: Path, out: Path) -> None:
    """A face that opens and closes its mouth before a camera, as MJPEG, which Chromium plays over and over."""
    from vasa_core.studio import Studio as Engine

    engine = Engine()
    portrait = engine.portrait(face)
    with out.open("wb") as film:
        for moment in range(12):
            opening = 0.35 * abs(np.sin(0.9 * moment))
            shown = engine.look(portrait, yaw=2 * np.sin(moment), expression={"jawOpen": float(opening)}, size=480)
            picture = np.full((CAMERA_PX[1], CAMERA_PX[0], 3), 90, np.uint8)
            picture[:, 80:560] = shown[..., ::-1]
            film.write(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes() * 2)


def phrase_said(words: str, path: Path) -> np.ndarray:
    """The words as flite says them, with time around them for whoever presses the button."""
    subprocess.run(["flite", "-voice", "slt", "-t", words, "-o", str(path)], check=True)
    said = load_sound(path).numpy()
    return np.concatenate([np.zeros(round(16_000 * LEAD_S)), said, np.zeros(round(16_000 * REST_S))])


# ---- live -----------------------------------------------------------------------------------------------------------


def test_a_face_speaks_along_with_the_microphone(studio):
    page = studio.page("vic")
    to_tab(page, "Live")
    live = page.locator("vs-live")
    live.get_by_role("button", name="Start").click()
    until(page, "Number(document.querySelector('vs-live').dataset.frames) >= 10")
    assert 0.3 < float(live.get_attribute("data-delay")) < 10
    expect(live.locator("[data-meter]")).to_contain_text(" s")
    picture = live.locator("canvas").evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data]"
    )
    assert sum(picture[:3]) > 60, "somebody is to be seen"
    looks = live.get_by_label("Looks left or right (°)")
    looks.fill("12")  # whoever cannot see the slider finds it by its name
    expect(looks).to_have_value("12")
    live.get_by_role("button", name="Stop").click()
    expect(live.get_by_role("button", name="Start")).to_be_visible()


# ---- explore --------------------------------------------------------------------------------------------------------


def test_a_slider_changes_the_picture(ada):
    to_tab(ada, "Explore")
    picture = ada.locator("#explore-stage img")
    picture.wait_for()
    before = picture.get_attribute("src")
    slide(ada.get_by_role("slider", name="range slider for Smile"), 0.8)
    until(ada, f"document.querySelector('#explore-stage img')?.getAttribute('src') !== '{before}'")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 512


def slide(slider: Locator, value: float) -> None:
    slider.fill(str(value))
    slider.dispatch_event("change")
    slider.dispatch_event("pointerup")


# ---- verify ---------------------------------------------------------------------------------------------------------


def test_anybody_learns_what_a_file_carries(studio, made, tmp_path):
    page = studio.page()
    page.goto("/verify")
    page.get_by_label("Choose a file").set_input_files(made)
    expect(page.get_by_role("heading", name="Made here, and unchanged since")).to_be_visible()
    tampered = tmp_path / "tampered.mp4"
    content = bytearray(made.read_bytes())
    content[len(content) // 2] ^= 1
    tampered.write_bytes(content)
    page.get_by_label("Choose a file").set_input_files(tampered)
    expect(page.get_by_role("heading", name="Changed after it was signed")).to_be_visible()
    page.get_by_label("Choose a file").set_input_files(assets.portraits()[0])
    expect(page.get_by_role("heading", name="Nothing of ours in it")).to_be_visible()
    assert violations(page) == []


# ---- for everybody --------------------------------------------------------------------------------------------------

WINDOWS = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone, dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    "twice as large": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
}


@pytest.mark.parametrize("window", WINDOWS)
def test_no_tab_shuts_anybody_out(studio, window):
    """Zoom changes no colours and no names: there only what fits is looked at."""
    page = studio.page("ada", **WINDOWS[window])
    for tab in ("Create", "Live", "Explore", "Verify", "Audit"):
        to_tab(page, tab)
        page.wait_for_timeout(300)
        assert window == "twice as large" or violations(page) == [], tab
        assert overflow(page) <= 0, tab
