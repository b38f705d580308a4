"""The camera: a person, a look and a light in; an averaged linear picture and exact ground truth out.

A picture is the mean of many passes. Each pass moves the pixel grid a little (smooth edges and hair), the point of the
lens (depth of field), and every light over its panel, with one more light somewhere in the surrounding glow (soft
shadows, ambient occlusion). The moves follow low-discrepancy sequences, so the same request gives the same picture.
Runs on any OpenGL 3.3, without a window; software rendering is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import moderngl
import numpy as np
from numpy import ndarray as Array
from numpy.random import Generator
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from vasa_core.errors import BadOption
from vasa_core.mouth import FORWARD_CM, HIDE_CM, SHOW_CM
from vasa_core.world import clothes, facial_hair, hair, materials, shaders, worn, wrinkles
from vasa_core.world.detail import FINE, Detail, coarse_triangles, coarser, sparser
from vasa_core.world.facekit import (
    GUMS,
    MOUTH,
    NECK_PIVOT,
    SCALP,
    SIDES,
    SOCKET_L,
    SOCKET_R,
    TEETH,
    FaceKit,
    Number,
    head_rotation,
    pose_points,
    quaternion,
    smoothstep,
    unit,
)
from vasa_core.world.head import load_head
from vasa_core.world.meshes import Mesh, surface_normals
from vasa_core.world.people import Camera, Light, Look, Panel, Person
from vasa_core.world.truth import ALL_LANDMARKS, Truth, bind_landmarks, iris_landmarks, meant_landmarks, seen

PART_NAMES = (
    "background",
    "skin",
    "mouth",
    "gums",
    "teeth",
    "eye_L",
    "eye_R",
    "socket",
    "body",
    "cloth",
    "hair",
    "beard",
    "brows",
    "glasses",
    "jewellery",
    "hat",
    "scarf",
)
PART_NUMBER = {name: number for number, name in enumerate(PART_NAMES)}
LIGHT_TARGET = np.array([0, -1, 1], np.float32)  # what the shadow maps are centred on
STILL = (1, 2)  # fill and rim among the four lights
CHIN = 8  # of the 68 landmarks
LIPS_SHUT = 0.03  # cm between the inner lips: nothing is seen through less
BEHIND_LIPS_CM = 1.5  # depth of what is in the mouth is tested so far back: it never shows through lips
BEHIND_LIDS_CM = 0.5  # the same for eyeballs and their sockets: corneas never show through shut lids
LIPS_WIDE = 0.45  # cm: through as much the light falls in freely
FOCUS_Z = 7.0  # depth of the eyes and lips, cm: what the camera focuses on
VIEW_CM = 39.0  # what a picture spans at the face, near enough to choose how fine things are made
BEARD_TINT = 0.85  # a beard is a little darker than the hair of the head
DARK_GLASS = 0.5  # glass at least this opaque is a part of its own, thinner glass shows what is behind it


@dataclass(frozen=True)
class Shot:
    """A linear picture taken apart: light on skin, colour of skin, everything else; each [size, size, 4]."""

    light: Array  # alpha: skin coverage
    albedo: Array
    other: Array  # alpha: coverage
    px_per_cm: Number
    landmarks: Array  # [68, 2] pixels


def assign(program: moderngl.Program, **values) -> None:
    """Set those uniforms that the program has."""
    for name, value in values.items():
        if name in program:
            uniform = program[name]
            assert isinstance(uniform, moderngl.Uniform)
            if isinstance(value, np.ndarray):
                uniform.write(np.ascontiguousarray(value, np.float32).tobytes())
            else:
                uniform.value = value


def layout(program: moderngl.Program, buffer: moderngl.Buffer, fields: list[tuple[str, int]]) -> tuple:
    """The buffer's format for this program: attributes it lacks are skipped."""
    formats = [f"{n}f" if name in program else f"{4 * n}x" for name, n in fields]
    return buffer, " ".join(formats), *(name for name, _ in fields if name in program)


MOVING = [("aPosition", 3), ("aNormal", 3)]
FIXED = [("aUV", 2), ("aCanonical", 3), ("aWeight", 1), ("aHairy", 2)]
RIBBON = [("aPosition", 3), ("aTangent", 3), ("aNormal", 3), ("aRibbon", 4), ("aLayer", 1)]


def ribbon_vertices(strands: hair.Strands) -> Array:
    """[n, K, 2, 14]: two vertices a strand point, one on each side."""
    count, steps = strands.points.shape[:2]
    out = np.zeros((count, steps, 2, 14), np.float32)
    out[..., 0:3] = strands.points[:, :, None]
    out[..., 3:6] = unit(np.gradient(strands.points, axis=1))[:, :, None]
    out[..., 6:9] = strands.normals[:, :, None]
    out[..., 9] = np.linspace(0, 1, steps)[None, :, None]
    out[..., 10] = (-1, 1)
    out[..., 11], out[..., 12], out[..., 13] = (v[:, None, None] for v in (strands.tint, strands.width, strands.layer))
    return out


def ribbon_triangles(count: int, steps: int) -> Array:
    first = (np.arange(count)[:, None] * steps + np.arange(steps - 1)[None]) * 2
    return np.stack([first, first + 1, first + 2, first + 2, first + 1, first + 3], -1).astype(np.int32)


def halton(index: int, base: int) -> float:
    """The index-th number of the low-discrepancy sequence of this base, in 0..1."""
    value, share = 0.0, 1.0 / base
    while index:
        index, digit = divmod(index, base)
        value, share = value + digit * share, share / base
    return value


