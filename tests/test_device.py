"""The graphics card's road to a frame, taken on the processor: piece by piece and whole against the compiled one."""

import cv2
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vasa_core import assets
from vasa_core.decoder import Decoder
from vasa_core.device.choice import device_named
from vasa_core.device.decoder import BatchDecoder
from vasa_core.device.frames import PORTRAITS_KEPT, Batches, Drawer
from vasa_core.device.measure import pack, rig_of
from vasa_core.device.motion import DeviceMotion, DeviceSpeech
from vasa_core.device.planes import Window, blurred, distances, looked_up, polygons, strokes
from vasa_core.device.posing import Normals, rotations
from vasa_core.device.raster import hits, interpolated, pairs
from vasa_core.errors import BadInput, BadOption
from vasa_core.eyes import polygon_mask
from vasa_core.geometry import empty_depth, rasterise, rotation, vertex_normals
from vasa_core.latents import MOTION
from vasa_core.motion import Conditions, MotionConfig, MotionTransformer
from vasa_core.pictures import load_picture
from vasa_core.portrait import prepare
from vasa_core.refinement import load_networks
from vasa_core.speech import SpeechEncoder, SpeechEncoderConfig
from vasa_core.studio import Studio
from vasa_core.surface import load_surface
from vasa_core.swift import Swift

CPU = torch.device("cpu")


# ---- rasteriser ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def meshes():
    """Two meshes of random triangles that overlap, leave the picture and lie before and behind the camera's zero."""
    rng = np.random.default_rng(0)
    points = rng.uniform((-8, -8, -5), (48, 40, 5), (2, 60, 3)).astype(np.float32)
    triangles = rng.integers(0, 60, (90, 3)).astype(np.int32)
    return points, triangles, rng.normal(size=(60, 4)).astype(np.float32)


def test_each_pixel_sees_what_the_compiled_rasteriser_says(meshes):
    points, triangles, attributes = meshes
    room = int(pairs(torch.from_numpy(points), torch.from_numpy(triangles).long(), (32, 40)).max())
    indices = torch.from_numpy(triangles).long()
    hit = hits(torch.from_numpy(points), indices, (32, 40), room)
    seen = interpolated(hit, torch.from_numpy(attributes).expand(2, -1, -1), indices, -7.0)
    assert not bool(hit.lacking) and bool(hit.seen.any()) and not bool(hit.seen.all())
    for k in range(2):
        expected = np.full((32, 40, 4), -7, np.float32)
        rasterise(points[k], triangles, attributes, empty_depth(32, 40), expected)
        wrong = np.abs(expected - seen[k].numpy()).max(-1) > 1e-3
        assert wrong.mean() < 0.004  # a pixel exactly on an edge may go to either side


def test_of_equally_near_triangles_the_first_is_seen_and_an_empty_mesh_shows_nothing():
    square = torch.tensor([[[0.0, 0, 1], [8, 0, 1], [0, 8, 1]]])
    hit = hits(square, torch.tensor([[0, 1, 2], [0, 2, 1], [0, 0, 0]]), (8, 8), 200)
    assert hit.triangle[0, 1, 1] == 0 and hit.triangle[0, 7, 7] == -1
    assert not hits(square, torch.tensor([[0, 0, 0]]), (8, 8), 10).seen.any()


