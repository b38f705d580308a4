"""The command line and the Studio behind it: one real run from end to end, and everything that can be refused."""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import subprocess
import sys
import time
import wave
from dataclasses import dataclass, replace

import av
import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from PIL import Image

from vasa_core import assets, errors
from vasa_core.__main__ import _run, speak
from vasa_core.controls import Controls
from vasa_core.latents import MOTION, Motion
from vasa_core.options import USUAL_INTENSITY, degrees, emotion, weights
from vasa_core.stream import WHOLE
from vasa_core.studio import Studio, at_rate
from vasa_core.trust.consent import template

OPTIONS = """
    --seed --fps --gaze --distance --emotion --guidance-audio --guidance-gaze --steps --size --full-picture --consent
"""
HASTY = Controls(steps=2)
COMMAND = [sys.executable, "-m", "vasa_core"]


def vasa(*arguments: object, cwd=REPOSITORY, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        **options,
    )


def test_the_options_default_to_what_controls_default_to():
    usual, options = Controls(), inspect.signature(speak).parameters
    names = ("guidance_audio", "guidance_gaze", "steps", "emotion")
    assert {name: options[name].default for name in names} == {name: getattr(usual, name) for name in names}


@dataclass
class Ran:
    """What a command line said and returned."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def vasa_here(monkeypatch, capfd):
    """The same, without a process of its own: quicker where many are tried."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["vasa", *map(str, arguments)])
        capfd.readouterr()
        code = _run()
        said = capfd.readouterr()
        return Ran(code, said.out, "".join(line for line in said.err.splitlines(True) if line.startswith("vasa:")))

    return run


def assert_refused(result: subprocess.CompletedProcess | Ran, kind: type[errors.VasaError], words: str) -> None:
    """One sentence on stderr, nothing on stdout, the exit code of the class."""
    assert result.returncode == kind.exit_code, result.stderr
    assert result.stderr.startswith("vasa: ")
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not result.stdout


def speech(path, seconds: float):
    """The first seconds of our own English voice."""
    from vasa_core.audio import load_sound

    samples = load_sound(assets.FOLDER / "voices" / "english.flac").numpy()[: round(seconds * 16_000)]
    return write_wav(path, samples)


