"""How the studio looks: paper, ink and one green, as Gradio's theme; the same colours stand in static/studio.css.

Fonts come with the installed Gradio package and are served from here; nothing is asked of another host.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import gradio as gr

from vasa_core import assets

STATIC = Path(__file__).parent / "static"
FONTS = Path(gr.__file__).parent / "templates" / "frontend" / "static" / "fonts"
SCRIPT = '<script type="module" src="/static/studio.js"></script>'

PAPER, CARD, INK, INK_SOFT = "#f6f4ef", "#ffffff", "#1e2329", "#535b66"
LINE, LINE_STRONG = "#dfdad0", "#857f73"
ACCENT, ACCENT_DEEP, ACCENT_SOFT = "#215c50", "#174239", "#e3ede9"

DARK_PAPER, DARK_CARD, DARK_INK, DARK_INK_SOFT = "#14171a", "#1d2125", "#ecebe6", "#b4b7b6"
DARK_LINE, DARK_LINE_STRONG = "#343a40", "#848c94"
DARK_ACCENT, DARK_ACCENT_DEEP, DARK_ACCENT_SOFT = "#83cbb9", "#a3dccd", "#20352f"

SANS = ("IBM Plex Sans", "system-ui", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace")


def theme() -> gr.themes.Base:
    """Gradio's own controls in our colours, light and dark, with text that passes WCAG AA on every surface."""
    plain = gr.themes.Base(
        font=list(SANS),
        font_mono=list(MONO),
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
    )
    return plain.set(**_both(_surfaces()), **_both(_controls()), **_both(_buttons()), **_plain())


def page(title: str, body: str, *, script: bool = False, door: bool = False) -> str:
    """A whole page outside Gradio (sign in, verify) in the same clothes; `body` is trusted HTML."""
    way = '<a href="/verify">Verify a file</a>' if door else '<a href="/studio/">Open the studio</a>'
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title><link rel="icon" href="/static/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/static/studio.css">{SCRIPT if script else ""}</head>
<body class="vs-page"><a class="vs-skip" href="#main">Skip to the content</a>
<header class="vs-header">{brand("/")}<nav aria-label="Pages">{way}</nav></header>
<main id="main">{body}</main>
<footer class="vs-footer">{FOOTER}</footer></body></html>"""


def brand(href: str) -> str:
    """The wordmark."""
    return (
        f'<a class="vs-brand" href="{href}"><img src="/static/mark.svg" alt="" width="30" height="30">'
        "<span>Talking-face studio</span></a>"
    )


FOOTER = (
    "Every picture made here says that it is AI-generated: in a label you can see, in a mark you cannot, "
    'and in signed credentials. <a href="/verify">Check any file</a>.'
)


def block(piece: str = "", **options: Any) -> gr.Markdown:
    """A piece of our own HTML at its place in the page; trusted, whoever makes it escapes what people typed.

    Not `gr.HTML`, which evaluates templates as script and would need the policy's 'unsafe-eval'.
    """
    return gr.Markdown(flat(piece), sanitize_html=False, latex_delimiters=[], **options)


def flat(piece: str) -> str:
    """All on one line: to Markdown that is one block of HTML, and none of it is read as Markdown."""
    return f"<div>{' '.join(piece.split())}</div>"


def head() -> str:
    """What Gradio's page loads from us: one style sheet and one script, files of our own."""
    faces = "".join(_face(path.stem) for path in assets.portraits())
    return f'<link rel="stylesheet" href="/static/studio.css"><style>{faces}</style>{SCRIPT}'


def _face(name: str) -> str:
    """A sitter's picture on every card that stands for them, and, dimmed, on the empty stage while they are chosen."""
    card = f'.vs-cast label:has(input:is([value="{name}"],[name="{name}"],[title="{name}"]))'
    ways = ('[data-cast="{at}"]', "#{at}-cast")  # our own page, Gradio's
    empty = ",".join(
        f':is(#vs-rank,body):has({way.format(at=at)} input[value="{name}"]:checked) [data-stage="{at}"]'
        for at in ("create", "explore", "live")
        for way in ways
    )
    picture = f'url("/cast/{name}.jpg")'
    dimmed = "linear-gradient(#15191cd4,#15191cd4)"
    return f"{card}{{background-image:{picture}!important}}{empty}{{background-image:{dimmed},{picture}}}"


# ---- Gradio's variables -------------------------------------------------------------------------------------------

Pairs = dict[str, tuple[str, str]]


def _both(pairs: Pairs) -> dict[str, str]:
    """Gradio's two keywords for each variable: as it is by day, and `_dark`."""
    return {key: value for name, (day, night) in pairs.items() for key, value in ((name, day), (f"{name}_dark", night))}


