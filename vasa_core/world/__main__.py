"""`python -m vasa_core.world cast`: render the people we ship. `render`: training data. `sheet`: a contact sheet."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np
from numpy import ndarray as Array
from tqdm import tqdm

from vasa_core.errors import BadOption, VasaError
from vasa_core.world import batch, check, meant, shards, sheets
from vasa_core.world.cast import cast
from vasa_core.world.cluster import run_on_ray
from vasa_core.world.facekit import facekit_path
from vasa_core.world.frames import Recipe, RenderWork, renderer_for
from vasa_core.world.pack import pack
from vasa_core.world.performances import add_perform
from vasa_core.world.preview import add_preview
from vasa_core.world.renderer import Renderer
from vasa_core.world.report import add_report

INTERRUPTED = 130  # the exit code of a process that Ctrl-C ended


def save(picture: Array, path: Path) -> None:
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise BadOption(f"{path} cannot be written: choose a folder you may write to.")


def run_cast(options: argparse.Namespace) -> None:
    sitters = cast()
    if unknown := set(options.only) - set(sitters):
        raise BadOption(f"There is nobody called {', '.join(sorted(unknown))}: choose from {', '.join(sitters)}.")
    options.out.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(options.size)
    for name in options.only or sitters:
        begun = time.perf_counter()
        save(sheets.portrait(renderer, sitters[name], options.passes), options.out / f"{name}.png")
        print(f"{name}: {sitters[name].caption} ({time.perf_counter() - begun:.0f} s)", flush=True)


def run_sheet(options: argparse.Namespace) -> None:
    make, count, columns, size, passes = sheets.KINDS[options.kind]
    size, passes, count = options.size or size, options.passes or passes, options.count or count
    renderer = Renderer(size, texture=2048 if size >= 384 else 1024)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save(sheets.laid_out(make(renderer, options.seed, count, passes), columns), options.out)


def run_render(options: argparse.Namespace) -> None:
    if options.device is not None:
        os.environ["GLCONTEXT_DEVICE_INDEX"] = str(options.device)
    recipe = Recipe(
        seed=options.seed,
        frames=options.frames,
        size=options.size,
        passes=options.passes,
        scenes=options.scenes,
        photographs=options.photographs,
    )
    work = RenderWork(folder=options.out, recipe=recipe, people=options.people, per_shard=options.per_shard)
    chosen = batch.shard_range(options.shards, work.count())
    if options.cluster is None:
        done = batch.run(work, chosen, options.workers)
    else:
        done = run_on_ray(work, chosen, options.workers, options.cluster or None)
    print(
        f"{options.out}: {done.made} shards made, {done.kept} kept; {done.units} frames in {done.seconds:.0f} s, "
        f"{done.rate:.1f} a second with {options.workers} processes"
    )


def run_check(options: argparse.Namespace) -> None:
    recipe = Recipe(seed=options.seed)
    work = RenderWork(folder=options.data, recipe=recipe, people=-(-options.frames // recipe.frames))
    if not (options.data / shards.MANIFEST).exists():
        batch.run(work, range(work.count()), options.workers)
    named = [options.data / shard["name"] for shard in shards.read_manifest(options.data)["shards"]]
    detect = check.mediapipe_detector()
    seen = list(tqdm(check.look_at((g for path in named for g in shards.read_shard(path)), detect), unit="frame"))
    print(*check.landmark_lines(check.landmark_report(seen)), sep="\n", flush=True)
    if options.portraits:
        first = [s for s in seen if s.shape is not None and s.key.endswith("-00") and s.photograph]
        ours = np.array([s.shape[:468] for s in first if s.shape is not None])
        theirs = check.portrait_shapes(options.portraits, detect)
        report = check.shape_report(ours, theirs, np.random.default_rng(options.seed))
        print(*check.shape_lines(report), sep="\n", flush=True)
    pairs = check.turned_pairs(renderer_for(recipe.size), options.seed, options.pairs)
    print(*check.reprojection_lines([check.reprojection(g, 0, 1) for g in pairs]), sep="\n")


def add_check(commands: argparse._SubParsersAction) -> None:
    one = commands.add_parser("check", help="measure what the training world must show: faces, landmarks, consistency")
    one.add_argument("--data", type=Path, default=Path("out/check"), help="folder of shards; rendered when empty")
    one.add_argument("--frames", type=int, default=1000, help="how many frames are rendered and looked at")
    one.add_argument("--portraits", type=Path, help="folder of portraits whose head shapes are compared with ours")
    one.add_argument("--pairs", type=int, default=12, help="people who turn their heads before the camera")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    one.set_defaults(run=run_check)


def run_learn(options: argparse.Namespace) -> None:
    shift = meant.learn(options.folders, check.mediapipe_detector())
    print(f"landmarks move by {meant.mean_shift(shift):.2f} % of the eye distance (median)")


def run_pack(options: argparse.Namespace) -> None:
    out = options.out or facekit_path()
    pack(options.folder, out)
    print(f"{out}: set VASA_DATA={out.parent.parent} to build people on it.")


def run_verify(options: argparse.Namespace) -> None:
    print(f"{shards.check_folder(options.folder)} shards are as they were written.")


def add_render(commands: argparse._SubParsersAction) -> None:
    render = commands.add_parser("render", help="render training data: groups of frames with ground truth, as shards")
    render.add_argument("--out", type=Path, required=True, help="folder of the shards")
    render.add_argument("--people", type=int, default=64, help="how many people")
    render.add_argument("--frames", type=int, default=8, help="frames a person")
    render.add_argument("--size", type=int, default=256, help="pixels along a side")
    render.add_argument("--seed", type=int, default=0)
    render.add_argument("--passes", type=int, default=Recipe.passes, help="passes that are averaged")
    render.add_argument("--scenes", type=int, default=Recipe.scenes, help="groups of frames a person, each elsewhere")
    render.add_argument("--photographs", type=float, default=Recipe.photographs, help="share not painted or drawn")
    render.add_argument("--per-shard", type=int, default=RenderWork.per_shard, help="groups in a shard")
    render.add_argument("--shards", default=":", metavar="A:B", help="only these shards: so machines share the work")
    render.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    render.add_argument("--device", type=int, help="which EGL device draws, where there are several")
    render.add_argument(
        "--cluster", nargs="?", const="", metavar="ADDRESS", help="on Ray: on this machine, or at an address"
    )
    render.set_defaults(run=run_render)
    packing = commands.add_parser("pack", help="pack a copy of ICT-FaceKit as the head of synthetic people")
    packing.add_argument("folder", type=Path, help="its folder FaceXModel")
    packing.add_argument("--out", type=Path, help="facekit/ict_face.npz in the folder of VASA_DATA when left out")
    packing.set_defaults(run=run_pack)
    learning = commands.add_parser("learn", help="learn from shards where MediaPipe means its landmarks to be")
    learning.add_argument("folders", type=Path, nargs="+", help="shards of people whom `check` does not see")
    learning.set_defaults(run=run_learn)
    verify = commands.add_parser("verify", help="compare a folder of shards with its checksums")
    verify.add_argument("folder", type=Path)
    verify.set_defaults(run=run_verify)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m vasa_core.world", description=__doc__)
    commands = top.add_subparsers(required=True)
    one = commands.add_parser("cast", help="render the shipped portraits")
    one.add_argument("--out", type=Path, default=Path("assets/portraits"))
    one.add_argument("--only", nargs="*", default=[], help="names of the sitters; all when left out")
    one.add_argument("--size", type=int, default=1024, help="pixels along a side")
    one.add_argument("--passes", type=int, default=40, help="passes that are averaged")
    one.set_defaults(run=run_cast)
    two = commands.add_parser("sheet", help="render a contact sheet to be looked at")
    two.add_argument("--kind", choices=list(sheets.KINDS), default="people")
    two.add_argument("--out", type=Path, default=Path("out/people.png"))
    two.add_argument("--seed", type=int, default=0, help="of the first person")
    two.add_argument("--count", type=int, help="how many pictures; the kind's own when left out, as are these two")
    two.add_argument("--size", type=int)
    two.add_argument("--passes", type=int)
    two.set_defaults(run=run_sheet)
    add_render(commands)
    add_check(commands)
    add_perform(commands)
    add_report(commands)
    add_preview(commands)
    return top


def main() -> int:
    options = parser().parse_args()
    try:
        options.run(options)
    except VasaError as refusal:
        print(refusal)
        return refusal.exit_code
    except KeyboardInterrupt:
        print("Interrupted: what is finished stays, and the same command goes on from there.")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
