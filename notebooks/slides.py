"""Slides from a notebook, as one page that needs nothing else: `make slides`, or `python notebooks/slides.py 09`.

A cell tagged `slide` begins a slide, one tagged `more` goes on with it; of code only what it showed is kept, with its
alternative text, under the heading above it. Nothing is run: what the notebook holds is what is shown. The page lies in
`out/`, needs no network and no library: arrow keys turn it, `f` fills the screen, and printed it has one slide a sheet.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbconvert.filters import markdown2html
from nbformat import NotebookNode

FOLDER = Path(__file__).resolve().parent
OUT = FOLDER.parent / "out"
BEGINS, GOES_ON = "slide", "more"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ margin: 0; font: 2.1vw/1.4 system-ui, sans-serif; color: #1c1c1e; background: #fff; }}
section {{ box-sizing: border-box; min-height: 100vh; padding: 3vh 6vw 7vh; position: relative;
  display: flex; flex-direction: column; justify-content: center; break-after: page; }}
.turned section {{ display: none; height: 100vh; overflow: auto; }}
.turned section.now {{ display: flex; }}
.turned section.tall {{ justify-content: flex-start; }}
h1 {{ font-size: 2em; line-height: 1.15; }}
h1, h2, h3 {{ margin: 0 0 .5em; color: #00507f; }}
p, ul, ol, table {{ margin: .3em 0; }}
li {{ margin: .25em 0; }}
img, video {{ display: block; max-width: 100%; max-height: 64vh; margin: .4em auto; }}
img {{ flex: 0 1 64vh; min-height: 25vh; object-fit: contain; }}
table {{ border-collapse: collapse; font-size: .72em; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .25em .6em; text-align: left; vertical-align: top; }}
pre {{ font-size: .7em; line-height: 1.3; white-space: pre-wrap; }}
small {{ font-size: .6em; }}
a.anchor-link {{ display: none; }}
footer {{ position: absolute; bottom: 2vh; left: 6vw; right: 6vw; font-size: .5em; color: #555;
  display: flex; justify-content: space-between; }}
@media print {{ @page {{ size: 297mm 167mm; margin: 0; }} .turned section {{ display: flex; }} }}
</style></head><body>
{slides}
<script>
const slides = [...document.querySelectorAll("section")];
const wanted = () => Math.min(Math.max(parseInt(location.hash.slice(1)) || 1, 1), slides.length);
const show = () => {{
  slides.forEach((slide, k) => slide.classList.toggle("now", k + 1 === wanted()));
  const now = slides[wanted() - 1];
  now.classList.toggle("tall", now.scrollHeight > now.clientHeight);
}};
const steps = {{ ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1, Home: -1e6, End: 1e6 }};
addEventListener("hashchange", show);
addEventListener("keydown", pressed => {{
  if (pressed.key === "f") document.documentElement.requestFullscreen();
  if (!(pressed.key in steps) || pressed.target.closest("summary, video")) return;
  pressed.preventDefault();
  location.hash = Math.min(Math.max(wanted() + steps[pressed.key], 1), slides.length);
}});
document.body.classList.add("turned");
show();
</script></body></html>
"""
SLIDE = """<section aria-label="Slide {number} of {count}">
{content}
<footer><span>{title}: every face here is AI-generated</span><span>{number} / {count}</span></footer>
</section>"""


class NoSlides(Exception):
    """No cell of the notebook is tagged for a slide."""


def slides_of(notebook: NotebookNode) -> list[str]:
    """The slides' contents as HTML, in order."""
    slides: list[list[str]] = []
    heading = ""
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            heading = ([heading] + [line for line in cell.source.splitlines() if line.startswith("#")])[-1]
        if BEGINS in tags:
            slides.append([markdown2html(heading)] if cell.cell_type == "code" else [])
        if slides and (BEGINS in tags or GOES_ON in tags):
            slides[-1] += _shown(cell)
    if not slides:
        raise NoSlides(f"No cell is tagged `{BEGINS}`: tag those that begin a slide.")
    return ["\n".join(parts) for parts in slides]


def _shown(cell: NotebookNode) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield markdown2html(cell.source)
    for output in cell.get("outputs", []):
        yield from _output(output)


def _output(output: NotebookNode) -> Iterator[str]:
    """An output as it stands on a slide: a picture, a page fragment, or plain text."""
    if output.output_type == "stream":
        yield f"<pre>{html.escape(output.text)}</pre>"
        return
    data, told = output.get("data", {}), output.get("metadata", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            words = html.escape(told.get(kind, {}).get("alt", ""), quote=True)
            yield f'<img src="data:{kind};base64,{data[kind].strip()}" alt="{words}">'
            return
    if "text/html" in data:
        if not data["text/html"].startswith("<details><summary><small>in words"):  # on slides the speaker says it
            yield data["text/html"]
    elif "text/plain" in data:
        yield f"<pre>{html.escape(data['text/plain'])}</pre>"


def page(notebook: NotebookNode) -> str:
    """The whole page."""
    slides = slides_of(notebook)
    title = html.escape(notebook.cells[0].source.splitlines()[0].lstrip("# "))
    numbered = [
        SLIDE.format(number=number, count=len(slides), content=content, title=title)
        for number, content in enumerate(slides, 1)
    ]
    return PAGE.format(title=title, slides="\n".join(numbered))


def main(wanted: str = "09") -> int:
    """Writes the slides of the notebook whose name begins like this."""
    paths = sorted(FOLDER.glob(f"{wanted}*.ipynb"))
    if len(paths) != 1:
        print(f"There are {len(paths)} notebooks whose name begins with {wanted}: name one.", file=sys.stderr)
        return 2
    try:
        written = page(nbformat.read(paths[0], as_version=4))
    except NoSlides as nothing:
        print(nothing, file=sys.stderr)
        return 1
    OUT.mkdir(exist_ok=True)
    target = OUT / f"slides_{paths[0].stem[:2]}.html"
    target.write_text(written)
    print(f"{target.relative_to(FOLDER.parent)}: {len(written) // 1000} kB; open it in a browser.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
