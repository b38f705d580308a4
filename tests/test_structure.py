"""The shape of the whole: what may import what, what may write media, what every file must say about itself."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from conftest import REPOSITORY

PACKAGE = REPOSITORY / "vasa_core"
MODULES = sorted(p for p in PACKAGE.glob("**/*.py") if "migrations" not in p.parts)  # Alembic's scripts: data for it

# Top to bottom is the order to read them in. A module imports only what stands above it.
ORDER = """
    errors clock latents assets ledger ahead cluster geometry
    pictures audio landmarks surface clay diffusion
    footage encoders pixel_codes changes upper_face lower_face matting relief speech wav2vec controls options motion
    swift sampler resting blinks
    portrait outline plates following contact smiles folds eyes teeth mouth sight refinement blending eightbit mending
    attention trailing warping decoder origins device device.*
    closeup driving render stream device.measure
    trust trust.chain trust.schema trust.store trust.audit trust.accounts trust.consent
    trust.likeness trust.phrase trust.evidence trust.capture trust.shelf trust.registry
    trust.authority trust.house trust.label trust.codeword trust.watermark trust.credentials trust.release trust.verify
    world world.*
    evaluate.figures evaluate.findings evaluate.lines evaluate.sync evaluate.capp evaluate.seen evaluate.emotion
    evaluate.judges
    train train.*
    studio showing evaluate evaluate.* bench evaluate.peer jobs batch app_commands trust_commands __main__
""".split()

MEDIA_WRITERS = {
    "imwrite", "imwritemulti", "imencode", "VideoWriter", "imsave", "mimsave", "mimwrite", "get_writer", "savefig",
    "write_videofile", "write_audiofile", "write_gif", "write_images_sequence", "write_video", "add_stream",
}  # fmt: skip
ALLOWED_WRITERS = ("trust/release.py", "world/", "train/", "evaluate/")  # judges re-encode what they try to break
VAGUE_NAMES = {"utils", "util", "helper", "helpers", "misc", "common", "tmp", "manager", "tools"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def place(module: str) -> int:
    for pattern in (module, f"{module.split('.')[0]}.*"):
        if pattern in ORDER:
            return ORDER.index(pattern)
    raise AssertionError(
        f"vasa_core.{module} has no place in the order of modules: give it one, above all that import it"
    )


def our_imports(path: Path) -> set[str]:
    """The modules of ours that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {a.name.removeprefix("vasa_core.") for a in node.names if a.name.startswith("vasa_core.")}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            parts = (node.module or "").split(".")
            if parts[0] == "vasa_core":
                found |= {_imported(parts[1:], alias.name) for alias in node.names}
    return found - {""}


def _imported(parts: list[str], imported: str) -> str:
    """`from vasa_core.trust import consent` imports a module, `from vasa_core.clock import exact_div` a name of one."""
    inner = [*parts, imported]
    is_module = (PACKAGE.joinpath(*inner).with_suffix(".py")).is_file() or PACKAGE.joinpath(*inner).is_dir()
    return ".".join(inner if is_module else parts)


@pytest.mark.parametrize("path", [p for p in MODULES if module_name(p) != "__init__"], ids=module_name)
def test_imports_point_down(path):
    here = module_name(path)
    for imported in our_imports(path):
        same_family = here.split(".")[0] == imported.split(".")[0] and f"{here.split('.')[0]}.*" in ORDER
        assert place(imported) < place(here) or same_family, f"{here} imports {imported}, which stands below it"


