"""Attacks over HTTP on the real server: all refused, told to the audit, nothing leaked, server alive."""

from __future__ import annotations

import http.client
import io
import json
import re
import secrets
import struct
import threading
import wave
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from demo_house import PASSWORD, QUICK, Browser, House, hidden_word, resident_mb, voice

EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(: |$)")
REFUSALS = (303, 400, 401, 403, 404, 405, 413, 416, 421, 422, 429)
PUBLIC = ("/login", "/health", "/verify", "/cast/", "/voices/", "/fonts/", "/static", "/favicon.ico")


@pytest.fixture(scope="module")
def anna(demo_house):
    return demo_house.browser("anna")


@pytest.fixture(scope="module")
def rita(demo_house):
    return demo_house.browser("rita")


@pytest.fixture(scope="module")
def mallory(demo_house):
    return demo_house.browser("mallory")


@pytest.fixture(scope="module")
def clip(rita):
    sound = rita.upload(voice(0.4), "sound").json()["upload"]
    job = rita.finish(rita.post("/jobs", json={"portrait": "mei", "upload": sound, **QUICK}).json()["job"])
    assert job["state"] == "done", job
    return job


@pytest.fixture(autouse=True)
def _alive_and_silent(demo_house, anna, rita, mallory):
    """After every attack: the server answers, has logged no fault, and no answer told what it should not."""
    yield
    assert Browser(demo_house.url).get("/health").json()["alive"]
    assert not faults(demo_house.log.read_text())
    own_uploads = str(demo_house.home / "files" / "browser")  # Gradio tells who uploads where it put the file
    for browser in (anna, rita, mallory):
        read, browser.read[:] = "\n".join(browser.read).replace(own_uploads, ""), []
        assert "Traceback" not in read and str(demo_house.home) not in read and "root:" not in read


def faults(log: str) -> list[str]:
    """What the server's log calls a fault; Gradio also logs its own refusals of impossible inputs, which are none."""
    ends = [block.splitlines() for block in log.split("Traceback (most recent call last):")[1:]]
    said = [next((line for line in lines if EXCEPTION.match(line)), "cut off") for lines in ends]
    return [line for line in said if not line.startswith("gradio.exceptions.")]


def told(house: House, event: str = "access_refused") -> set[str]:
    """What the audit says was refused."""
    registry = house.registry()
    try:
        assert registry.audit.verify().sound
        return {
            str(dict(e.facts).get("why") or dict(e.facts).get("reason")) for e in registry.audit.entries(event=event)
        }
    finally:
        registry.close()


