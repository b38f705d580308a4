"""What worn things are made of: cloth of many weaves and prints, metal, plastic, straw, glass; and their shaders.

`vCloth` are cloth coordinates in cm; `vEdge` is (cm from the garment's border, shade 0..1). Patterns fade to their mean
where a pixel holds several of their periods, so that nothing glitters in small pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

from vasa_core.world.facekit import Number
from vasa_core.world.people import Color
from vasa_core.world.shaders import LIGHT, LIGHTS, OUTPUTS, POSE, TRUTH_OUTPUTS

WEAVES = ("cotton", "knit", "rib", "denim", "linen", "satin", "leather", "straw", "metal", "plastic", "felt", "gem")
PATTERNS = ("none", "stripes", "pinstripes", "check", "dots", "floral", "chevron", "blocks")


@dataclass(frozen=True, kw_only=True)
class Stuff:
    """A material; `second` colours its pattern, `opacity` below 1 is glass."""

    color: Color
    second: Color = (0.6, 0.58, 0.54)
    weave: str = "cotton"
    pattern: str = "none"
    scale: Number = 2.0  # cm a period of the pattern
    relief: Number = 0.8  # strength of the weave's bumps
    trim: Number = 0.0  # embroidery along the border, 0..1
    opacity: Number = 1.0


def uniforms(stuff: Stuff) -> dict:
    """The material as its shaders want it."""
    return dict(
        uColor=stuff.color,
        uSecond=stuff.second,
        uWeave=WEAVES.index(stuff.weave),
        uPattern=PATTERNS.index(stuff.pattern),
        uScale=stuff.scale,
        uRelief=stuff.relief,
        uTrim=stuff.trim,
        uOpacity=stuff.opacity,
    )


WORN_VERTEX = f"""#version 330
{POSE}
in vec3 aPosition; in vec3 aNormal; in vec2 aUV; in vec3 aCanonical; in float aWeight; in vec2 aHairy;
uniform vec3 uJaw;   // how far the chin is from its place at rest, cm: what lies under it goes along
out vec3 vP; out vec3 vN; out vec3 vC; out vec3 vRest; out vec2 vCloth; out vec2 vEdge;
void main() {{
    float under = smoothstep(-2., -7., aPosition.y) * smoothstep(-1., 2.5, aPosition.z) * smoothstep(.3, .9, aWeight);
    vP = posed(aPosition + under * uJaw, aWeight); vN = turned(bend(aWeight), aNormal);
    vC = aCanonical; vRest = aPosition; vCloth = aUV; vEdge = aHairy;
    gl_Position = uCamera * vec4(vP, 1);
}}"""

WORN_IN = """#version 330
in vec3 vP; in vec3 vN; in vec3 vC; in vec3 vRest; in vec2 vCloth; in vec2 vEdge;
"""

WORN_FRAGMENT = f"""{WORN_IN}{LIGHT}{OUTPUTS}
uniform vec3 uColor; uniform vec3 uSecond; uniform int uWeave; uniform int uPattern; uniform float uScale; uniform float uRelief;
uniform float uTrim; uniform sampler3D uNoise;
vec4 noise(vec3 x) {{ return texture(uNoise, x / 32.0) - 0.5; }}
// How much of a pattern with this period (in the unit of x) a pixel still shows.
float shown(vec2 x, float period) {{ vec2 w = fwidth(x); return 1. - smoothstep(.25, .55, max(w.x, w.y) / period); }}
float line(float x, float half_width) {{ float d = abs(fract(x) - .5), w = fwidth(x); return 1. - smoothstep(half_width - w, half_width + w, d); }}
float hash(vec2 x) {{ return fract(sin(dot(x, vec2(12.9898, 78.233))) * 43758.5453); }}
float flowers(vec2 x) {{                              // petals around jittered lattice points
    float best = 0.;
    for (int k = 0; k < 9; k++) {{
        vec2 cell = floor(x) + vec2(k % 3 - 1, k / 3 - 1);
        vec2 d = cell + .5 + .5 * vec2(hash(cell) - .5, hash(cell + 7.) - .5) - x;
        float r = length(d), a = atan(d.y, d.x) + 6.28 * hash(cell + 3.), size = .22 + .16 * hash(cell + 5.);
        best = max(best, (1. - smoothstep(size * .8, size, r * (1.35 - .35 * cos(5. * a)))) * (.55 + .45 * smoothstep(.05, .09, r)));
    }}
    return best;
}}
float patterned(vec2 x) {{
    vec2 q = x / uScale;
    if (uPattern == 1) return line(q.y, .25);
    if (uPattern == 2) return mix(.12, line(q.x, .06), shown(q, .5)) * .8;
    if (uPattern == 3) return .5 * line(q.x, .25) + .5 * line(q.y, .25) - .35 * line(q.x * 1. + .5, .04) * line(q.y, .5);
    if (uPattern == 4) {{ vec2 g = q * mat2(.7071, .7071, -.7071, .7071) * 1.414; float d = length(fract(g) - .5), w = length(fwidth(g)) * .5; return 1. - smoothstep(.22 - w, .22 + w, d); }}
    if (uPattern == 5) return mix(.3, flowers(q), shown(q, 1.));
    if (uPattern == 6) return line(q.y + .5 * abs(fract(q.x) - .5) * 2., .25);
    if (uPattern == 7) return step(.5, fract(q.y * .25 + .12));
    return 0.;
}}
// Height of the weave, about -1..1.
float woven(vec2 x) {{
    vec2 q; float h = 0.;
    if (uWeave == 1) {{ q = x * vec2(2.1, 2.7); h = cos(6.283 * (q.y + .5 * abs(fract(q.x) - .5) * 2.)) * .5 + .5 * cos(6.283 * 2. * q.x); return h * shown(q, .7); }}
    if (uWeave == 2) {{ q = x * 1.9; return cos(6.283 * q.x) * shown(q, .9) * 1.3; }}
    if (uWeave == 3) {{ q = x * 9.; h = cos(6.283 * (q.x + q.y)) * .8; return h * shown(q, .9); }}
    if (uWeave == 4) {{ q = x * 7.; h = cos(6.283 * q.x) * cos(6.283 * q.y); return h * shown(q, .9) + .6 * noise(vec3(x * vec2(9., .7), 3.)).r + .6 * noise(vec3(x * vec2(.7, 9.), 9.)).r; }}
    if (uWeave == 7) {{ q = x * 1.6; h = cos(6.283 * q.x + 3.14 * floor(q.y * 2.)) * cos(6.283 * q.y * 2.); return 1.3 * h * shown(q, .5); }}
    if (uWeave == 0) {{ q = x * 11.; return .4 * cos(6.283 * q.x) * cos(6.283 * q.y) * shown(q, .9); }}
    return 0.;
}}
vec3 bumped(vec3 n, float height) {{                 // from screen derivatives (Mikkelsen 2010)
    vec3 px = dFdx(vP), py = dFdy(vP), rx = cross(py, n), ry = cross(n, px); float det = dot(px, rx);
    return normalize(max(abs(det), 1e-9) * n - sign(det) * (dFdx(height) * rx + dFdy(height) * ry));
}}
void main() {{
    vec3 v = normalize(uEye - vP), n = normalize(vN) * (gl_FrontFacing ? 1. : -1.);
    bool hard = uWeave == 8 || uWeave == 9 || uWeave == 11;
    float weave = hard ? 0. : woven(vCloth), print = patterned(vCloth);
    vec4 wide = noise(vec3(vCloth * .55, 2.)), grain = noise(vRest * 9.);
    vec3 albedo = mix(uColor, uSecond, print);
    if (uTrim > 0.) {{
        float motif = line(vEdge.x * .8, .30) * line(vCloth.x * .9 + .5 * floor(vEdge.x * .8), .32);
        albedo = mix(albedo, uSecond, uTrim * max(motif, line(vEdge.x * .4 + .5, .06)) * step(vEdge.x, 5.0));
    }}
    if (uWeave == 3) albedo = mix(albedo, vec3(dot(albedo, vec3(.33))) * 1.6 + .02, clamp(.22 + .5 * wide.r + .35 * grain.g, 0., .7));
    if (!hard) {{
        albedo *= 1. + .16 * uRelief * weave + .10 * wide.g + .10 * grain.r * uRelief;
        n = bumped(n, uRelief * (.050 * weave + (uWeave == 5 || uWeave == 6 ? .03 : .07) * wide.b + (uWeave == 10 || uWeave == 1 ? .02 * grain.b : 0.)));
    }}
    albedo *= mix(.35, 1., vEdge.y);
    float metal = uWeave == 8 ? 1. : 0., rough = uWeave == 5 ? .38 : uWeave == 6 ? .30 : uWeave == 8 ? .16 : uWeave == 9 ? .18 : uWeave == 11 ? .08 : .60;
    float f0 = uWeave == 11 ? .17 : hard ? .045 : .03, coat = hard || uWeave == 5 || uWeave == 6 ? 1. : .25;
    vec3 color = vec3(0);
    for (int i = 0; i < {LIGHTS}; i++) {{
        vec3 l = uLightDir[i]; float nl = dot(n, l), open = lit(i, vP + n * .1, .10, .3);
        float wrap = hard ? .0 : .1, diffuse = max((nl + wrap) / (1. + wrap), 0.) * (1. - .85 * metal);
        float fuzz = hard || coat > .9 ? 0. : pow5(1. - max(dot(n, v), 0.)) * .35 * max(nl + .4, 0.);
        float gleam = specular(n, v, l, rough, f0) * coat;
        vec3 tint = mix(vec3(1), uColor / max(max(uColor.r, uColor.g), uColor.b), metal) * mix(1., 9., metal);
        color += uLightColor[i] * open * (albedo * (diffuse + fuzz) + tint * gleam);
        // A mirror shows its surroundings: the glow above and below, the nearer to the mirror direction the stronger.
        if (metal > 0.) color += uLightColor[i] * uColor * .35 * pow(max(dot(reflect(-v, n), l) * .5 + .5, 0.), 3.);
    }}
    finished(color);
}}"""

GLASS_FRAGMENT = f"""{WORN_IN}{LIGHT}{OUTPUTS}
uniform vec3 uColor; uniform float uOpacity;
// Premultiplied: what is behind keeps 1 - alpha of its light; skin light itself is dimmed through its albedo.
void main() {{
    vec3 v = normalize(uEye - vP), n = normalize(vN), color = vec3(0); if (dot(n, v) < 0.) n = -n;
    float fresnel = .04 + .96 * pow5(1. - max(dot(n, v), 0.)), dark = uOpacity * mix(.75, 1., smoothstep(-2., 2.5, vCloth.y));
    for (int i = 0; i < {LIGHTS}; i++) {{
        vec3 l = uLightDir[i]; float mirror = max(dot(reflect(-v, n), l), 0.);
        color += uLightColor[i] * (specular(n, v, l, .10, .04) * .8 + fresnel * .10 * (.5 + .5 * mirror));
    }}
    float alpha = clamp(dark + fresnel * .3, 0., 1.);
    oLight = vec4(0); oAlbedo = vec4(0, 0, 0, alpha); oOther = vec4(color + uColor * dark * .12, alpha);
}}"""

WORN_PART_FRAGMENT = f"""{WORN_IN}{TRUTH_OUTPUTS}void main() {{ show(vC, vN, vP); }}"""