def _surfaces() -> Pairs:
    card, line = (CARD, DARK_CARD), (LINE, DARK_LINE)
    soft = (INK_SOFT, DARK_INK_SOFT)
    return {
        "body_background_fill": (PAPER, DARK_PAPER),
        "body_text_color": (INK, DARK_INK),
        "body_text_color_subdued": soft,
        "background_fill_primary": card,
        "background_fill_secondary": (PAPER, DARK_PAPER),
        "border_color_primary": line,
        "border_color_accent": (ACCENT, DARK_ACCENT),
        "border_color_accent_subdued": (ACCENT, DARK_ACCENT),
        "color_accent_soft": (ACCENT_SOFT, DARK_ACCENT_SOFT),
        "link_text_color": (ACCENT, DARK_ACCENT),
        "link_text_color_hover": (ACCENT_DEEP, DARK_ACCENT_DEEP),
        "link_text_color_active": (ACCENT_DEEP, DARK_ACCENT_DEEP),
        "link_text_color_visited": (ACCENT, DARK_ACCENT),
        "block_background_fill": card,
        "block_border_color": line,
        "block_label_background_fill": card,
        "block_label_border_color": line,
        "block_label_text_color": soft,
        "block_title_text_color": (INK, DARK_INK),
        "block_info_text_color": soft,
        "panel_background_fill": card,
        "panel_border_color": line,
        "accordion_text_color": (INK, DARK_INK),
        "table_border_color": line,
    }


def _controls() -> Pairs:
    strong, accent = (LINE_STRONG, DARK_LINE_STRONG), (ACCENT, DARK_ACCENT)
    card = (CARD, DARK_CARD)
    return {
        "input_background_fill": card,
        "input_background_fill_focus": card,
        "input_background_fill_hover": card,
        "input_border_color": strong,
        "input_border_color_focus": accent,
        "input_border_color_hover": accent,
        "input_placeholder_color": (INK_SOFT, DARK_INK_SOFT),
        "slider_color": accent,
        "checkbox_background_color": card,
        "checkbox_background_color_selected": accent,
        "checkbox_background_color_focus": card,
        "checkbox_background_color_hover": card,
        "checkbox_border_color": strong,
        "checkbox_border_color_selected": accent,
        "checkbox_border_color_focus": accent,
        "checkbox_border_color_hover": accent,
        "checkbox_label_background_fill": card,
        "checkbox_label_background_fill_hover": (ACCENT_SOFT, DARK_ACCENT_SOFT),
        "checkbox_label_background_fill_selected": (ACCENT_SOFT, DARK_ACCENT_SOFT),
        "checkbox_label_border_color": (LINE, DARK_LINE),
        "checkbox_label_border_color_selected": accent,
        "checkbox_label_border_color_hover": accent,
        "checkbox_label_text_color": (INK, DARK_INK),
        "checkbox_label_text_color_selected": (INK, DARK_INK),
        "loader_color": accent,
    }


def _buttons() -> Pairs:
    accent, on_accent = (ACCENT, DARK_ACCENT), ("#ffffff", "#0c1d19")
    card, line = (CARD, DARK_CARD), (LINE_STRONG, DARK_LINE_STRONG)
    return {
        "button_primary_background_fill": accent,
        "button_primary_background_fill_hover": (ACCENT_DEEP, DARK_ACCENT_DEEP),
        "button_primary_border_color": accent,
        "button_primary_border_color_hover": (ACCENT_DEEP, DARK_ACCENT_DEEP),
        "button_primary_text_color": on_accent,
        "button_primary_text_color_hover": on_accent,
        "button_secondary_background_fill": card,
        "button_secondary_background_fill_hover": (ACCENT_SOFT, DARK_ACCENT_SOFT),
        "button_secondary_border_color": line,
        "button_secondary_border_color_hover": accent,
        "button_secondary_text_color": (INK, DARK_INK),
        "button_secondary_text_color_hover": (INK, DARK_INK),
    }


def _plain() -> dict[str, str]:
    return {
        "color_accent": ACCENT,
        "button_border_width": "1px",
        "button_border_width_dark": "1px",
        "button_primary_shadow": "none",
        "button_primary_shadow_hover": "none",
        "button_transition": "background-color 0.12s ease",
        "button_transform_hover": "none",
        "button_transform_active": "none",
        "button_large_text_weight": "600",
        "block_shadow": "none",
        "block_border_width": "0px",
        "block_border_width_dark": "0px",
        "block_title_text_weight": "600",
        "block_title_text_size": "14px",
        "block_info_text_size": "14px",
        "block_label_text_size": "*text_sm",
        "checkbox_label_shadow": "none",
        "checkbox_label_border_width": "1px",
        "checkbox_label_border_width_dark": "1px",
        "input_border_width": "1px",
        "input_border_width_dark": "1px",
        "input_shadow": "none",
        "input_shadow_focus": "none",
        "shadow_drop": "none",
        "shadow_drop_lg": "none",
    }