def raw(house: House, method: str, target: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """A request whose path no client tidies up."""
    connection = http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)
    try:
        connection.request(method, target, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def cookie(browser: Browser) -> dict[str, str]:
    return {"Cookie": f"vasa_session={browser.cookies['vasa_session']}"}


# ---- every route, as nobody and as somebody else ------------------------------------------------------------------


def routes(tmp_path_factory) -> list[tuple[str, str]]:
    """Every route of the application, Gradio's own among them, with its parameters filled in."""
    from starlette.routing import Mount

    from demo.server import create_app
    from demo.settings import Settings

    app = create_app(Settings(home=tmp_path_factory.mktemp("routes")))
    found, waiting = [], [(route, "") for route in app.routes]
    while waiting:
        route, before = waiting.pop()
        if isinstance(route, Mount):
            waiting += [(inner, before + route.path) for inner in getattr(route, "routes", None) or []]
        elif (included := getattr(route, "original_router", None)) is not None:
            waiting += [(inner, before) for inner in included.routes]
        elif (path := getattr(route, "path", None)) is not None:
            methods = (getattr(route, "methods", None) or {"GET"}) & {"GET", "POST", "PUT", "PATCH", "DELETE"}
            found += [(method, before + re.sub(r"\{(\w+)(:path)?\}", "0" * 32, path)) for method in methods]
    app.state.services.registry.close()
    return sorted(set(found))


def test_every_route_is_shut_for_strangers(demo_house, tmp_path_factory):
    every = routes(tmp_path_factory)
    assert len(every) > 60 and ("GET", "/studio/config") in every and ("POST", "/jobs") in every
    open_to_all = []
    for method, path in every:
        status, body = raw(demo_house, method, path, {"Origin": demo_house.url, "Content-Length": "0"})
        assert b"Traceback" not in body and status < 500, (method, path, status)
        if status < 300 or (status in (302, 303, 307, 308) and path.startswith("/studio")):
            open_to_all.append(path)
    shut = [path for path in open_to_all if not path.startswith(PUBLIC) and path not in ("/", "/studio", "/studio/")]
    assert not shut
    assert {"not_signed_in"} <= told(demo_house)


def test_no_route_of_gradios_is_open_that_the_pages_do_not_need(demo_house, mallory):
    for path in (
        "proxy=http://169.254.169.254/", "vibe-edit/", "vibe-code", "run-history/records", "dev/reload", "openapi.json",
        "profiling/traces", "runs", "file/etc/passwd", "token",
    ):  # fmt: skip
        for method in ("GET", "POST"):
            answer = mallory.request(method, f"/studio/gradio_api/{path}")
            assert answer.status_code == 404, path
    assert mallory.get("/studio/monitoring").status_code == 404
    assert mallory.get("/docs").status_code == mallory.get("/openapi.json").status_code == 404
    assert "no_such_page" in told(demo_house)


def test_what_is_somebody_elses_is_nobodys(demo_house, rita, mallory, clip):
    clip_id, job_id = clip["clip_id"], clip["id"]
    for address in (
        f"/clips/{clip_id}.mp4",
        f"/clips/{clip_id}.mp4?download=1",
        f"/clips/{clip_id}.jpg",
        f"/jobs/{job_id}",
    ):
        assert rita.get(address).status_code == 200
        foreign, none = mallory.get(address), mallory.get(address.replace(clip_id, "0" * 32).replace(job_id, "0" * 32))
        assert foreign.status_code in (400, 403, 404)
        assert (foreign.status_code, foreign.text) == (none.status_code, none.text), "foreign and missing look alike"
    assert mallory.get(f"/clips/{clip_id}.mp4", headers={"Range": "bytes=1-"}).status_code == 404
    assert mallory.post(f"/jobs/{job_id}/cancel").status_code == 400
    assert mallory.get("/audit").status_code == 403
    assert mallory.get("/consents").json() == []
    assert mallory.upload(b"x", "picture").status_code == 403, "viewers have our own cast"
    assert {"foreign_file", "role"} <= told(demo_house)


# ---- paths and ids ------------------------------------------------------------------------------------------------

CLIMBS = (
    "../../../../etc/passwd", "..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "..%252f..%252fetc%252fpasswd", "....//....//etc/passwd", "/etc/passwd", "%2fetc%2fpasswd",
    "..%5c..%5cetc%5cpasswd", "..%00/etc/passwd", "x%00.mp4", "%c0%ae%c0%ae/etc/passwd", "..;/..;/etc/passwd",
)  # fmt: skip
FOLDERS = (
    "/clips/", "/stills/", "/static/", "/cast/", "/voices/", "/fonts/IBMPlexSans/", "/consents/", "/jobs/",
    "/studio/gradio_api/file=", "/studio/assets/", "/studio/static/", "/studio/svelte/",
    "/studio/gradio_api/custom_component/",
)  # fmt: skip


def test_no_path_climbs_out(demo_house, anna):
    for folder in FOLDERS:
        for climb in CLIMBS:
            for suffix in ("", ".mp4", ".jpg"):
                status, body = raw(demo_house, "GET", f"{folder}{climb}{suffix}", cookie(anna))
                assert status in REFUSALS, (folder, climb, status)
                assert b"root:" not in body and b"Traceback" not in body


def test_the_house_and_the_code_are_not_served_even_to_administrators(demo_house, anna):
    for path in (
        demo_house.home / "registry.db",
        demo_house.home / "keys" / "audit.key",
        demo_house.log,
        "demo/server.py",
    ):
        status, body = raw(demo_house, "GET", f"/studio/gradio_api/file={path}", cookie(anna))
        assert status == 403 and b"SQLite" not in body
    for name in ("../server.py", "..%2fserver.py", "../../pyproject.toml", "../.git/config"):
        assert raw(demo_house, "GET", f"/static/{name}", cookie(anna))[0] == 404


# ---- sessions and forms -------------------------------------------------------------------------------------------


def test_forged_sessions_open_nothing(demo_house, mallory):
    token = mallory.cookies["vasa_session"]
    flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
    for forged in (
        "",
        "x",
        flipped,
        sha256(token.encode()).hexdigest(),
        secrets.token_urlsafe(32),
        "a" * 5000,
        "' OR 1=1 --",
    ):
        for path in ("/session", "/studio/config", "/jobs", "/audit"):
            assert raw(demo_house, "GET", path, {"Cookie": f"vasa_session={forged}"})[0] == 401, forged
    assert "forged_session" in told(demo_house)


def test_other_sites_can_make_nobody_do_anything(demo_house, anna):
    asked = {"portrait": "mei", "voice": "english"}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": demo_house.url.replace("127.0.0.1", "127.0.0.1.evil.example")},
        {"Origin": demo_house.url + "0"},
        {"X-CSRF": ""},
        {"X-CSRF": "guessed"},
    ):
        assert anna.post("/jobs", json=asked, headers=headers).status_code == 403, headers
    without = {name: value for name, value in anna.headers.items() if name.lower() != "origin"}
    bare = httpx.Client(
        base_url=demo_house.url, headers=without | {"Sec-Fetch-Site": "cross-site"}, cookies=anna.cookies
    )
    assert bare.post("/jobs", json=asked).status_code == 403
    assert bare.post("/studio/gradio_api/queue/join", json={}).status_code == 403
    assert anna.get("/jobs").json() == [] or all(job["state"] != "queued" for job in anna.get("/jobs").json())
    form = {"name": "anna", "password": PASSWORD, "csrf": "guessed"}
    assert Browser(demo_house.url).post("/login", data=form).status_code == 403
    fresh = Browser(demo_house.url)
    word = hidden_word(fresh.get("/login").text)
    fresh.cookies.clear()
    assert fresh.post("/login", data=form | {"csrf": word}).status_code == 403, "the word alone, without its cookie"
    assert {"foreign_origin", "forged_form"} <= told(demo_house)