def triangular(u: Number) -> float:
    """A uniform number turned into one of the tent over -1..1."""
    return np.sqrt(2 * u) - 1 if u < 0.5 else 1 - np.sqrt(2 - 2 * u)


def camera_matrices(
    camera: Camera, jitter: tuple[Number, Number] = (0, 0), lens: tuple[Number, Number] = (0, 0)
) -> tuple[Array, Array]:
    """World to clip [4, 4] and the eye's position; `jitter` in clip units, `lens` in cm off the axis."""
    eye = np.array([camera.x + lens[0], camera.y + lens[1], 2 + camera.distance], np.float32)
    near, far, focal = camera.distance - 45, camera.distance + 60, 2 * camera.distance / camera.view
    to_focus = camera.distance + 2 - FOCUS_Z
    view, clip = np.eye(4), np.zeros((4, 4))
    view[:3, 3] = -eye
    clip[0, 0] = clip[1, 1] = focal
    clip[:2, 2] = [-focal * lens[i] / to_focus - jitter[i] for i in (0, 1)]
    clip[2, 2:] = -(far + near) / (far - near), -2 * far * near / (far - near)
    clip[3, 2] = -1
    return (clip @ view).astype(np.float32), eye


def pixel_from_world(camera: Camera, size: int) -> Array:
    """The matrix [3, 4] that takes world points (X, Y, Z, 1) to (x, y, 1) times their depth along the axis."""
    focal, middle = camera.distance / camera.view * size, size / 2
    far = 2 + camera.distance
    return np.array(
        [
            [focal, 0, -middle, middle * far - focal * camera.x],
            [0, -focal, -middle, middle * far + focal * camera.y],
            [0, 0, -1, far],
        ],
        np.float32,
    )


def light_matrix(direction: Array) -> Array:
    """World to the clip space of a parallel light from this direction."""
    x = unit(np.cross([0, 1, 0.01], direction))
    rows = np.stack(
        [
            x / shaders.SHADOW_HALF_CM,
            np.cross(direction, x) / shaders.SHADOW_HALF_CM,
            -direction / shaders.SHADOW_DEPTH_CM,
        ]
    )
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3], matrix[:3, 3] = rows, -rows @ LIGHT_TARGET
    return matrix


def moved_lights(light: Light, index: int, count: int, still: bool = False) -> list[tuple[Array, Array]]:
    """Direction and colour of the four lights of one pass: a point of each panel, and a direction of the glow.

    `still` keeps fill and rim where they were in the first pass.
    """
    lights = []
    for number, panel in enumerate((light.key, light.fill, light.rim)):
        if still and number:
            lights.append((panel.direction(), np.array(panel.color)))
            continue
        right, up = (2 * halton(index * 3 + number + 1, base) - 1 for base in (2, 3))
        lights.append((panel.direction(right, up), np.array(panel.color)))
    height = 1 - 2 * (index + 0.5) / count
    azimuth, flat = np.pi * (1 + 5**0.5) * index, np.sqrt(1 - height**2)
    mix = 0.5 + 0.5 * height
    glow = 4 * (np.array(light.above) * mix + np.array(light.below) * (1 - mix))  # 4 = whole sphere over Lambert's pi
    lights.append((np.array([flat * np.sin(azimuth), height, flat * np.cos(azimuth)], np.float32), glow))
    return lights


@dataclass
class Figure:
    """A person as the GPU holds them, and what is needed to move them."""

    person: Person
    rest: Array
    fixed: Array  # what the head's GPU vertices keep through every frame
    eye_centers: dict[str, Array]
    textures: dict[str, moderngl.Texture]
    body: Array
    meshes: dict[str, dict[str, moderngl.VertexArray]]
    pieces: list[tuple[clothes.Piece, dict[str, moderngl.VertexArray]]]
    strands: dict[str, dict]
    owned: list

    def release(self) -> None:
        """Give the GPU memory back."""
        for thing in self.owned:
            thing.release()


def egl_context() -> moderngl.Context:
    """A context without a window, on the device that GLCONTEXT_DEVICE_INDEX names or the first one."""
    try:
        return moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]
    except Exception as cause:  # the library raises nothing narrower
        raise BadOption(
            f"Nothing can be drawn here ({cause}): choose another --device, or install an EGL driver, "
            "of which Mesa's software one (libegl1) is enough."
        ) from cause