def test_no_imports_in_circles():
    graph = {module_name(p): our_imports(p) for p in MODULES}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for imported in graph.get(module, ()):
                visit(imported, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_the_training_world_is_not_needed_at_run_time():
    for path in MODULES:
        if not module_name(path).startswith(("world", "train", "evaluate")):
            assert not {m for m in our_imports(path) if m.startswith(("world", "train"))}, module_name(path)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_every_module_says_what_it_is_for(path):
    assert first_sentence(path), f"{path.name} needs a docstring that opens with a sentence"


RUN_TIME = [p for p in MODULES if not module_name(p).startswith(("world", "train", "evaluate"))]


@pytest.mark.parametrize("path", RUN_TIME, ids=module_name)
def test_every_public_function_and_class_says_what_comes_back(path):
    for node in parsed(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{module_name(path)}.{node.name}"


def test_no_file_has_a_name_that_says_nothing():
    files = [p for folder in ("vasa_core", "tests") for p in (REPOSITORY / folder).glob("**/*.py")]
    assert not [p for p in files if set(p.stem.split("_")) & VAGUE_NAMES]


def media_writes(tree: ast.AST) -> list[str]:
    """What in a syntax tree looks like writing a picture, a video or a sound."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        function = call.func
        called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
        arguments = {a.value for a in [*call.args, *(k.value for k in call.keywords)] if isinstance(a, ast.Constant)}
        writes = called in MEDIA_WRITERS
        writes |= (
            called == "open" and owner in ("av", "wave", "soundfile", "sf") and bool(arguments & {"w", "wb", "a", "r+"})
        )
        writes |= called == "write" and owner in ("soundfile", "sf", "wavfile", "scipy.io.wavfile")
        writes |= called == "save" and owner not in ("torch", "np", "numpy", "portrait", "portraits")
        if writes:
            found.append(f"line {call.lineno}: {ast.unparse(function)}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_only_release_writes_media(path):
    if not path.relative_to(PACKAGE).as_posix().startswith(ALLOWED_WRITERS):
        assert not media_writes(parsed(path)), "media leaves through vasa_core.trust.release alone"


# Small views, in memory, of pictures that we ship or were given, and of the first frame of a clip that was released.
PREVIEWS = {"demo/pages.py": 1, "demo/results.py": 1}
OUTSIDE = [p for folder in ("demo", "notebooks") for p in sorted((REPOSITORY / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_neither_the_demo_nor_a_notebook_script_writes_media(path):
    known = PREVIEWS.get(path.relative_to(REPOSITORY).as_posix(), 0)
    assert len(media_writes(parsed(path))) <= known, "media leaves through vasa_core.trust.release alone"


def test_no_notebook_writes_media():
    for path in (REPOSITORY / "notebooks").glob("**/*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        lines = "".join(line for cell in cells if cell["cell_type"] == "code" for line in [*cell["source"], "\n"])
        python = "\n".join(line for line in lines.splitlines() if not line.lstrip().startswith(("%", "!")))
        assert not media_writes(ast.parse(python)), path.name


@pytest.mark.parametrize(
    "line",
    [
        "av.open(path, 'w')",
        "av.open(path, mode='w')",
        "cv2.imwrite(path, x)",
        "VideoWriter(path)",
        "imageio.mimsave(p, f)",
        "image.save(p)",
        "soundfile.write(p, x)",
        "clip.write_videofile(p)",
        "wave.open(p, 'wb')",
        "figure.savefig(p)",
    ],
)
def test_the_guard_sees_each_kind_of_writer(line):
    assert media_writes(ast.parse(line))


@pytest.mark.parametrize("line", ["av.open(path)", "open(path, 'w')", "np.save(p, x)", "image.convert('L')"])
def test_the_guard_lets_others_pass(line):
    assert not media_writes(ast.parse(line))


def test_release_itself_would_be_caught_anywhere_else():
    assert media_writes(parsed(PACKAGE / "trust" / "release.py"))


def tracked_text() -> list[Path]:
    kinds = ("*.py", "*.md", "*.toml", "*.txt", "*.yml", "*.yaml", "Makefile", ".ci/run")
    skipped = {".venv", "runs", "out", "build", ".git"}
    return [p for kind in kinds for p in REPOSITORY.rglob(kind) if not skipped & set(p.relative_to(REPOSITORY).parts)]


def test_nothing_names_the_machine_it_was_written_on():
    machine = re.compile(r"(?<![\w.])/(work|farm|root|home|opt)/\w")
    named = [
        p.name for p in tracked_text() if p.name != "test_structure.py" and machine.search(p.read_text(errors="ignore"))
    ]
    assert not named


def first_sentence(path: Path) -> str:
    """What a module says it is for."""
    said = re.match(r".*?[.](?=\s|$)", " ".join((ast.get_docstring(parsed(path)) or "").split()))
    return said[0] if said else ""


@pytest.mark.parametrize("path", [p for p in MODULES if p.name != "__init__.py"], ids=module_name)
def test_the_readme_map_says_of_each_module_what_it_says_of_itself(path):
    row = f"| `{path.relative_to(PACKAGE).as_posix()}` | {first_sentence(path)} |"
    assert row in (REPOSITORY / "README.md").read_text().splitlines(), "put this row into the README's map"


def test_the_readme_map_is_in_reading_order_and_names_nothing_else():
    rows = re.findall(r"^\| `([\w/]+\.py)` \|", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(p.relative_to(PACKAGE).as_posix() for p in MODULES if p.name != "__init__.py")
    places = [place(row.removesuffix(".py").replace("/", ".")) for row in rows]
    assert places == sorted(places)