def test_a_name_that_was_made_to_point_here_gets_nothing(demo_house, anna):
    for host in ("evil.example", f"evil.example:{demo_house.port}", "127.0.0.1", f"localhost:{demo_house.port}0", ""):
        status, _ = raw(demo_house, "GET", "/session", {"Host": host, **cookie(anna)})
        assert status == 421, host
    assert "foreign_host" in told(demo_house)


def test_sockets_open_for_our_own_pages_and_people_alone(demo_house, mallory):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    url = demo_house.url.replace("http", "ws") + "/live"
    for origin, headers in (
        ("https://evil.example", cookie(mallory)),
        (None, cookie(mallory)),
        (demo_house.url, {}),
        (demo_house.url, {"Cookie": "vasa_session=forged"}),
    ):
        with pytest.raises(InvalidStatus) as refusal, connect(url, origin=origin, additional_headers=headers):
            pass
        assert refusal.value.response.status_code == 403
    with connect(url, origin=demo_house.url, additional_headers=cookie(mallory)) as socket:
        socket.send(json.dumps({"portrait": "../../etc/passwd"}))
        assert "refused" in socket.recv(timeout=30)
    with connect(url, origin=demo_house.url, additional_headers=cookie(mallory)) as socket:
        socket.send("[" * 100_000)
        assert "refused" in socket.recv(timeout=30)


def test_two_hundred_quick_logins_end_at_the_door(demo_house):
    """From an address of their own, so that the other tests can still sign in."""
    word = secrets.token_urlsafe(24)
    headers = {
        "Origin": demo_house.url,
        "Cookie": f"vasa_form={word}",
        "Content-Type": "application/x-www-form-urlencoded",
    }

    def guess(name: str, password: str) -> int:
        """One sign-in with a form and a cookie that fit together, as an attacker makes them up."""
        connection = http.client.HTTPConnection("127.0.0.1", demo_house.port, 60, source_address=("127.0.0.2", 0))
        form = urlencode({"name": name, "password": password, "csrf": word})
        connection.request("POST", "/login", form, headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda n: guess(("vera", f"nobody{n}")[n % 2], f"guess number {n}"), range(200)))
    assert set(answers) == {401, 429} and answers.count(401) <= 20 and answers[-1] == 429
    assert guess("vera", PASSWORD) == 429, "who guessed right after all comes too late"
    assert demo_house.browser("vera").get("/session").status_code == 200, "vera herself sits elsewhere"
    assert "too_many_logins" in told(demo_house)


# ---- files --------------------------------------------------------------------------------------------------------