class Renderer:
    """Draws people at one picture size."""

    def __init__(self, size: int, kit: FaceKit | None = None, texture: int = 2048, detail: Detail = FINE):
        self.size, self.texture, self.kit, self.detail = size, texture, kit or load_head(), detail
        self.pixel_cm, self.average = VIEW_CM / size, worn.Head(self.kit, self.kit.neutral)
        self.gl = egl_context()
        self._compile()
        self._allocate()
        self._upload_head()
        self.lips = self._lip_mask()
        self.binding = bind_landmarks(self.kit, meant_landmarks())

    # ---- set-up ------------------------------------------------------------------------------------------------------
    def _compile(self) -> None:
        surface, s = shaders.SURFACE_VERTEX, shaders
        pairs = {
            "skin": (surface, s.SKIN_FRAGMENT),
            "eye": (surface, s.EYE_FRAGMENT),
            "mouth": (surface, s.MOUTH_FRAGMENT),
            "worn": (materials.WORN_VERTEX, materials.WORN_FRAGMENT),
            "glass": (materials.WORN_VERTEX, materials.GLASS_FRAGMENT),
            "worn_part": (materials.WORN_VERTEX, materials.WORN_PART_FRAGMENT),
            "hair": (s.HAIR_VERTEX, s.HAIR_FRAGMENT),
            "shadow": (surface, s.DEPTH_FRAGMENT),
            "hair_shadow": (s.RIBBON_VERTEX, s.DEPTH_FRAGMENT),
            "worn_shadow": (materials.WORN_VERTEX, s.DEPTH_FRAGMENT),
            "part": (surface, s.PART_FRAGMENT),
            "hair_part": (s.RIBBON_VERTEX, s.HAIR_PART_FRAGMENT),
            "bake": (s.SKIN_BAKE_VERTEX, s.SKIN_BAKE_FRAGMENT),
        }
        self.programs = {name: self.gl.program(vertex_shader=v, fragment_shader=f) for name, (v, f) in pairs.items()}

    def _allocate(self) -> None:
        gl, size, self.drawn = self.gl, (self.size, self.size), round(self.size * self.detail.oversample)
        large = (self.drawn, self.drawn)
        self.targets = [gl.texture(large, 4, dtype="f2") for _ in range(3)]
        self.frame = gl.framebuffer(self.targets, gl.depth_renderbuffer(large))
        self.truth_targets = [gl.texture(size, 4, dtype="f4") for _ in range(2)]
        self.part_frame = gl.framebuffer(self.truth_targets, gl.depth_renderbuffer(size))
        side = self.detail.shadow_tile * shaders.ATLAS_TILES
        self.atlas = gl.depth_texture((side, side))
        self.atlas.compare_func = ""
        self.atlas.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.shadow_frame = gl.framebuffer(depth_attachment=self.atlas)
        values = np.random.default_rng(5).random((32, 32, 32, 4))
        self.noise = gl.texture3d((32, 32, 32), 4, (values * 255).astype(np.uint8).tobytes())
        self.noise.filter = (moderngl.LINEAR, moderngl.LINEAR)

    def _upload_head(self) -> None:
        kit, gl = self.kit, self.gl
        part = kit.face_part
        sclera = {side: kit.material_faces(name) for side, name in (("L", "M_ScleraLeft"), ("R", "M_ScleraRight"))}
        chosen = {
            "skin": part <= SCALP,
            "mouth": part == MOUTH,
            "gums": part == GUMS,
            "teeth": part == TEETH,
            "socket": (part == SOCKET_L) | (part == SOCKET_R),
            "eye_L": sclera["L"],
            "eye_R": sclera["R"],
            "solid": part <= SOCKET_R,  # teeth would shade the chin, corneas shut lids
        }
        triangles = {name: kit.split_faces[mask] for name, mask in chosen.items()}
        casting = triangles["solid"] if self.detail.inside else triangles["skin"]
        triangles["casting"] = coarse_triangles(kit.neutral[kit.split_vertex], casting, self.detail.shadow_cell)
        self.triangles = {name: gl.buffer(faces.astype(np.int32).tobytes()) for name, faces in triangles.items()}
        self.moving = gl.buffer(reserve=len(kit.split_vertex) * 24, dynamic=True)
        self.fixed = gl.buffer(reserve=len(kit.split_vertex) * 32, dynamic=True)
        self.arrays: dict[tuple[str, str], moderngl.VertexArray] = {}

    def _head_array(self, program: str, part: str) -> moderngl.VertexArray:
        if (program, part) not in self.arrays:
            p = self.programs[program]
            content = [layout(p, self.moving, MOVING), layout(p, self.fixed, FIXED)]
            content = [c for c in content if len(c) > 2]
            self.arrays[program, part] = self.gl.vertex_array(
                p, content, index_buffer=self.triangles[part], index_element_size=4
            )
        return self.arrays[program, part]

    def _lip_mask(self) -> moderngl.Texture:
        """The lips (red) and the edges of the upper lids (green) on the unfolded face, through landmarks."""
        kit, side = self.kit, self.texture
        corner = {int(v): uv for v, uv in zip(kit.split_vertex, kit.split_uv, strict=True) if uv[0] < 1}
        outline = np.array([corner[int(v)] for v in kit.landmarks[48:60]])
        spline = CubicSpline(np.arange(13), np.r_[outline, outline[:1]], bc_type="periodic")(np.linspace(0, 12, 160))
        mask = np.zeros((side, side, 2), np.uint8)
        lips, lids = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
        cv2.fillPoly(lips, [(spline * side * 16).astype(np.int32)], 255, shift=4)
        for ids in (range(36, 40), range(42, 46)):
            margin = CubicSpline(np.arange(4), np.array([corner[int(v)] for v in kit.landmarks[list(ids)]]))
            drawn = (margin(np.linspace(0, 3, 60)) * side * 16).astype(np.int32)
            cv2.polylines(lids, [drawn], False, 255, max(side // 150, 1), shift=4)
        mask[..., 0], mask[..., 1] = (cv2.GaussianBlur(m, (0, 0), side / w) for m, w in ((lips, 230), (lids, 380)))
        texture = self.gl.texture((side, side), 2, mask.tobytes())
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        return texture

    # ---- a person ----------------------------------------------------------------------------------------------------
    def dress(self, person: Person) -> Figure:
        """Everything of a person that does not change from frame to frame."""
        kit, rng = self.kit, np.random.default_rng(person.seed + 77)
        rest = seated(kit, kit.identity(person.identity))
        normals = kit.normals(rest)
        centers = {side: eye.center + (rest - kit.neutral)[eye.vertices].mean(0) for side, eye in kit.eyeballs.items()}
        figure = Figure(person, rest, np.empty(0), centers, {}, np.empty(0), {}, [], {}, [])
        brows = facial_hair.grow_brows(kit, rest, normals, person.brows, np.random.default_rng([person.seed, 3]))
        hanging = {"brows": brows, "lashes": facial_hair.grow_lashes(kit, person.eyes.lashes, rng)}
        if person.beard:
            grown = np.random.default_rng([person.seed, 6])
            hanging["beard"] = facial_hair.grow_beard(kit, rest, normals, person.beard, grown)
        self._bake_skin(figure, hanging, rng)
        self._build_body(figure, normals)
        self._grow_strands(figure, normals, hanging, rng)
        return figure

    def _bake_skin(self, figure: Figure, hanging: dict[str, facial_hair.Rooted], rng: Generator) -> None:
        kit, gl, program = self.kit, self.gl, self.programs["bake"]
        skin, style = figure.person.skin, figure.person.hair
        kind = figure.person.beard.kind if figure.person.beard else "full"
        hairy = np.stack([facial_hair.beard_density(kit.neutral, kind), hair.scalp_density(kit.neutral, style)], 1)
        fixed = np.concatenate(
            [kit.split_uv, kit.neutral[kit.split_vertex], kit.weight[kit.split_vertex, None], hairy[kit.split_vertex]],
            1,
        )
        figure.fixed = fixed.astype(np.float32)
        self.fixed.write(figure.fixed.tobytes())
        size = (2 * self.texture, self.texture)
        albedo, height = gl.texture(size, 4, dtype="f2"), gl.texture(size, 4, dtype="f2")
        frame = gl.framebuffer([albedo, height])
        frame.use()
        frame.clear(*skin.color, 0.3)
        gl.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        shaded = np.zeros((self.texture, self.texture, 2), np.uint8)
        shaded[..., 0] = facial_hair.brow_shadow(kit, figure.rest, hanging["brows"], self.texture)
        if "beard" in hanging:
            shaded[..., 1] = facial_hair.beard_shadow(kit, figure.rest, hanging["beard"], self.texture)
        brow_mask = gl.texture((self.texture, self.texture), 2, shaded.tobytes())
        self.lips.use(0)
        self.noise.use(1)
        brow_mask.use(2)
        natural = np.array(skin.color) * (0.92, 0.56, 0.54) + np.array([0.07, 0.008, 0.012]) * (1 - skin.darkness)
        tint = 0.06 if style.style == hair.BALD else hair.STYLES[style.style].scalp
        assign(
            program,
            uLips=0,
            uNoise=1,
            uBrows=2,
            uSkin=skin.color,
            uHair=style.color,
            uLipColor=tuple(skin.lipstick or natural),
            uNoiseOffset=tuple(32 * rng.random(3)),
            uStubbleColor=figure.person.brows.color,
            uBeardColor=tuple(BEARD_TINT * c for c in style.color),
            uMoles=self._moles(skin.moles, rng),
            uRedness=skin.redness,
            uFreckles=skin.freckles,
            uBlotches=skin.blotches,
            uEyeShade=skin.eye_shade,
            uStubble=max(skin.stubble, 0.9 if figure.person.beard else 0.0),
            uPores=skin.pores,
            uAgeSpots=skin.age_spots,
            uBlush=skin.blush,
            uLidFold=skin.lid_fold,
            uBlushColor=skin.blush_color,
            uShadow=skin.eyeshadow,
            uShadowColor=skin.eyeshadow_color,
            uLiner=skin.liner,
            uScalpTint=tint,
            uDarkness=skin.darkness,
            uLipStrength=0.88 if skin.lipstick else skin.lip_strength,
        )
        content = [layout(program, self.fixed, FIXED)]
        array = gl.vertex_array(program, content, index_buffer=self.triangles["skin"], index_element_size=4)
        array.render()
        array.release()
        for texture in (albedo, height):
            texture.build_mipmaps()
            texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        figure.textures.update(albedo=albedo, height=height)
        figure.owned += [albedo, height, frame, brow_mask]

    def _moles(self, count: int, rng: Generator) -> Array:
        places = self.kit.neutral[(self.kit.part == 0) & (self.kit.neutral[:, 2] > 2) & (self.kit.neutral[:, 1] > -14)]
        moles = np.full((6, 4), 99.0, np.float32)
        moles[:, 3] = 0.1
        for mole in moles[:count]:
            mole[:3], mole[3] = places[rng.integers(len(places))], rng.uniform(0.05, 0.11)
        return moles

    def _build_body(self, figure: Figure, normals: Array) -> None:
        """Torso grown from the border of the neck, the clothes cut on it, and whatever else is worn."""
        kit, loop, person = self.kit, self.kit.neck_loop, figure.person
        points, faces = clothes.torso(figure.rest[loop], person.clothes.shoulders)
        body_normals = surface_normals(points, faces)
        count = len(loop)
        if (
            body_normals[8 * count : 9 * count] * (points[8 * count : 9 * count] - [0, points[8 * count, 1], -1.5])
        ).sum() < 0:
            body_normals, faces = -body_normals, faces[:, ::-1]
        body_normals[:count] = normals[loop]
        body_normals[count : 2 * count] = unit(0.6 * body_normals[count : 2 * count] + 0.4 * normals[loop])
        uv = np.full((len(points), 2), (1.5, 0.02))  # a plain spot of the skin picture
        nothing = np.zeros((len(points), 2))
        body = Mesh(points, body_normals, points, nothing[:, 0], uv, nothing, faces)
        figure.meshes["body"] = self._mesh(figure, body, ("skin", "part", "shadow"))
        figure.body = np.concatenate([points, figure.rest[(kit.part == SCALP) & (kit.neutral[:, 1] < -11)]])
        self._put_on(figure)

    def _put_on(self, figure: Figure) -> None:
        """Clothes and worn things, each with the random numbers of its own kind."""
        person, rng = figure.person, np.random.default_rng([figure.person.seed, 5])
        tailor = clothes.tailor_for(self.kit, figure.rest, person.clothes, rng, self.pixel_cm)
        pieces = clothes.sew(tailor, person.clothes)
        pieces += worn.scarf_pieces(tailor, person.scarf) if person.scarf else []
        figure.body = np.concatenate([figure.body, *(piece.mesh.points for piece in pieces)])
        for piece in [*pieces, *worn.put_on(self.kit, person, figure.rest, self.average)]:
            program = "worn" if piece.stuff.opacity == 1 else "glass"
            figure.pieces.append((piece, self._mesh(figure, piece.mesh, (program, "worn_part", "worn_shadow"))))

    def _mesh(self, figure: Figure, mesh: Mesh, programs: tuple[str, ...]) -> dict[str, moderngl.VertexArray]:
        vertices = np.concatenate(
            [mesh.points, mesh.normals, mesh.uv, mesh.canonical, mesh.weight[:, None], mesh.edge], 1
        )
        buffer, index = (
            self.gl.buffer(vertices.astype("f4").tobytes()),
            self.gl.buffer(mesh.faces.astype("i4").tobytes()),
        )
        arrays = {
            name: self.gl.vertex_array(
                self.programs[name],
                [layout(self.programs[name], buffer, MOVING + FIXED)],
                index_buffer=index,
                index_element_size=4,
            )
            for name in programs
        }
        figure.owned += [buffer, index, *arrays.values()]
        return arrays

    def _grow_strands(
        self, figure: Figure, normals: Array, hanging: dict[str, facial_hair.Rooted], rng: Generator
    ) -> None:
        kit, person = self.kit, figure.person
        ground, tree = figure.body, cKDTree(figure.body[:, [0, 2]])

        def shoulders(x: Array, z: Array) -> Array:
            gap, near = tree.query(np.stack([x, z], -1), k=3)
            closeness = 1 / (gap + 0.2)
            return np.where(gap[..., 0] > 3, -99, (ground[near, 1] * closeness).sum(-1) / closeness.sum(-1))

        skull = hair.Skull(kit, figure.rest)
        head = hair.grow(kit, figure.rest, normals, person.hair, rng, shoulders, self._hair_pixel_cm(), skull)
        if head and person.hat:
            head = worn.Cover(person.hat.kind, skull).pressed(head)
        if head:
            self._add_strands(figure, "hair", coarser(head, person.hair, self.detail), None)
        thinnest = self.detail.thinnest * self.pixel_cm
        for name, rooted in hanging.items():
            drawn = sparser(rooted, thinnest, self.detail.segments, rng)
            self._add_strands(figure, name, drawn.on(figure.rest), drawn)

    def _hair_pixel_cm(self) -> Number:
        return self.pixel_cm * self.detail.hair_pixel

    def _add_strands(
        self, figure: Figure, name: str, strands: hair.Strands, hanging: facial_hair.Rooted | None
    ) -> None:
        vertices = ribbon_vertices(strands)
        buffer = self.gl.buffer(vertices.tobytes())
        index = self.gl.buffer(ribbon_triangles(*vertices.shape[:2]).tobytes())
        arrays = {
            p: self.gl.vertex_array(
                self.programs[p], [layout(self.programs[p], buffer, RIBBON)], index_buffer=index, index_element_size=4
            )
            for p in ("hair", "hair_shadow", "hair_part")
        }
        figure.strands[name] = dict(
            buffer=buffer, hanging=hanging, arrays=arrays, width=float(np.median(strands.width))
        )
        figure.owned += [buffer, index, *arrays.values()]

    # ---- one frame ---------------------------------------------------------------------------------------------------
    def _deform(self, figure: Figure, look: Look) -> tuple[Array, dict[str, dict]]:
        """Vertices under the look's expression and gaze, and the eyes' uniforms by side."""
        vertices = self.kit.expression(figure.rest, self._weights(look))
        target = head_rotation(*look.gaze, 0) @ np.array([0, 0, 1], np.float32)
        eyes = {side: self._aim(figure, vertices, side, target) for side in SIDES}
        return vertices, eyes

    def _weights(self, look: Look) -> Array:
        return self.kit.expression_weights(look.expression) + self._lids_follow(look.gaze)

    def _lids_follow(self, gaze: tuple[Number, Number]) -> Array:
        right, down = gaze[0] / 32, gaze[1] / 32  # FaceKit's eyeLook modes are full at about 32 degrees
        named = {
            "eyeLookDown": max(down, 0),
            "eyeLookUp": max(-down, 0),
            "eyeLookOut_L": max(right, 0),
            "eyeLookIn_R": max(right, 0),
            "eyeLookIn_L": max(-right, 0),
            "eyeLookOut_R": max(-right, 0),
        }
        return self.kit.expression_weights(named)

    def _aim(self, figure: Figure, vertices: Array, side: str, target: Array) -> dict:
        """Turn one eyeball in place; the rest axes diverge by some degrees, hence a rotation of its own."""
        eye, center = self.kit.eyeballs[side], figure.eye_centers[side]
        axis = np.cross(eye.axis, target)
        skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
        rotation = (np.eye(3) + skew + skew @ skew / (1 + eye.axis @ target)).astype(np.float32)
        vertices[eye.vertices] = (vertices[eye.vertices] - center) @ rotation.T + center
        upper, lower = ([43, 44], [46, 47]) if side == "L" else ([37, 38], [40, 41])
        lids = [float(vertices[self.kit.landmarks[ids], 1].mean() - center[1]) for ids in (upper, lower)]
        forward = rotation @ eye.axis
        across = unit(np.array([1, 0, 0]) - forward * forward[0])
        return dict(
            uCenter=tuple(center), uAxis=tuple(forward), uAcross=tuple(across), uLids=tuple(lids), uApex=eye.apex
        )

    def _load(self, figure: Figure, vertices: Array) -> None:
        kit = self.kit
        upper, lower = kit.landmarks[[61, 62, 63]], kit.landmarks[[67, 66, 65]]
        gap = float((vertices[upper, 1] - vertices[lower, 1]).max())
        self.inside_seen = self.detail.inside or gap > LIPS_SHUT
        self.light_in = float(np.interp(gap, (LIPS_SHUT, LIPS_WIDE), (0.15, 1)))
        chin = kit.landmarks[CHIN]
        self.jaw = tuple(vertices[chin] - figure.rest[chin])
        both = np.concatenate([vertices[kit.split_vertex], kit.normals(vertices)[kit.split_vertex]], 1)
        self.moving.write(both.astype(np.float32).tobytes())
        self.fixed.write(figure.fixed.tobytes())
        for strands in figure.strands.values():
            if strands["hanging"]:
                strands["buffer"].write(ribbon_vertices(strands["hanging"].on(vertices)).tobytes())

    def shoot(self, figure: Figure, look: Look, light: Light, camera: Camera, samples: int = 64) -> Shot:
        """The mean of `samples` passes."""
        vertices, eyes = self._deform(figure, look)
        self._load(figure, vertices)
        self._set_constants(figure, look, light)
        total = np.zeros((3, self.drawn, self.drawn, 4), np.float32)
        for index in range(samples):
            lights = moved_lights(light, index, samples, self.detail.still_lights)
            self._draw_pass(figure, eyes, camera, lights, index)
            for sum_, target in zip(total, self.targets, strict=True):
                sum_ += np.frombuffer(target.read(), np.float16).reshape(sum_.shape)
        mean = total[:, ::-1] / samples
        if self.drawn != self.size:
            mean = np.stack([cv2.resize(m, (self.size, self.size), interpolation=cv2.INTER_AREA) for m in mean])
        return Shot(
            mean[0],
            mean[1],
            mean[2],
            self.size / camera.view,
            self._project(vertices, look, camera, self.kit.landmarks),
        )

    def _set_constants(self, figure: Figure, look: Look, light: Light) -> None:
        head = quaternion(head_rotation(look.yaw, look.pitch, look.roll))
        for program in self.programs.values():
            assign(
                program,
                uHead=tuple(head),
                uPivot=tuple(NECK_PIVOT),
                uShadow=0,
                uInflate=0.0,
                uSunk=0.0,
                uTaper=0.6,
                uWiden=1.0,
            )
        person = figure.person
        assign(self.programs["skin"], uAlbedo=1, uHeight=2, uRelief=0.055, uGloss=person.skin.gloss)
        assign(self.programs["skin"], **wrinkles.uniforms(person.skin, look.expression))
        eyes, panels = person.eyes, (light.key, light.fill)
        assign(
            self.programs["eye"],
            uIris=eyes.iris,
            uIrisRadius=eyes.iris_radius,
            uPupil=eyes.pupil,
            uVeins=eyes.veins,
            uSeed=0.13 * (person.seed % 97),
            uCatchDir=np.stack([panel.seen_in_eyes() for panel in panels]),
            uCatchColor=np.stack([catchlight(light.key), 0.25 * catchlight(light.fill)]),
            uCatchSize=np.stack(
                [
                    np.tan(np.radians(panel.size * share)) * np.array([0.75, 1])
                    for panel, share in zip(panels, (0.85, 0.5), strict=True)
                ]
            ),
        )

    def _draw_pass(self, figure: Figure, eyes: dict, camera: Camera, lights: list, index: int) -> None:
        across, up = (1.6 * triangular(halton(index + 1, base)) / self.size for base in (2, 3))
        radius, angle = camera.lens * np.sqrt(halton(index + 1, 5)), 2 * np.pi * halton(index + 1, 7)
        matrix, eye = camera_matrices(camera, (across, up), (radius * np.cos(angle), radius * np.sin(angle)))
        matrices = [light_matrix(direction) for direction, _ in lights]
        self._draw_shadows(figure, lights, matrices, anew=index == 0 or not self.detail.still_lights)
        directions, colors = np.stack([d for d, _ in lights]), np.stack([c for _, c in lights])
        for program in self.programs.values():
            assign(
                program,
                uCamera=matrix.T,
                uEye=tuple(eye),
                uToward=tuple(eye),
                uLightDir=directions,
                uLightColor=colors,
                uLightMatrix=np.stack([m.T for m in matrices]),
            )
        self.frame.use()
        self.gl.viewport = (0, 0, self.drawn, self.drawn)
        self.frame.clear()
        self.atlas.use(0)
        self._draw_head(figure, eyes)
        self._draw_strands(figure)
        self._draw_glass(figure)

    def _draw_shadows(self, figure: Figure, lights: list, matrices: list, anew: bool = True) -> None:
        """The maps of all lights, or not `anew` those of the two that move."""
        self.shadow_frame.use()
        self.gl.enable_only(moderngl.DEPTH_TEST)
        side, brightness = self.detail.shadow_tile, [float(color.sum()) for _, color in lights]
        for tile, ((direction, _), matrix) in enumerate(zip(lights, matrices, strict=True)):
            row, column = divmod(tile, shaders.ATLAS_TILES)
            if not anew and tile in STILL:
                continue
            self.shadow_frame.clear(depth=1.0, viewport=(column * side, row * side, side, side))
            if brightness[tile] <= self.detail.faintest * sum(brightness):
                continue  # the cleared map lets everything be lit
            self.gl.viewport = (column * side, row * side, side, side)
            for name in ("shadow", "hair_shadow", "worn_shadow"):
                assign(
                    self.programs[name],
                    uCamera=matrix.T,
                    uToward=tuple(LIGHT_TARGET + 300 * direction),
                    uWiden=2.5,
                    uFollows=0,
                )
            self._head_array("shadow", "casting").render()
            for piece, arrays in figure.pieces:
                if piece.stuff.opacity > DARK_GLASS:
                    self._with_jaw("worn_shadow", piece)
                    arrays["worn_shadow"].render()
            if "hair" in figure.strands:
                some = figure.strands["hair"]["arrays"]["hair_shadow"]
                some.render(vertices=some.vertices // self.detail.shadow_share // 6 * 6)

    def _draw_head(self, figure: Figure, eyes: dict) -> None:
        gl, mouth = self.gl, self.programs["mouth"]
        gl.enable_only(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        figure.textures["albedo"].use(1)
        figure.textures["height"].use(2)
        self.noise.use(3)
        self._head_array("skin", "skin").render()
        assign(mouth, uNoise=3, uStain=figure.person.teeth)
        inside = (
            ("gums", 2, (0.40, 0.135, 0.125), 0.9, 0.6),
            ("teeth", 3, (0.48, 0.445, 0.385), 0.7, 0.65),
        )
        assign(mouth, uSunk=BEHIND_LIPS_CM, uGape=self.light_in)
        for part, kind, color, wet, depth in inside if self.inside_seen else ():
            assign(mouth, uKind=kind, uColor=color, uWet=wet, uDepth=depth)
            self._head_array("mouth", part).render()
        for side in SIDES:
            assign(self.programs["eye"], uSunk=BEHIND_LIDS_CM, **eyes[side])
            self._head_array("eye", f"eye_{side}").render()
        gl.disable(moderngl.CULL_FACE)
        assign(mouth, uKind=1, uColor=(0.30, 0.07, 0.06), uWet=0.4, uDepth=0.9)
        if self.inside_seen:
            self._head_array("mouth", "mouth").render()
        assign(
            mouth,
            uSunk=BEHIND_LIDS_CM,
            uGape=1.0,
            uKind=0,
            uColor=tuple(0.5 * c for c in figure.person.skin.color),
            uWet=0.2,
            uDepth=0.0,
        )
        self._head_array("mouth", "socket").render()
        figure.meshes["body"]["skin"].render()
        for piece, arrays in figure.pieces:
            if "worn" in arrays:
                assign(self.programs["worn"], uNoise=3, **materials.uniforms(piece.stuff))
                self._with_jaw("worn", piece)
                arrays["worn"].render()

    def _with_jaw(self, program: str, piece: clothes.Piece) -> None:
        """What is bound under the chin goes along with it, or an open mouth would show it; collars stay."""
        assign(self.programs[program], uJaw=self.jaw if piece.part == "hat" else (0.0, 0.0, 0.0))

    def _draw_glass(self, figure: Figure) -> None:
        """Lenses, over everything that is seen through them."""
        gl = self.gl
        gl.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        gl.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        for piece, arrays in figure.pieces:
            if "glass" in arrays:
                assign(self.programs["glass"], **materials.uniforms(piece.stuff))
                arrays["glass"].render()

    def _draw_strands(self, figure: Figure) -> None:
        person, program = figure.person, self.programs["hair"]
        dark = tuple(0.25 * c for c in person.brows.color)
        settings = {
            "hair": (person.hair.color, 1.1, 0.40, 0.6),
            "beard": (tuple(BEARD_TINT * c for c in person.hair.color), 0.35, 0.55, 0.7),
            "brows": (person.brows.color, 0.25, 0.8, 0.9),
            "lashes": (dark, 0.1, 1.0, 0.95),
        }
        for name, strands in figure.strands.items():
            color, shine, root_shade, taper = settings[name]
            assign(
                program,
                uColor=color,
                uStreak=person.hair.streak_color,
                uShine=shine,
                uRootShade=root_shade,
                uTaper=taper,
                uFollows=int(name != "hair"),
            )
            strands["arrays"]["hair"].render()

    # ---- ground truth ------------------------------------------------------------------------------------------------
    def _project(self, vertices: Array, look: Look, camera: Camera, ids: Array) -> Array:
        """Pixel positions [n, 2] of vertices under the look's head pose."""
        posed = pose_points(vertices[ids], self.kit.weight[ids], head_rotation(look.yaw, look.pitch, look.roll))
        return self._to_pixels(posed, camera)

    def _to_pixels(self, points: Array, camera: Camera) -> Array:
        clip = np.c_[points, np.ones(len(points))] @ camera_matrices(camera)[0].T
        return ((clip[:, :2] / clip[:, 3:] * (1, -1) * 0.5 + 0.5) * self.size).astype(np.float32)

    def truth(self, figure: Figure, look: Look, camera: Camera) -> Truth:
        """Everything that can be known of a frame (one sample in the middle of each pixel)."""
        vertices, eyes = self._deform(figure, look)
        self._load(figure, vertices)
        rotation, (matrix, eye) = head_rotation(look.yaw, look.pitch, look.roll), camera_matrices(camera)
        for program in (self.programs[name] for name in ("part", "hair_part", "worn_part")):
            assign(
                program,
                uHead=tuple(quaternion(rotation)),
                uPivot=tuple(NECK_PIVOT),
                uCamera=matrix.T,
                uToward=tuple(eye),
                uEye=tuple(eye),
                uInflate=0.0,
                uTaper=0.6,
            )
        self._draw_parts(figure)
        pictures = (np.frombuffer(target.read(), np.float32) for target in self.truth_targets)
        place, shape = (picture.reshape(self.size, self.size, 4)[::-1] for picture in pictures)
        head, weight = self._landmarks_in_head(figure, vertices, eyes)
        world = pose_points(head, weight, rotation).astype(np.float32)
        pixels, depth = self._to_pixels(world, camera), shape[..., 3].copy()
        apexes = np.stack([np.add(eyes[s]["uCenter"], np.multiply(eyes[s]["uAxis"], eyes[s]["uApex"])) for s in SIDES])
        return Truth(
            part=np.round(place[..., 3]).astype(np.uint8),
            canonical=place[..., :3].copy(),
            depth=depth,
            normals=shape[..., :3].copy(),
            landmarks=pixels,
            landmarks_cm=world,
            landmarks_head=head,
            visible=seen(pixels, eye[2] - world[:, 2], depth),
            landmarks68=self._project(vertices, look, camera, self.kit.landmarks),
            pose=np.array([look.yaw, look.pitch, look.roll], np.float32),
            gaze=np.array(look.gaze, np.float32),
            expression=self._weights(look),
            pixel_from_world=pixel_from_world(camera, self.size),
            irises=self._to_pixels(pose_points(apexes, np.ones(2, np.float32), rotation), camera),
        )

    def _landmarks_in_head(self, figure: Figure, vertices: Array, eyes: dict) -> tuple[Array, Array]:
        """MediaPipe's landmarks before the head turns [478, 3] and how much each follows the head [478]."""
        irises = iris_landmarks(eyes, figure.person.eyes.iris_radius)
        weight = np.ones(ALL_LANDMARKS, np.float32)
        weight[: -len(irises)] = self.binding.on(self.kit.weight[:, None])[:, 0]
        return np.concatenate([self.binding.on(vertices), irises]), weight

    def _draw_parts(self, figure: Figure) -> None:
        gl, program = self.gl, self.programs["part"]
        self.part_frame.use()
        self.part_frame.clear()
        gl.viewport = (0, 0, self.size, self.size)
        gl.enable_only(moderngl.DEPTH_TEST)
        inside = ("mouth", "gums", "teeth") if self.inside_seen else ()
        sunk = dict.fromkeys(inside, BEHIND_LIPS_CM) | dict.fromkeys(("eye_L", "eye_R", "socket"), BEHIND_LIDS_CM)
        for part in ("skin", *inside, "eye_L", "eye_R", "socket"):
            assign(program, uPart=float(PART_NUMBER[part]), uSunk=sunk.get(part, 0.0))
            self._head_array("part", part).render()
        assign(program, uPart=float(PART_NUMBER["body"]), uSunk=0.0)
        figure.meshes["body"]["part"].render()
        for piece, arrays in figure.pieces:
            if piece.stuff.opacity > DARK_GLASS:
                assign(self.programs["worn_part"], uPart=float(PART_NUMBER[piece.part]))
                self._with_jaw("worn_part", piece)
                arrays["worn_part"].render()
        for name in [name for name in ("hair", "beard", "brows") if name in figure.strands]:
            pixel = figure.strands[name]["width"]
            assign(
                self.programs["hair_part"],
                uPart=float(PART_NUMBER[name]),
                uFollows=int(name != "hair"),
                uWiden=max(1.0, 40 / self.size / pixel),
            )
            figure.strands[name]["arrays"]["hair_part"].render()


def seated(kit: FaceKit, rest: Array) -> Array:
    """The resting head with teeth and gums behind its own lips, as run time seats them (`vasa_core.mouth`)."""
    inside = (kit.part == GUMS) | (kit.part == TEETH)
    lips, corners = kit.landmarks[60:68], kit.landmarks[[48, 54]]
    width = float(np.clip(np.ptp(rest[corners, 0]) / np.ptp(kit.neutral[corners, 0]), 0.75, 1.3))
    fall = -kit.expression_modes[kit.expression_index["jawOpen"]].reshape(-1, 3)[inside, 1]
    lower = smoothstep(0.1, 0.3, fall / fall.max())  # molars, near the hinge, fall the least
    moved = rest.copy()
    moved[inside] = kit.neutral[inside] * (width, 1, 1) + (rest[lips] - kit.neutral[lips]).mean(0)
    moved[inside, 1] -= SHOW_CM * (1 - lower) + HIDE_CM * lower
    moved[inside, 2] += FORWARD_CM
    return moved


def catchlight(panel: Panel) -> Array:
    """Radiance of a panel as a mirror shows it: its light spread over its size, kept within what a picture can show."""
    return np.array(panel.color) * np.clip(900 / panel.size**2 * 12, 8, 34)
