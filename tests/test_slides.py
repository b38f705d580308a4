"""Slides made of notebooks: which cells, in which order, and that the page needs nothing else."""

from __future__ import annotations

import importlib.util
import re

import nbformat
import pytest
from conftest import REPOSITORY
from nbformat import v4

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def slides():
    spec = importlib.util.spec_from_file_location("slides", REPOSITORY / "notebooks" / "slides.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tagged(cell, *tags):
    cell.metadata["tags"] = list(tags)
    return cell


def figure(alt, *tags):
    told = {"image/png": {"alt": alt}}
    words = v4.new_output("display_data", data={"text/html": "<details><summary><small>in words</small></summary>"})
    drawn = v4.new_output("display_data", data={"image/png": PIXEL, "text/plain": alt}, metadata=told)
    return tagged(v4.new_code_cell("draw()", outputs=[drawn, words]), *tags)


@pytest.fixture
def notebook():
    return v4.new_notebook(
        cells=[
            tagged(v4.new_markdown_cell("# A workshop\nWelcome"), "slide"),
            v4.new_markdown_cell("long prose that no slide wants"),
            tagged(v4.new_markdown_cell("## Ask\n- one\n- two"), "slide"),
            figure('a face & a "label"', "more"),
            figure("never shown"),
            tagged(v4.new_code_cell("1", outputs=[v4.new_output("stream", text="a < b")]), "slide"),
        ]
    )


def test_tagged_cells_become_slides_in_order(slides, notebook):
    first, second, third = slides.slides_of(notebook)
    assert "A workshop" in first and "<li>one</li>" in second and "a &lt; b" in third
    assert "no slide wants" not in first + second + third
    assert "draw()" not in second, "of code, only what it showed"
    assert "Ask" in third, "what code shows stands under the heading above it"


def test_pictures_keep_their_words(slides, notebook):
    _, second, _ = slides.slides_of(notebook)
    assert 'alt="a face &amp; a &quot;label&quot;"' in second
    assert "in words" not in second


def test_the_page_needs_nothing_else(slides, notebook):
    page = slides.page(notebook)
    assert page.count("<section") == 3 and "Slide 3 of 3" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "@import" not in page and "url(" not in page
    assert page.count("AI-generated") == 3, "every slide says so"


def test_a_notebook_without_tags_is_refused(slides):
    with pytest.raises(slides.NoSlides, match="tag those"):
        slides.slides_of(v4.new_notebook(cells=[v4.new_markdown_cell("# Plain")]))


def test_an_unknown_notebook_is_named(slides, capsys):
    assert slides.main("77") == 2
    assert "77" in capsys.readouterr().err


def test_the_workshop_has_slides(slides):
    path = next((REPOSITORY / "notebooks").glob("09_*.ipynb"))
    page = slides.page(nbformat.read(path, as_version=4))
    assert 12 <= page.count("<section") <= 40
    links = set(re.findall(r"(?:src|href)=\"(?!data:|#)([^\"]+)\"", page))
    assert all(link.startswith(("https://", "0")) for link in links), "links to sources, nothing that is loaded"
    assert not re.search(r"<(script|link|img|video)[^>]+(src|href)=\"(?!data:)", page)
    assert min(len(words) for words in re.findall(r'<img[^>]*alt="([^"]*)"', page)) > 20