def png(width: int, height: int, pixels: bytes | None = None, *extra: bytes) -> bytes:
    """A PNG whose header says this size, whatever its content."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = zlib.compress(b"\0" * 100, 9) if pixels is None else pixels
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    content = b"Comment\0\0" + zlib.compress(b"\0" * 200_000_000, 9)
    name = b"zTXt"
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("face.png", b"\0" * 50_000_000)
    return out.getvalue()


def jpeg(side: int = 64) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8)).save(out, "JPEG")
    return out.getvalue()


def long_silence() -> bytes:
    """Two hours of nothing in a few kilobytes."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="flac") as file:
        track = file.add_stream("flac", rate=8000, layout="mono")
        block = av.AudioFrame.from_ndarray(np.zeros((1, 8000 * 60), np.int16), format="s16", layout="mono")
        block.sample_rate = 8000
        for _ in range(3):
            file.mux(track.encode(block))
        file.mux(track.encode(None))
    return out.getvalue()


def lying_wave() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(b"\0\0" * 100)
    lying = bytearray(out.getvalue())
    lying[4:8] = lying[40:44] = b"\xf0\xff\xff\x7f"
    return bytes(lying[:44])


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script><image href="file:///etc/passwd"/></svg>'
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"

BAD_FILES = {
    "svg": (SVG, "picture"),
    "svg with a declaration": (b'<?xml version="1.0"?>' + SVG, "picture"),
    "html": (b"<html><script>alert(1)</script>", "picture"),
    "zip bomb": (zip_bomb, "picture"),
    "pixel bomb": (lambda: png(60_000, 60_000), "picture"),
    "text bomb": (lambda: png(8, 8, None, text_bomb()), "picture"),
    "cut-off png": (lambda: png(512, 512), "picture"),
    "cut-off jpeg": (lambda: jpeg()[:300], "picture"),
    "jpeg in name alone": (b"\xff\xd8\xff" + b"\0" * 200, "picture"),
    "gif": (b"GIF89a" + b"\0" * 100, "picture"),
    "program": (b"\x7fELF" + b"\0" * 200, "picture"),
    "nothing": (b"", "picture"),
    "one byte": (b"\xff", "picture"),
    "sound as a picture": (lambda: voice(0.2), "picture"),
    "playlist": (PLAYLIST, "sound"),
    "concat script": (b"ffconcat version 1.0\nfile /etc/passwd\n", "sound"),
    "picture as a sound": (lambda: jpeg(), "sound"),
    "sound bomb": (long_silence, "sound"),
    "lying wave": (lying_wave, "sound"),
    "cut-off flac": (lambda: long_silence()[:60], "sound"),
    "mp4 of nothing": (b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", "sound"),
    "svg as a paper": (SVG, "document"),
    "zip as a paper": (zip_bomb, "document"),
    "sound as a capture": (lambda: voice(0.2), "capture"),
    "unknown kind": (lambda: jpeg(), "../uploads"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused_in_one_sentence_and_not_kept(demo_house, rita, name):
    content, kind = BAD_FILES[name]
    folder = demo_house.home / "files" / "uploads"
    before = set(folder.glob("*"))
    answer = rita.upload(content() if callable(content) else content, kind, "../../face.png")
    assert answer.status_code == 400, answer.text
    said = answer.json()["detail"]
    assert said.count(".") == 1 and len(said) < 200 and "\n" not in said
    assert set(folder.glob("*")) == before and not list((demo_house.home / "files" / "unfinished").glob("*"))


def test_giants_are_turned_away_before_they_are_read(demo_house, rita, mallory):
    giant = b"\xff\xd8\xff" + b"\0" * 21_000_000
    assert rita.upload(giant, "picture").status_code == 413
    files = {"files": ("x.jpg", giant)}
    assert mallory.post("/studio/gradio_api/upload", files=files).status_code == 413
    assert Browser(demo_house.url).post("/verify", files={"file": giant}).status_code == 413
    assert mallory.post("/jobs", content=b" " * 2_000_000).status_code == 413

    def endless():
        for _ in range(400):
            yield b"\0" * 65_536

    for path in ("/jobs", "/uploads", "/login"):
        kind = {"Content-Type": "multipart/form-data; boundary=x"} if path == "/uploads" else {}
        with suppress(httpx.WriteError):  # where the server hung up in the middle, as it may
            assert mallory.post(path, content=endless(), headers=kind).status_code in (400, 403, 413), path
    assert raw(demo_house, "POST", "/jobs", {"Content-Length": "-5", "Origin": demo_house.url})[0] in (400, 413)
    assert "too_large" in told(demo_house)


def test_the_public_page_bears_bad_files_too(demo_house):
    nobody = Browser(demo_house.url)
    for content in (SVG, PLAYLIST, png(60_000, 60_000), jpeg()[:300], b"", zip_bomb()):
        answer = nobody.post("/verify", files={"file": ("x.png", content)}, headers={"X-Piece": "1"})
        assert answer.status_code in (400, 422) or "Nothing of ours" in answer.text
        assert "Traceback" not in answer.text and str(demo_house.home) not in answer.text
    name = '"><img src=x onerror=alert(1)>.jpg'
    told_html = nobody.post("/verify", files={"file": (name, jpeg())}, headers={"X-Piece": "1"}).text
    assert "<img" not in told_html
    assert any(
        nobody.post("/verify", files={"file": ("x.png", SVG)}).status_code in (400, 429) for _ in range(10)
    ) and not list((demo_house.home / "files" / "unfinished").glob("*"))


# ---- Gradio's events, called without its pages --------------------------------------------------------------------


@pytest.fixture(scope="module")
def events(anna):
    """Every event of the pages: its number, name and how many inputs it takes."""
    config = anna.get("/studio/config").json()
    return [(each["id"], each.get("api_name"), len(each["inputs"])) for each in config["dependencies"]]


def test_events_are_called_by_nobody_without_an_account(demo_house, events):
    stranger = Browser(demo_house.url)
    for number, name, inputs in events:
        body = {"data": [None] * inputs, "fn_index": number, "session_hash": "abc"}
        assert stranger.post("/studio/gradio_api/queue/join", json=body).status_code == 401
        for road in ("call", "run", "api"):
            assert stranger.post(f"/studio/gradio_api/{road}/{name}", json=body).status_code == 401
    assert stranger.get("/studio/gradio_api/queue/data?session_hash=abc").status_code == 401


def test_private_events_do_for_nobody_what_is_not_theirs(demo_house, rita, mallory, events):
    """Whatever is posted to whichever event: nothing is done on somebody's behalf, nothing cancelled, nothing shown."""
    sound = rita.upload(voice(8.0), "sound").json()["upload"]
    busy = rita.post("/jobs", json={"portrait": "mei", "upload": sound, "size": 128}).json()["job"]
    theirs = (busy, "../../etc/passwd")
    for number, name, inputs in events:
        for value in theirs:
            body = {"data": [value] * inputs, "fn_index": number, "session_hash": "mallorys", "event_id": "x"}
            for road in (f"call/{name}", f"run/{name}", "queue/join"):
                answer = mallory.post(f"/studio/gradio_api/{road}", json=body)
                assert answer.status_code in (200, *REFUSALS, 500), (name, road, answer.status_code)
                assert "Traceback" not in answer.text and str(demo_house.home) not in answer.text
    assert rita.finish(busy)["state"] == "done", "nobody else's event touched it"
    assert all(job["id"] != busy for job in mallory.get("/jobs").json())
    for job in mallory.get("/jobs").json():
        mallory.post(f"/jobs/{job['id']}/cancel")


def test_events_take_no_files_but_ones_own(demo_house, rita, mallory, events):
    mine = mallory.post("/studio/gradio_api/upload", files={"files": ("v.wav", voice(0.3))}).json()[0]
    theirs = rita.post("/studio/gradio_api/upload", files={"files": ("r.wav", voice(0.35))}).json()[0]
    assert raw(demo_house, "GET", f"/studio/gradio_api/file={mine}", cookie(mallory))[0] == 200
    assert raw(demo_house, "GET", f"/studio/gradio_api/file={theirs}", cookie(rita))[0] == 200
    assert raw(demo_house, "GET", f"/studio/gradio_api/file={theirs}", cookie(mallory))[0] == 403
    number, name, inputs = max(events, key=lambda event: event[2])
    for path in (
        theirs,
        "/etc/passwd",
        str(demo_house.home / "registry.db"),
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
    ):
        for file in ({"path": path}, {"path": path, "meta": {"_type": "gradio.FileData"}}, {"video": {"path": path}}):
            body = {"data": [file] + [None] * (inputs - 1), "fn_index": number, "session_hash": "m"}
            for road in ("queue/join", f"call/{name}", f"run/{name}"):
                assert mallory.post(f"/studio/gradio_api/{road}", json=body).status_code == 403, (path, road)
    assert "foreign_file" in told(demo_house)


def test_one_cannot_listen_to_somebody_elses_page(demo_house, rita, mallory):
    page = secrets.token_hex(6)
    with rita.stream("GET", f"/studio/gradio_api/heartbeat/{page}") as mine:
        assert mine.status_code == 200
        assert mallory.get(f"/studio/gradio_api/queue/data?session_hash={page}").status_code == 403
        body = {"data": [], "fn_index": 0, "session_hash": page}
        assert mallory.post("/studio/gradio_api/queue/join", json=body).status_code == 403


# ---- a replayed consent -------------------------------------------------------------------------------------------


def test_a_consent_cannot_be_used_by_others_for_others_or_again(demo_house, anna, rita, mallory):
    from datetime import date, timedelta

    from test_demo_server import stranger

    rolf = demo_house.browser("rolf")
    portrait = rita.upload(stranger(), "picture").json()["upload"]
    paper = rita.upload(b"I agree. Signed: N.", "document").json()["upload"]
    until = str(date.today() + timedelta(30))
    asked = {"portrait": portrait, "statement": paper, "name": "N. Example", "until": until}
    consent = rita.post("/consent/statement", json=asked).json()["id"]
    assert mallory.post(f"/consents/{consent}/approve", json={}).status_code == 403
    assert mallory.post(f"/consents/{consent}/revoke", json={"why": ""}).status_code == 403
    assert mallory.get(f"/consents/{consent}/paper").status_code == 404
    assert rolf.post("/consent/statement", json=asked).status_code == 400, "somebody else's uploads"
    anna.post(f"/consents/{consent}/approve", json={})
    clip = {"portrait": consent, "voice": "english"}
    assert rolf.post("/jobs", json=clip).status_code == 403, "it was given to rita"
    assert rolf.post(f"/consents/{consent}/revoke", json={"why": ""}).status_code == 403, "what stands is not his"
    assert mallory.post("/jobs", json=clip).status_code == 403
    assert mallory.get(f"/consents/{consent}.jpg").status_code == 404
    begun = rita.post("/consent/begin").json()
    video = rita.upload(capture(), "capture").json()["upload"]
    capture_asked = {"evidence": begun["evidence"], "portrait": portrait, "video": video, "name": "N.", "until": until}
    first = rita.post("/consent/finish", json=capture_asked)
    assert first.status_code in (400, 403), first.text
    replayed = rita.post(
        "/consent/finish", json={**capture_asked, "video": rita.upload(capture(), "capture").json()["upload"]}
    )
    assert replayed.status_code in (400, 403)
    assert {"used_phrase"} <= told(demo_house, "refused")


def capture() -> bytes:
    """A second of grey video with a buzz: nobody in it, nothing said."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as file:
        picture = file.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        track = file.add_stream("pcm_s16le", rate=16000, layout="mono")
        for _ in range(12):
            grey = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8), format="rgb24")
            file.mux(picture.encode(grey))
        file.mux(picture.encode(None))
        samples = np.frombuffer(voice(1.2)[44:], "<i2")[None]
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16", layout="mono")
        block.sample_rate = 16000
        file.mux(track.encode(block))
        file.mux(track.encode(None))
    return out.getvalue()


# ---- all at once --------------------------------------------------------------------------------------------------


def test_a_flood_of_nonsense_costs_little_memory_and_few_lines_in_the_audit(demo_house):
    registry = demo_house.registry()
    before_lines = registry.audit.verify().count
    before_mb = resident_mb(demo_house.server.pid)
    stop = threading.Event()

    def shout(number: int) -> None:
        with httpx.Client(base_url=demo_house.url, timeout=30) as client:
            for turn in range(60):
                client.get(f"/clips/{secrets.token_hex(16)}.mp4", cookies={"vasa_session": f"{number}-{turn}"})
                client.get(f"/studio/{secrets.token_hex(4)}", cookies={"vasa_session": f"{number}-{turn}"})

    with ThreadPoolExecutor(8) as many:
        list(many.map(shout, range(8)))
    stop.set()
    assert registry.audit.verify().sound and registry.audit.verify().count - before_lines < 200
    assert resident_mb(demo_house.server.pid) - before_mb < 60
    registry.close()