def test_too_little_room_is_told(meshes):
    points, triangles, _ = meshes
    there, indices = torch.from_numpy(points), torch.from_numpy(triangles).long()
    needed = int(pairs(there, indices, (32, 40)).sum())
    assert bool(hits(there, indices, (32, 40), needed // 2 - 1).lacking)
    assert not bool(hits(there, indices, (32, 40), -(-needed // 2)).lacking)


# ---- what OpenCV does ------------------------------------------------------------------------------------------------


def contours():
    """Rings, wide and shut, as mouths and eyes are."""
    rng = np.random.default_rng(1)
    turn = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    for wide, high in ((30, 8), (50, 20), (15, 4), (40, 0.5)):
        ring = np.stack([64 + wide * np.cos(turn), 40 + high * np.sin(turn)], -1)
        yield (ring + rng.normal(0, 0.1, ring.shape)).astype(np.float32)


def test_polygons_are_opencvs():
    for contour in contours():
        expected = polygon_mask(contour, (80, 128))
        error = polygons(torch.from_numpy(contour)[None], (80, 128))[0].numpy() - expected
        assert np.abs(error).max() < 0.08 and np.sqrt((error**2).sum() / (expected > 0).sum()) < 0.02


def test_strokes_are_about_opencvs():
    along = np.linspace(0, 1, 9)
    path = np.stack([10.3 + 60 * along, 30.3 - 14 * np.sin(np.pi * along)], -1).astype(np.float32)
    for thick in (1, 2, 3):
        expected = np.zeros((48, 80), np.uint8)
        cv2.polylines(expected, [np.round(path * 16).astype(np.int32)], False, 255, thick, cv2.LINE_AA, 4)
        drawn = strokes(torch.from_numpy(path)[None], torch.tensor([float(thick)]), (48, 80))[0].numpy()
        error = cv2.GaussianBlur(drawn - expected.astype(np.float32) / 255, (0, 0), 0.9)  # as lashes are
        assert np.sqrt((error**2).sum() / (expected > 0).sum()) < 0.07  # most of it in the round ends


def test_blurs_and_distances_are_opencvs():
    rng = np.random.default_rng(2)
    planes = rng.random((2, 40, 50)).astype(np.float32)
    soft = blurred(torch.from_numpy(planes), torch.tensor([0.7, 2.3]), 10).numpy()
    for plane, sigma, found in zip(planes, (0.7, 2.3), soft, strict=True):
        assert np.abs(found - cv2.GaussianBlur(plane, (0, 0), sigma)).max() < 1e-4
    solid = cv2.GaussianBlur(planes[0], (0, 0), 3) > 0.47
    expected = np.minimum(cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, 5), 4)
    assert np.abs(distances(torch.from_numpy(solid)[None], 4)[0].numpy() - expected).max() < 1e-3


def test_a_plate_is_looked_up_as_opencv_does():
    rng = np.random.default_rng(3)
    plate = rng.random((20, 30, 3)).astype(np.float32)
    at = rng.uniform(-5, 35, (1, 16, 16, 2)).astype(np.float32)
    expected = cv2.remap(plate, at[0, ..., 0], at[0, ..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(looked_up(torch.from_numpy(plate), torch.from_numpy(at))[0].numpy() - expected).max() < 0.02


def test_a_window_stays_inside_the_frame_and_gives_back_what_it_took():
    pictures = torch.arange(2 * 32 * 32 * 3, dtype=torch.float32).view(2, 32, 32, 3)
    window = Window(torch.tensor([[2.0, 3.0], [30.0, 16.0]]), (8, 12), 32)
    assert window.origin.tolist() == [[0.0, 0.0], [20.0, 12.0]]
    part = window.of(pictures)
    assert torch.equal(part[1], pictures[1, 12:20, 20:32])
    window.put(pictures, part + 1)
    assert float(pictures.sum()) == pytest.approx(sum(range(2 * 32 * 32 * 3)) + part.numel())


def test_turns_and_normals_are_those_of_the_processor():
    vectors = np.array([[0.0, 0.0, 0.0], [0.3, -0.2, 0.1], [0.0, 1e-9, 0.0], [-1.0, 2.0, 0.5]], np.float32)
    for vector, matrix in zip(vectors, rotations(torch.from_numpy(vectors)), strict=True):
        assert np.abs(rotation(vector) - matrix.numpy()).max() < 1e-6
    rng = np.random.default_rng(4)
    points, triangles = rng.normal(size=(20, 3)).astype(np.float32), rng.integers(0, 20, (40, 3)).astype(np.int32)
    found = Normals(triangles, 20, CPU)(torch.from_numpy(points)[None])[0].numpy()
    assert np.abs(found - vertex_normals(points, triangles)).max() < 1e-4


# ---- whole frames ----------------------------------------------------------------------------------------------------

LOOKS = (
    ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0), {}, (0.0, 0.0)),
    ((0.10, 0.25, 0.05, 0.5, 0.2, 1.0), {"jawOpen": 0.4}, (0.2, 0.1)),
    ((-0.05, -0.2, 0.1, 0.0, 0.3, -2.0), {"eyeBlink": 1.0, "mouthSmile": 0.5, "jawOpen": 0.1}, (-0.3, 0.1)),
)
"""Head pose, expression and gaze: at rest, speaking to the side, blinking."""


@pytest.fixture(scope="module")
def roads():
    """One of the cast: the compiled decoder and the batched one, both in full precision, and moments to show."""
    surface = load_surface(assets.weights("surface.safetensors"))
    networks = load_networks(assets.weights("face.safetensors"), exact=True)
    decoder = Decoder(prepare(load_picture(assets.portraits()[0]), surface), surface, networks)
    moments = []
    for pose, expression, gaze in LOOKS:
        dynamics = surface.dynamics_from_weights(expression)
        dynamics[-2:] = gaze
        head = np.array(pose, np.float32)
        moments.append((head, dynamics, head * np.float32(0.8)))
    return decoder, BatchDecoder(decoder, networks, CPU), moments


def psnr_db(a, b):
    return 10 * np.log10(255**2 / max(float(np.mean((a.astype(np.float64) - b) ** 2)), 1e-9))


def mouth_of(decoder):
    lips = decoder.portrait.landmarks[[61, 291, 0, 17]]
    (x0, y0), (x1, y1) = (lips.min(0) - 15).astype(int), (lips.max(0) + 35).astype(int)
    return slice(y0, y1), slice(x0, x1)


class Recordable(TorchDispatchMode):
    """Refuses what a CUDA graph cannot hold: looks at values, shapes that follow values, tensors made on the host."""

    REFUSED = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "lift_fresh", "repeat_interleave")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert not name.startswith(self.REFUSED), f"{name} cannot be recorded"
        if name in ("index", "index_put", "index_put_"):
            assert all(part is None or part.dtype != torch.bool for part in args[1]), "a mask chooses how many"
        made = func(*args, **(kwargs or {}))
        assert getattr(made, "device", CPU) == CPU, f"{name} names no device"  # the default one here is another
        return made


def test_frames_are_those_of_the_compiled_decoder(roads):
    decoder, batched, moments = roads
    told = [torch.from_numpy(np.stack(part)) for part in zip(*moments, strict=True)]
    with torch.device("meta"), Recordable():  # nothing on the way to a frame keeps it from being recorded
        pictures, lacking = batched(*told)
    assert not bool(lacking)
    truth = [decoder.frame(*moment) for moment in moments]
    assert psnr_db(truth[0], truth[1]) < 30  # they do move
    mouth = mouth_of(decoder)
    for expected, found in zip(truth, pictures.numpy(), strict=True):
        assert psnr_db(expected, found) > 45
        assert psnr_db(expected[mouth], found[mouth]) > 45


def test_what_cannot_be_recorded_is_noticed():
    numbers = torch.arange(4.0)
    for wrong, match in (
        (lambda: numbers[numbers > 0], "mask"),
        (lambda: float(numbers.sum()), "recorded"),
        (lambda: numbers + torch.tensor([1.0, 2.0, 3.0, 4.0]), "device|recorded"),
        (lambda: numbers + torch.arange(4), "device"),
    ):
        with pytest.raises((AssertionError, RuntimeError), match=match), torch.device("meta"), Recordable():
            wrong()


# ---- batches ---------------------------------------------------------------------------------------------------------


class Numbered(BatchDecoder):
    """Paints each frame with its head's first number; lacks room until it was widened."""

    def __init__(self, lacking):
        self.device, self.size, self.lacking, self.asked = CPU, 2, lacking, []

    def __call__(self, head_pose, facial_dynamics, trailing):
        assert facial_dynamics.shape == (len(head_pose), 50) and torch.equal(trailing, head_pose + 1)
        self.asked.append(head_pose[:, 0].int().tolist())
        pictures = head_pose[:, 0].to(torch.uint8)[:, None, None, None].expand(-1, 2, 2, 3).clone()
        return (pictures * 0 if self.lacking else pictures), torch.tensor(self.lacking)

    def widen(self):
        self.lacking = False


def moment(k):
    head = np.full(6, k, np.float32)
    return head, np.zeros(50, np.float32), head + 1


@pytest.mark.parametrize("lacking", [False, True])
@pytest.mark.parametrize("live", [False, True])
def test_batches_keep_order_fill_up_and_make_room(live, lacking):
    decoder = Numbered(lacking)
    wanted = [moment(0), moment(1), moment(2), None, moment(3), moment(4), None, None]
    frames = list(Batches(decoder, 2).frames(wanted, live))
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 1, 2, 3, 4]
    batches = [[0, 1], [2, 2], [3, 4]] if live else [[0, 1], [2, 3], [4, 4]]
    assert [batch for k, batch in enumerate(decoder.asked) if batch not in decoder.asked[:k]] == batches


def test_a_live_voice_waits_for_no_full_batch():
    decoder, given = Numbered(False), []

    def wanted():
        yield moment(7)
        yield None
        given.append("asked for more")
        yield moment(8)

    frames = Batches(decoder, 8).frames(wanted(), True)
    assert int(next(frames)[0, 0, 0]) == 7 and not given
    assert [int(frame[0, 0, 0]) for frame in frames] == [8]


class Remembering(Drawer):
    """Counts what is made ready."""

    def ready(self, portrait, surface, size, live):
        self.__dict__.setdefault("made", []).append((size, live))
        return Batches(Numbered(False), 2)


def test_a_drawer_remembers_portraits_and_gives_two_clips_of_one_their_own(roads):
    decoder, _, _ = roads
    drawer = Remembering(CPU, None)

    def begin(size=512, live=False):
        return drawer.frames(decoder.portrait, decoder.surface, size, [moment(1), moment(2)], live)

    assert len(list(begin())) == 2 and len(list(begin())) == 2
    assert drawer.made == [(512, False)]
    first, second = begin(), begin()
    next(first), next(second)
    assert len(drawer.made) == 2
    first.close(), second.close()
    for size in range(1, 9):
        list(begin(size))
    assert len(drawer._kept) == PORTRAITS_KEPT


# ---- motion ----------------------------------------------------------------------------------------------------------


def test_motion_and_speech_on_a_device_are_the_same_numbers():
    torch.manual_seed(0)
    model = MotionTransformer(MotionConfig(audio_features=8, window=6, past=2, hidden=24, depth=1, heads=2)).eval()
    torch.nn.init.normal_(model.requires_grad_(False).to_motion.weight)
    conditions = Conditions(
        audio=torch.randn(1, 6, 8),
        heard=torch.ones(1, 6, dtype=torch.bool),
        past_audio=torch.randn(1, 2, 8),
        past_motion=torch.randn(1, 2, MOTION),
        gaze=torch.randn(1, 6, 2),
        head_distance=torch.ones(1, 6),
        emotion=torch.zeros(1, 6, 8),
        listening=torch.zeros(1, 6),
        present=torch.ones(1, 5, dtype=torch.bool),
    )
    noisy, time, without = torch.randn(2, 6, MOTION), torch.full((2,), 0.4), (None, "audio")
    with torch.no_grad():
        expected = Swift(model).answering(conditions)(noisy, time, without)
    found = DeviceMotion(model, CPU).answering(conditions)(noisy, time, without)
    assert torch.allclose(found, expected, atol=1e-4) and not torch.allclose(found[:1], found[1:], atol=1e-2)
    encoder = SpeechEncoder(SpeechEncoderConfig(width=16, code=8, blocks=((1, True), (2, False)))).eval()
    sound = torch.randn(16_000)
    assert torch.equal(DeviceSpeech(encoder, CPU).encode(sound), encoder.encode(sound))


# ---- choosing --------------------------------------------------------------------------------------------------------


def test_devices_have_names():
    assert device_named("cpu") is None and device_named("torch-cpu") == CPU


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "", "cpu:0"])
def test_other_names_are_refused(name):
    with pytest.raises(BadOption):
        device_named(name)


def test_a_card_that_is_not_there_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadOption, match=r"--device cpu"):
        device_named("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_named("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(BadOption, match="this machine has 2"):
        device_named("cuda:2")


def test_the_studio_refuses_a_card_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadOption, match="no graphics card"):
        Studio(device="cuda")
    assert Studio().drawer is None and Studio().device == "cpu"


def test_a_portrait_is_packed_for_a_machine_that_opens_no_pictures(roads, tmp_path):
    decoder, _, _ = roads
    sound = torch.randn(4_000)
    pack(decoder.portrait, sound, tmp_path / "pack")
    assert sum(file.stat().st_size for file in (tmp_path / "pack").iterdir()) < 8e6
    subject = rig_of(tmp_path / "pack", CPU)
    assert torch.equal(subject.sound, sound)
    assert np.array_equal(subject.portrait.appearance_volume, decoder.portrait.appearance_volume)
    with pytest.raises(BadInput, match="vasa bench --pack"):
        rig_of(tmp_path, CPU)