def write_wav(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.asarray(samples) * 32_767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def portrait():
    return assets.portraits()[0]


@pytest.fixture(scope="module")
def studio():
    return Studio()


@pytest.fixture(scope="module")
def first_light(tmp_path_factory, portrait):
    """One real run of `vasa speak`: (result, video)."""
    folder = tmp_path_factory.mktemp("first_light")
    out = folder / "made" / "video.mp4"
    return vasa("speak", portrait, speech(folder / "speech.wav", 2.0), "-o", out), out


# ---- the whole chain ----------------------------------------------------------------------------------------------


def frames_of(path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def test_speak_writes_a_video_as_long_as_the_sound(first_light):
    result, out = first_light
    assert result.returncode == 0, result.stderr
    with av.open(str(out)) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        assert (video.width, video.height, float(video.average_rate)) == (512, 512, 25.0)
        assert video.frames == 50
        assert float(audio.duration * audio.time_base) == pytest.approx(2.0, abs=0.04)


def test_speak_says_what_it_made_and_where_the_time_went(first_light):
    result, out = first_light
    assert f"{out}: 2.00 s, 50 frames, " in result.stdout
    for words in ("frames a second", "portrait", "speech", "motion", "render", "encode"):
        assert words in result.stdout


def test_speak_is_quiet_but_for_progress(first_light):
    result, _ = first_light
    assert "frame" in result.stderr
    for noise in ("W0000", "INFO:", "TensorFlow", "absl", "Warning"):
        assert noise not in result.stderr


def test_the_face_moves_and_the_corners_do_not(first_light):
    frames = frames_of(first_light[1]).astype(float)
    moving = frames.std(axis=0).mean(axis=-1)
    assert moving[200:420, 150:360].max() > 8
    assert np.median(moving[:40, :40]) < 2


def test_the_same_seed_gives_the_same_frames_and_another_seed_others(studio, portrait):
    """Before they are marked: every release bears a mark of its own."""
    ready, sound = studio.portrait(portrait), torch.randn(9_600, generator=torch.Generator().manual_seed(0)) / 10
    one, same, other = (
        np.stack([moment.picture for moment in studio.stream(ready, [sound], HASTY, seed=seed, size=256, pace=WHOLE)])
        for seed in (3, 3, 4)
    )
    assert len(one) == 15
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("chunk", [320, 4_001])
def test_a_stream_in_chunks_of_any_length_shows_the_same_frames_at_their_times(studio, portrait, chunk):
    ready, sound = studio.portrait(portrait), torch.randn(24_000, generator=torch.Generator().manual_seed(0)) / 10
    whole = list(studio.stream(ready, [sound], HASTY, size=128))
    pieces = list(studio.stream(ready, sound.split(chunk), HASTY, size=128))
    assert [moment.second for moment in pieces] == pytest.approx([(k + 0.5) / 25 for k in range(38)])
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(whole, pieces, strict=True))


def test_a_stream_without_refinement_shows_the_bare_warp(studio, portrait):
    ready, sound = studio.portrait(portrait), torch.randn(8_000, generator=torch.Generator().manual_seed(0)) / 10
    refined, bare = (list(studio.stream(ready, [sound], HASTY, refined=wanted)) for wanted in (True, False))
    assert [moment.second for moment in refined] == [moment.second for moment in bare]
    assert not np.array_equal(refined[-1].picture, bare[-1].picture)


def test_a_stream_leaves_out_what_is_late_and_nothing_else(studio, portrait):
    studio = replace(studio, every_frame=True)  # else what the network is asked about depends on what is left out
    ready, sound = studio.portrait(portrait), torch.zeros(16_000)
    whole = {moment.second: moment.picture for moment in studio.stream(ready, [sound], HASTY, size=128)}
    some = list(studio.stream(ready, [sound], HASTY, size=128, late=lambda second: second < 0.5))
    assert [moment.second for moment in some] == [second for second in whole if second >= 0.5]
    assert all(np.array_equal(moment.picture, whole[moment.second]) for moment in some)


@pytest.mark.parametrize("fps", [12, 30])
def test_any_frame_rate_has_the_length_of_the_sound(tmp_path, studio, portrait, fps):
    released = studio.speak(
        portrait, speech(tmp_path / "s.wav", 0.5), tmp_path / "v.mp4", HASTY, fps=fps, progress=False
    )
    assert released.frames == -(-fps // 2)


def test_full_picture_keeps_the_size_and_the_border_of_the_portrait(tmp_path, studio, portrait):
    ready = studio.portrait(portrait)
    looked = studio.look(ready, yaw=8, expression={"jawOpen": 0.4}, full_picture=True)
    assert looked.shape == ready.picture.shape
    border = np.concatenate([looked[:4].ravel(), looked[:, :4].ravel()]).astype(int)
    original = np.concatenate([ready.picture[:4].ravel(), ready.picture[:, :4].ravel()])
    assert np.abs(border - original).mean() < 3


def test_look_at_rest_is_the_portrait(studio, portrait):
    ready = studio.portrait(portrait)
    assert np.abs(studio.look(ready).astype(int) - ready.crop).mean() < 4


def test_look_writes_a_labelled_picture(tmp_path, portrait):
    out = tmp_path / "look.png"
    result = vasa("look", portrait, "-o", out, "--yaw", 10, "--gaze=-5,3", "--expression", "jawOpen=0.4,mouthSmile=0.3")
    assert result.returncode == 0, result.stderr
    with Image.open(out) as picture:
        assert picture.size == (512, 512)
        assert "AI-generated" in picture.info["Title"]


# ---- motion at any frame rate -------------------------------------------------------------------------------------


def line(frames: int) -> torch.Tensor:
    """A motion whose every number at frame n is n."""
    return torch.arange(frames, dtype=torch.float32)[:, None].expand(-1, MOTION)


def windows(packed: torch.Tensor, *lengths: int) -> list[Motion]:
    return [Motion.unpacked(part) for part in packed.split(list(lengths))]


@pytest.mark.parametrize("fps", [10, 24, 25, 30, 60])
@pytest.mark.parametrize("cuts", [(50,), (1, 49), (17, 17, 16), (1,) * 50])
def test_a_straight_line_stays_straight_at_any_rate_however_it_is_cut(fps, cuts):
    made = torch.cat([m.packed() for m in at_rate(windows(line(50), *cuts), fps, 2 * fps)])
    expected = ((torch.arange(2 * fps) + 0.5) * 25 / fps - 0.5).clamp(0, 49)
    assert torch.allclose(made[:, 0], expected, atol=1e-4)


def test_at_the_models_own_rate_nothing_changes():
    made = torch.cat([m.packed() for m in at_rate(windows(line(20), 7, 13), 25, 20)])
    assert torch.equal(made, line(20))


def test_motion_is_cut_and_held_to_the_count():
    assert sum(map(len, at_rate(windows(line(20), 20), 25, 18))) == 18
    held = torch.cat([m.packed() for m in at_rate(windows(line(20), 20), 25, 23)])
    assert held[-4:, 0].tolist() == [19, 19, 19, 19]


# ---- options ------------------------------------------------------------------------------------------------------


def test_options_are_read():
    assert degrees("10,-5.5", "--gaze") == (10.0, -5.5)
    assert emotion("happy", "--emotion") == ("happy", USUAL_INTENSITY)
    assert emotion("happy:0.5", "--emotion") == ("happy", 0.5)
    assert weights("jawOpen=0.3, mouthSmile=0.5", "--expression") == {"jawOpen": 0.3, "mouthSmile": 0.5}
    assert weights("", "--expression") == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--gaze", "left"), "--gaze takes two numbers"),
        (("--gaze", "1,2,3"), "--gaze takes two numbers"),
        (("--gaze", "90,0"), "between"),
        (("--emotion", "grumpy"), "grumpy"),
        (("--emotion", "happy:very"), "--emotion"),
        (("--distance", "9"), "between"),
        (("--steps", "0"), "between"),
        (("--fps", "500"), "--fps must lie between"),
        (("--fps", "fast"), "--fps"),
        (("--colour", "blue"), "--colour"),
    ],
)
def test_an_impossible_option_is_refused(vasa_here, tmp_path, portrait, options, words):
    sound = write_wav(tmp_path / "s.wav", np.zeros(1600))
    assert_refused(vasa_here("speak", portrait, sound, "-o", tmp_path / "v.mp4", *options), errors.BadInput, words)
    assert sorted(os.listdir(tmp_path)) == ["s.wav"]


