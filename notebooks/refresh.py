"""Runs the notebooks again and keeps what they show: `make notebooks`, or `python notebooks/refresh.py 05 06`.

What differs from run to run is taken out (times, the language's version, widgets without their kernel), so that a
difference in a notebook is a difference in what it says. Stops at the first that fails and leaves it as it was.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

FOLDER = Path(__file__).resolve().parent
MINUTES = {"09": 5}
USUAL_MINUTES = 3
WIDGET = "application/vnd.jupyter.widget-view+json"
HEAVIEST_BYTES = 3_000_000


class Failed(Exception):
    """A notebook cannot be kept as it ran; says which cell and why."""


def run(path: Path) -> tuple[NotebookNode, float]:
    """The notebook with new outputs, and the processor's seconds that it took: other work beside it does not count."""
    notebook = nbformat.read(path, as_version=4)
    with tqdm(total=len(notebook.cells), desc=path.stem, unit="cell", dynamic_ncols=True) as bar:
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_start=lambda cell, cell_index: bar.update(cell_index - bar.n),
        )
        # answering Output widgets on the socket it also listens on, nbclient can sleep through the kernel's reply
        client.comm_open_handlers.clear()
        begun = _kernels_s()
        try:
            client.execute()
        except (CellExecutionError, DeadKernelError) as failure:
            raise Failed(f"{path.name}: {failure}") from None
        bar.update(len(notebook.cells) - bar.n)
    return notebook, _kernels_s() - begun


def _kernels_s() -> float:
    """Processor time of all kernels that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def settled(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what differs from run to run."""
    notebook.metadata = NotebookNode(
        kernelspec={"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    for cell in notebook.cells:
        cell.metadata = NotebookNode({key: cell.metadata[key] for key in ("tags",) if key in cell.metadata})
        if cell.cell_type == "code" and any(WIDGET in output.get("data", {}) for output in cell.outputs):
            cell.outputs = []  # what a widget draws is for those who move it; a figure of its own stands beside it
    return notebook


def check(path: Path, notebook: NotebookNode, seconds: float) -> None:
    """Raises Failed where a reader would stumble: a warning on the page, too slow, too heavy."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                raise Failed(f"{path.name}: cell {number} wrote to stderr: {output.text[:500]}")
    minutes = MINUTES.get(path.name[:2], USUAL_MINUTES)
    if seconds > 60 * minutes:
        raise Failed(f"{path.name}: took {seconds:.0f} s of a core, {minutes} minutes are allowed")
    if (size := len(nbformat.writes(notebook))) > HEAVIEST_BYTES:
        raise Failed(f"{path.name}: {size / 1e6:.1f} MB with its outputs, 3 are allowed")


def refresh(path: Path) -> None:
    """Runs one notebook and keeps it."""
    notebook, seconds = run(path)
    notebook = settled(notebook)
    check(path, notebook, seconds)
    text = nbformat.writes(notebook)
    path.write_text(text if text.endswith("\n") else text + "\n")
    print(f"{path.name}: {seconds:.0f} s of a core, {len(text) // 1000} kB", flush=True)


def main(wanted: list[str]) -> int:
    """Refreshes those whose names begin with one of `wanted`, or all."""
    paths = [p for p in sorted(FOLDER.glob("*.ipynb")) if not wanted or p.name.startswith(tuple(wanted))]
    paths.sort(key=lambda path: path.name.startswith("00"))  # last: it shows the others' first pictures
    if not paths:
        print(f"There is no notebook whose name begins with {' or '.join(wanted)}.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="notebooks-") as house:
        os.environ.setdefault("VASA_HOME", house)  # clips made here are signed by a house that is gone afterwards
        try:
            for path in paths:
                refresh(path)
        except Failed as failure:
            print(failure, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
