"""What a notebook may be; that each runs is checked by nbval (`make test`)."""

from __future__ import annotations

import ast
import base64
import importlib.util
import itertools
import json
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest
from conftest import REPOSITORY
from nbformat import NotebookNode
from test_environment import direct, name

FOLDER = REPOSITORY / "notebooks"
FIGURES_MIME = "application/vnd.vasa.figures+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
PATHS = sorted(FOLDER.glob("*.ipynb"))
MEASURED = {"04": "face", "05": "motion", "06": "motion"}
"""Notebooks whose figures must agree with a kept report."""

WORDS_OF_ALT = 6
LONGEST_CELL = 12
MOST_CODE_LINES = 120
HEAVIEST_BYTES = 3_000_000
HEAVIEST_PICTURE_BYTES = 200_000
MACHINE = re.compile(r"(?<![\w.])/(work|farm|root|home|opt|tmp|usr|mnt|Users)/\w")
every = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def code(notebook: NotebookNode) -> list[str]:
    """Code cells as Python, without magics."""
    cells = (cell.source for cell in notebook.cells if cell.cell_type == "code")
    return ["\n".join(line for line in cell.splitlines() if not line.startswith(("%", "!"))) for cell in cells]


def prose(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


SHOWN_IN_WORDS = ("described", "clip")


def lines_of_code(cell: str) -> list[str]:
    """Lines of a cell that compute: no comments, and a figure's description in words counts as the line it ends."""
    words: set[int] = set()
    for node in ast.walk(ast.parse(cell)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SHOWN_IN_WORDS:
            words |= set(range(node.lineno, node.end_lineno or node.lineno))
    lines = enumerate(cell.splitlines(), 1)
    return [line for at, line in lines if line.strip() and not line.strip().startswith("#") and at not in words]


# --------------------------------------------------------------------------- form


@every
def test_it_is_a_notebook_that_any_python_3_kernel_opens(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


@every
def test_it_has_more_prose_than_code(path):
    notebook = read(path)
    words = sum(len(text.split()) for text in prose(notebook))
    assert len(prose(notebook)) > len(code(notebook))
    assert words > sum(len(cell.split()) for cell in code(notebook))
    if not path.name.startswith("00"):
        assert 40 <= len(notebook.cells) <= 90


@every
def test_its_code_is_short_and_defines_nothing_large(path):
    cells = code(read(path))
    assert sum(len(lines_of_code(cell)) for cell in cells) <= MOST_CODE_LINES
    for cell in cells:
        assert len(lines_of_code(cell)) <= LONGEST_CELL, cell
        assert max(map(len, cell.splitlines()), default=0) <= 120, cell
        for node in ast.walk(ast.parse(cell)):
            assert not isinstance(node, ast.ClassDef), "classes belong to the package"
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 10, f"{node.name} belongs to the package"


@every
def test_it_says_what_it_asks_how_long_it_takes_and_what_comes_next(path):
    text = prose(read(path))
    assert re.match(r"# \S", text[0]), "the first cell begins with the title"
    opening = " ".join(text[:3]).lower()
    assert re.search(r"\d+\s*(s|seconds?|min|minutes?)\b", opening), "the running time stands at the top"
    assert "you need" in opening or "you should know" in opening, "what one needs to know stands at the top"
    headings = [line for cell in text for line in cell.splitlines() if line.startswith("#")]
    assert sum(line.startswith("# ") for line in headings) == 1
    assert not [line for line in headings if re.match(r"#{4,}", line)]
    joined = "\n".join(headings).lower()
    for part in ("summary", "read next", *(() if path.name.startswith("00") else ("exercise",))):
        assert part in joined, f"a heading with '{part}' is missing"
    if not path.name.startswith("00"):
        whole = "\n".join(text)
        assert whole.count("<details>") == whole.count("</details>") >= 1, "answers are folded away"
        assert "<summary>" in whole


@every
def test_headings_go_down_step_by_step(path):
    fenced = re.compile(r"```.*?```", re.DOTALL)
    levels = [len(m[1]) for cell in prose(read(path)) for m in re.finditer(r"(?m)^(#+) \S", fenced.sub("", cell))]
    for before, after in itertools.pairwise(levels):
        assert after <= before + 1, "a heading skips a level"


# --------------------------------------------------------------------------- code


def imported(notebook: NotebookNode) -> list[tuple[str, str | None]]:
    """(module, name or None) for every import."""
    found: list[tuple[str, str | None]] = []
    for cell in code(notebook):
        for node in ast.walk(ast.parse(cell)):
            if isinstance(node, ast.Import):
                found += [(alias.name, None) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level
                found += [(str(node.module), alias.name) for alias in node.names]
    return found


@every
def test_it_imports_what_the_environment_has(path):
    distributions, wanted = packages_distributions(), set(direct())
    for module, _ in imported(read(path)):
        top = module.split(".")[0]
        if top != "vasa_core" and top not in sys.stdlib_module_names:
            assert {name(d) for d in distributions.get(top, [])} & wanted, f"{module} is in no extra of pyproject.toml"


@every
def test_it_uses_public_names_of_ours_that_exist(path):
    for module, imported_name in imported(read(path)):
        if module.split(".")[0] == "vasa_core":
            assert importlib.util.find_spec(module), module
            if imported_name is not None:
                assert not imported_name.startswith("_")
                there = hasattr(importlib.import_module(module), imported_name)
                assert there or importlib.util.find_spec(f"{module}.{imported_name}"), f"{module}.{imported_name}"


@every
def test_it_touches_nothing_private(path):
    for cell in code(read(path)):
        for node in ast.walk(ast.parse(cell)):
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_") or node.attr.startswith("__"), f"{node.attr} is private"


# --------------------------------------------------------------------------- outputs


@every
def test_it_was_run_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in read(path).cells if cell.cell_type == "code" and cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1)), "run `make notebooks`"


@every
def test_no_output_is_a_warning_or_an_error(path):
    for output in outputs(read(path)):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.text[:300]
        assert not re.search(r"\w+Warning:", str(output.get("text", ""))), output.text[:300]


def alternative(output: NotebookNode) -> str | None:
    """The words that stand for a picture or a clip; None where an output holds neither."""
    data, metadata = output.get("data", {}), output.get("metadata", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            return metadata.get(kind, {}).get("alt", "")
    page = data.get("text/html", "")
    if "<video" in page:
        return re.search(r'aria-label="([^"]*)"', page)[1] if "aria-label" in page else ""
    if "<img" in page:
        return min(m[1] if (m := re.search(r'alt="([^"]*)"', tag)) else "" for tag in re.findall(r"<img[^>]*>", page))
    return None


@every
def test_every_picture_has_alternative_text(path):
    found = [words for output in outputs(read(path)) if (words := alternative(output)) is not None]
    assert found, "a notebook without a picture"
    for words in found:
        assert len(words.split()) >= WORDS_OF_ALT, f"say what is seen: {words!r}"
    if not path.name.startswith("00"):
        assert len(set(found)) == len(found), "two pictures have the same description"
    for cell in prose(read(path)):
        assert not re.search(r"!\[\s*\]\(", cell), "a picture in the text without alternative text"


@every
def test_the_first_picture_comes_early(path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    first = next(at for at, cell in enumerate(cells) if any(alternative(o) is not None for o in cell.outputs))
    assert first < 4


@every
def test_it_is_light(path):
    assert path.stat().st_size < HEAVIEST_BYTES
    for output in outputs(read(path)):
        assert WIDGET not in output.get("data", {}), "widgets without a kernel show nothing: run `make notebooks`"
        for kind in ("image/png", "image/jpeg"):
            if kind in output.get("data", {}):
                assert len(base64.b64decode(output.data[kind])) < HEAVIEST_PICTURE_BYTES
    assert "widgets" not in read(path).metadata


@every
def test_it_names_no_machine(path):
    for cell in read(path).cells:
        texts = [cell.source]
        for output in cell.get("outputs", []):
            data = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
            texts += [str(output.get("text", "")), re.sub(r"base64,[\w+/=]+", "", json.dumps(data))]
        for text in texts:
            assert not MACHINE.search(text), MACHINE.search(text)


# --------------------------------------------------------------------------- the whole


def carried(notebook: NotebookNode) -> list[dict]:
    """The numbers that cells show beside a report's (`showing.beside_report`)."""
    return [output.data[FIGURES_MIME] for output in outputs(notebook) if FIGURES_MIME in output.get("data", {})]


def agrees(here: float, report: dict[str, float | None], figure: str) -> bool:
    """Within the report's own interval, or within a fiftieth of its value."""
    value, low, high = (report.get(f"{figure}{ending}") for ending in ("", "_low", "_high"))
    assert value is not None, figure
    inside = low is not None and high is not None and low <= here <= high
    return inside or abs(here - value) <= 0.02 * abs(value) + 1e-9


@every
def test_its_numbers_agree_with_the_report(path):
    found = carried(read(path))
    if path.name[:2] in MEASURED:
        assert {part["report"] for part in found} >= {MEASURED[path.name[:2]]}
        assert sum(len(part["figures"]) for part in found) >= 3
    for part in found:
        report = json.loads((REPOSITORY / "assets" / "reports" / f"{part['report']}.json").read_text())
        for figure, here in part["figures"].items():
            assert agrees(here, report, figure), f"{figure}: {here} here, {report[figure]} in {part['report']}.json"


def test_agreement_is_refused_where_there_is_none():
    report = {"a": 1.0, "a_low": 0.9, "a_high": 1.2, "b": 2.0, "b_low": None, "b_high": None}
    assert agrees(1.15, report, "a")
    assert agrees(2.03, report, "b")
    assert not agrees(1.3, report, "a")
    assert not agrees(2.1, report, "b")


def test_the_folder_lists_every_notebook_and_no_other():
    listed = re.findall(r"\]\((\w+\.ipynb)\)", (FOLDER / "README.md").read_text())
    assert listed == sorted(listed)
    assert {path.name for path in PATHS} <= set(listed)


def test_what_is_private_or_missing_would_be_found():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("from vasa_core.nothing import thing")])
    assert imported(notebook) == [("vasa_core.nothing", "thing")]
    assert not importlib.util.find_spec("vasa_core.nothing")


@pytest.mark.parametrize(
    ("data", "metadata", "words"),
    [
        ({"image/png": "x"}, {"image/png": {"alt": "a line"}}, "a line"),
        ({"image/png": "x"}, {}, ""),
        ({"text/html": '<img src="x">'}, {}, ""),
        ({"text/html": '<video aria-label="a clip"></video>'}, {}, "a clip"),
        ({"text/html": "<video></video>"}, {}, ""),
        ({"text/plain": "3"}, {}, None),
    ],
)
def test_a_picture_without_words_is_found(data, metadata, words):
    assert alternative(nbformat.v4.new_output("display_data", data, metadata=metadata)) == words


# --------------------------------------------------------------------------- running them


def loaded(script: str):
    """A script of the notebooks' folder as a module."""
    spec = importlib.util.spec_from_file_location(f"notebooks_{script}", FOLDER / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kept(tmp_path: Path, *cells: str) -> Path:
    """A notebook with these code cells."""
    path = tmp_path / "01_tried.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)
    return path


def test_a_notebook_that_fails_is_named_and_left_as_it_was(tmp_path):
    refresh = loaded("refresh")
    path = kept(tmp_path, "1 + 1", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(refresh.Failed, match=r"01_tried.ipynb(.|\n)*ZeroDivisionError"):
        refresh.refresh(path)
    assert path.read_bytes() == before


def test_what_is_kept_says_nothing_of_the_run(tmp_path, monkeypatch):
    for variable in ("IPYTHONDIR", "VASA_HOME"):
        monkeypatch.setenv(variable, "")  # what the next line sets is taken back afterwards
    loaded("conftest").pytest_configure(None)  # no network, as under `make test`
    guarded = "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 80), 1)\nexcept RuntimeError as e:\n"
    path = kept(tmp_path, f"{guarded}    print('refused:', e)", "from ipywidgets import IntSlider\nIntSlider()")
    loaded("refresh").refresh(path)
    notebook = read(path)
    assert "refused: a notebook tried" in notebook.cells[0].outputs[0].text
    assert notebook.cells[1].outputs == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert not any(cell.metadata for cell in notebook.cells)


@pytest.mark.parametrize(
    ("output", "seconds", "why"),
    [
        (nbformat.v4.new_output("stream", name="stderr", text="a warning"), 1.0, "stderr"),
        (nbformat.v4.new_output("stream", name="stdout", text="fine"), 181.0, "minutes"),
        (nbformat.v4.new_output("stream", name="stdout", text="x" * 3_000_001), 1.0, "MB"),
    ],
)
def test_a_notebook_over_which_a_reader_would_stumble_is_not_kept(output, seconds, why):
    refresh = loaded("refresh")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=[output])])
    with pytest.raises(refresh.Failed, match=why):
        refresh.check(Path("01_tried.ipynb"), notebook, seconds)