def test_an_unknown_expression_is_met_with_the_nearest(studio, portrait):
    with pytest.raises(errors.BadOption, match="jawOpen"):
        studio.look(portrait, expression={"jawOpne": 0.2})
    with pytest.raises(errors.BadOption, match="between"):
        studio.look(portrait, yaw=120)
    with pytest.raises(errors.BadOption, match="between"):
        studio.look(portrait, expression={"jawOpen": float("nan")})


# ---- refusals -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bad(tmp_path_factory, portrait):
    """A folder of inputs that cannot be used, with a consent statement that covers any of them."""
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.png").write_text("I am a text file")
    (folder / "truncated.png").write_bytes(portrait.read_bytes()[: portrait.stat().st_size // 2])
    Image.fromarray(np.full((300, 300, 3), 128, np.uint8)).save(folder / "no_face.png")
    with Image.open(portrait) as picture:
        face = picture.convert("RGB").resize((512, 512))
    two = Image.new("RGB", (1024, 512))
    two.paste(face, (0, 0))
    two.paste(face, (512, 0))
    two.save(folder / "two.png")
    far = Image.new("RGB", (900, 900), (120, 130, 140))
    far.paste(face.resize((110, 110)), (400, 400))
    far.save(folder / "far.png")
    write_wav(folder / "good.wav", np.zeros(8000))
    write_wav(folder / "empty.wav", np.zeros(0))
    (folder / "text.wav").write_text("I am a text file")
    (folder / "consent.toml").write_text(template().replace("FILL IN", "Drawn for a test"))
    (folder / "file").touch()
    return folder


@pytest.mark.parametrize(
    ("picture", "sound", "out", "kind", "words"),
    [
        ("missing.png", "good.wav", "v.mp4", errors.BadPortrait, "no file"),
        ("text.png", "good.wav", "v.mp4", errors.BadPortrait, "not a picture"),
        ("truncated.png", "good.wav", "v.mp4", errors.BadPortrait, "cut off"),
        ("no_face.png", "good.wav", "v.mp4", errors.BadPortrait, "face"),
        ("two.png", "good.wav", "v.mp4", errors.BadPortrait, "2 faces"),
        ("far.png", "good.wav", "v.mp4", errors.BadPortrait, "face"),
        (None, "missing.wav", "v.mp4", errors.BadSound, "sound"),
        (None, "empty.wav", "v.mp4", errors.BadSound, "0 seconds"),
        (None, "text.wav", "v.mp4", errors.BadSound, "sound"),
        (None, "text.png", "v.mp4", errors.BadSound, "sound"),
        (None, "good.wav", "file/v.mp4", errors.BadOption, "cannot be written"),
        (None, "good.wav", "v.avi", errors.BadOption, ".mp4"),
    ],
)
def test_bad_input_is_one_clear_sentence(vasa_here, bad, portrait, picture, sound, out, kind, words):
    before = sorted(os.listdir(bad))
    chosen = ["--consent", bad / "consent.toml", bad / picture] if picture else [portrait]
    assert_refused(vasa_here("speak", *chosen, bad / sound, "-o", bad / out), kind, words)
    assert sorted(os.listdir(bad)) == before


def test_a_stranger_is_refused_without_consent_and_without_asking(vasa_here, bad, portrait):
    with Image.open(portrait) as picture:
        picture.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(bad / "stranger.png")
    result = vasa("speak", bad / "stranger.png", bad / "good.wav", "-o", bad / "v.mp4")
    assert_refused(result, errors.ConsentRefused, "--consent")
    result = vasa_here("look", bad / "stranger.png", "-o", bad / "p.png")
    assert_refused(result, errors.ConsentRefused, "--consent")
    (bad / "stranger.png").unlink()


def test_the_output_may_not_be_an_input(tmp_path, studio, portrait):
    sound = tmp_path / "talk.mp4"
    sound.write_bytes(b"mine")
    with pytest.raises(errors.BadOption, match="one of the inputs"):
        studio.speak(portrait, sound, sound)
    assert sound.read_bytes() == b"mine"


def test_a_grant_for_another_portrait_does_not_serve(tmp_path, studio, grant, portrait):
    with pytest.raises(errors.ConsentRefused, match="another portrait"):
        studio.speak(portrait, write_wav(tmp_path / "s.wav", np.zeros(1600)), tmp_path / "v.mp4", consent=grant())


def anything_in(folder) -> bool:
    """Whether a file there has content; one that goes away while it is looked at has none."""
    with contextlib.suppress(FileNotFoundError):
        return any(path.stat().st_size for path in folder.iterdir())
    return False


def test_interrupting_leaves_nothing(tmp_path, portrait):
    sound = write_wav(tmp_path / "long.wav", np.zeros(16_000 * 60))
    out = tmp_path / "out"
    running = subprocess.Popen(
        [*COMMAND, "speak", str(portrait), str(sound), "-o", str(out / "v.mp4")],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not anything_in(out):
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, complaint = running.communicate(timeout=30)
    assert running.returncode == 130
    assert complaint.strip().endswith("vasa: stopped; nothing was written.")
    assert os.listdir(out) == []


def test_consent_template_prints_a_statement(vasa_here, portrait, tmp_path):
    result = vasa_here("consent-template", portrait)
    assert result.returncode == 0
    assert "portrait_sha256" in result.stdout
    assert_refused(vasa_here("consent-template", tmp_path / "none.png"), errors.BadPortrait, "no file")


def test_help_is_quick_and_names_every_option():
    start = time.perf_counter()
    result = vasa("speak", "--help")
    took = time.perf_counter() - start
    for option in OPTIONS.split():
        assert option in result.stdout
    assert took < 5
    imported = subprocess.run(
        [sys.executable, "-c", "import sys, vasa_core.__main__; print('torch' in sys.modules)"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert imported.strip() == "False"


def test_missing_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "FOLDER", tmp_path)
    with pytest.raises(errors.MissingWeights, match="surface"):
        _ = Studio().surface
    with pytest.raises(errors.MissingWeights, match="empty"):
        assets.portraits()
