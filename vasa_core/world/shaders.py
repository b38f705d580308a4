"""GLSL programs of the renderer, one pair a material.

Three pictures come out of every surface: `oLight`, the light that falls on skin (kept apart from its colour, so that it
can be diffused under the skin afterwards); `oAlbedo`, the colour of that skin; `oOther`, everything else as finished
radiance, with coverage in alpha. Colours are linear. One pass has LIGHTS directional lights, each with a shadow map
in one quarter of an atlas; soft shadows and ambient occlusion come from averaging passes with moved lights.
Names: p position, n normal, v towards the camera, l towards the light, c canonical (neutral-face) position.
"""

from __future__ import annotations

LIGHTS = 4
ATLAS_TILES = 2  # tiles along a side of the shadow atlas
SHADOW_HALF_CM = 24.0  # half the side of the cube that a shadow map covers
SHADOW_DEPTH_CM = 45.0

# ---- shared pieces ---------------------------------------------------------------------------------------------------
POSE = """
uniform mat4 uCamera; uniform vec4 uHead; uniform vec3 uPivot;
vec3 turned(vec4 q, vec3 v) { vec3 t = 2.0 * cross(q.xyz, v); return v + q.w * t + cross(q.xyz, t); }
vec4 bend(float weight) { return normalize(mix(vec4(0, 0, 0, 1), uHead, weight)); }
vec3 posed(vec3 p, float weight) { return turned(bend(weight), p - uPivot) + uPivot; }
"""

LIGHT = f"""
uniform vec3 uEye; uniform vec3 uLightDir[{LIGHTS}]; uniform vec3 uLightColor[{LIGHTS}];
uniform mat4 uLightMatrix[{LIGHTS}]; uniform sampler2D uShadow;
// Light that reaches p, with `gap` cm of tolerance; hair lets light through over `soft` cm.
float lit(int i, vec3 p, float gap, float soft) {{
    vec3 s = (uLightMatrix[i] * vec4(p, 1)).xyz * 0.5 + 0.5;
    if (any(lessThan(s.xy, vec2(0.0))) || any(greaterThan(s.xy, vec2(1.0)))) return 1.0;
    vec2 tile = vec2(i % {ATLAS_TILES}, i / {ATLAS_TILES});
    float behind = (s.z - texture(uShadow, (s.xy * 0.998 + 0.001 + tile) / {ATLAS_TILES}.0).r) * {2 * SHADOW_DEPTH_CM};
    return 1.0 - smoothstep(gap, gap + soft, behind);
}}
float pow5(float x) {{ float y = x * x; return y * y * x; }}
// GGX specular lobe, roughness alpha, including the cosine (Walter et al. 2007; Schlick's Fresnel).
float specular(vec3 n, vec3 v, vec3 l, float alpha, float f0) {{
    vec3 h = normalize(v + l);
    float nl = max(dot(n, l), 0.0), nv = max(dot(n, v), 0.06), nh = max(dot(n, h), 0.0), a2 = alpha * alpha;
    float d = nh * nh * (a2 - 1.0) + 1.0, k = alpha * 0.5;
    float fresnel = f0 + (1.0 - f0) * pow5(1.0 - max(dot(v, h), 0.0));
    return a2 / (3.1416 * d * d) * fresnel * nl / (((nl * (1.0 - k) + k) * (nv * (1.0 - k) + k)) * 4.0);
}}
"""

OUTPUTS = """
layout(location=0) out vec4 oLight; layout(location=1) out vec4 oAlbedo; layout(location=2) out vec4 oOther;
void finished(vec3 radiance) { oLight = vec4(0); oAlbedo = vec4(0); oOther = vec4(radiance, 1); }
"""

SURFACE_IN = """#version 330
in vec3 vP; in vec3 vN; in vec2 vUV; in vec3 vC; in vec3 vRest;
"""

SURFACE_VERTEX = f"""#version 330
{POSE}
in vec3 aPosition; in vec3 aNormal; in vec2 aUV; in vec3 aCanonical; in float aWeight;
uniform float uInflate; uniform float uSunk; uniform vec3 uEye;   // uSunk: cm behind its place that depth is tested
out vec3 vP; out vec3 vN; out vec2 vUV; out vec3 vC; out vec3 vRest;
void main() {{
    vP = posed(aPosition + aNormal * uInflate, aWeight);
    vN = turned(bend(aWeight), aNormal);
    vUV = aUV; vC = aCanonical; vRest = aPosition;
    gl_Position = uCamera * vec4(vP, 1);
    if (uSunk > 0.) {{
        vec4 behind = uCamera * vec4(vP + uSunk * normalize(vP - uEye), 1);
        gl_Position.z = behind.z / behind.w * gl_Position.w;
    }}
}}"""

# ---- skin ------------------------------------------------------------------------------------------------------------
SKIN_FRAGMENT = f"""{SURFACE_IN}{LIGHT}{OUTPUTS}
uniform sampler2D uAlbedo; uniform sampler2D uHeight; uniform float uRelief; uniform float uGloss;
uniform vec2 uLines[7]; uniform float uSag;   // forehead, frown, crow, smile, nose, chin, lips; left and right of the person
float here(int kind) {{ return mix(uLines[kind].y, uLines[kind].x, smoothstep(-.5, .5, vC.x)); }}
// How deep the baked lines of each channel are here and now: y those along the brow, the eye and the cheek, z the others.
vec4 depths() {{
    float y = vC.y, side = abs(vC.x), brow = smoothstep(5.6, 6.6, y), cheek = smoothstep(1.4, .4, y + .35 * (side - 3.));
    float first = mix(mix(here(2), here(3), cheek), here(0), brow);
    first = mix(first, .6 * uSag, smoothstep(-6.5, -7.5, y + .2857 * vC.z));
    float second = mix(mix(here(4), mix(here(6), here(5), smoothstep(-4.7, -5.3, y)), smoothstep(-.4, -1.2, y)), here(1), smoothstep(4.2, 5.2, y));
    return vec4(1., -2.3 * first, -2.0 * second, 5.5 * uSag);
}}
// The normal of a height field over the surface, from screen derivatives (Mikkelsen 2010).
vec3 relief(vec3 n, vec2 uv, vec4 share, vec4 raised) {{
    vec3 px = dFdx(vP), py = dFdy(vP), rx = cross(py, n), ry = cross(n, px);
    float h = dot(share, raised), det = dot(px, rx);
    float hx = dot(share, texture(uHeight, uv + dFdx(uv))) - h, hy = dot(share, texture(uHeight, uv + dFdy(uv))) - h;
    return normalize(abs(det) * n - uRelief * sign(det) * (hx * rx + hy * ry));
}}
void main() {{
    vec2 uv = vUV * vec2(0.5, 1);
    vec4 skin = texture(uAlbedo, uv), raised = texture(uHeight, uv), share = depths();
    vec3 smoothed = normalize(vN), v = normalize(uEye - vP), n = relief(smoothed, uv, share, raised);
    float crease = clamp(-.34 * (share.y * raised.y + share.z * raised.z), 0., 1.3);
    vec3 light = vec3(0), shine = vec3(0);
    for (int i = 0; i < {LIGHTS}; i++) {{
        vec3 l = uLightDir[i];
        float open = lit(i, vP + smoothed * 0.06, 0.05, 0.22);
        vec3 wrap = vec3(0.16, 0.06, 0.03);
        light += uLightColor[i] * max((dot(n, l) + wrap) / (1.0 + wrap), 0.0) * open;
        float sharp = specular(n, v, l, 0.20, 0.028), sheen = specular(mix(smoothed, n, .35), v, l, 0.42, 0.028);
        shine += uLightColor[i] * (0.60 * sharp + 0.95 * sheen) * open;
    }}
    skin.rgb *= mix(vec3(1), vec3(.74, .60, .56), clamp(crease, 0., 1.));
    light *= 1. - .30 * crease;
    oLight = vec4(light, 1); oAlbedo = vec4(skin.rgb, 1); oOther = vec4(shine * skin.a * (1. - .7 * min(crease, 1.)) * uGloss * 4.2, 1);
}}"""

SKIN_BAKE_VERTEX = """#version 330
in vec2 aUV; in vec3 aCanonical; in vec2 aHairy;
out vec2 vUV; out vec3 c; out vec2 vHairy;
void main() { vUV = aUV; c = aCanonical; vHairy = aHairy; gl_Position = vec4(aUV.x - 1.0, aUV.y * 2.0 - 1.0, 0, 1); }"""

# The skin's own picture, painted once a person on the unfolded head: colour with gloss in alpha, and height.
SKIN_BAKE_FRAGMENT = """#version 330
in vec2 vUV; in vec3 c; in vec2 vHairy;   // vHairy: beard density, scalp density
uniform sampler2D uLips; uniform sampler2D uBrows; uniform sampler3D uNoise;
uniform vec3 uSkin; uniform vec3 uHair; uniform vec3 uBeardColor; uniform vec3 uStubbleColor; uniform vec3 uLipColor; uniform vec3 uNoiseOffset; uniform vec4 uMoles[6];
uniform float uRedness; uniform float uFreckles; uniform float uBlotches; uniform float uEyeShade; uniform float uStubble;
uniform float uPores; uniform float uScalpTint; uniform float uDarkness; uniform float uLipStrength; uniform float uAgeSpots;
uniform float uLidFold; uniform float uBlush; uniform vec3 uBlushColor; uniform float uShadow; uniform vec3 uShadowColor; uniform float uLiner;
layout(location=0) out vec4 oAlbedo; layout(location=1) out vec4 oHeight;

vec4 noise(float per_cm) { return texture(uNoise, (c * per_cm + uNoiseOffset) / 32.0) - 0.5; }
float bell(vec2 d) { return exp(-dot(d, d)); }
vec3 hash3(vec3 x) { x = fract(x * vec3(.1031, .1030, .0973)); x += dot(x, x.yxz + 33.33); return fract((x.xxy + x.yxx) * x.zyx); }
float nearest_cell(vec3 x) {                 // distance to the nearest of jittered lattice points
    vec3 corner = floor(x - 0.5); float best = 9.0;
    for (int k = 0; k < 8; k++) {
        vec3 cell = corner + vec3(k & 1, (k >> 1) & 1, k >> 2);
        vec3 d = cell + 0.15 + 0.7 * hash3(cell) - x; best = min(best, dot(d, d));
    }
    return sqrt(best);
}
vec3 painted(vec3 albedo, vec3 tint, float amount) { return albedo * mix(vec3(1), tint, amount); }

vec3 complexion(float side, vec4 broad, vec4 middle, vec4 fine, vec4 grain) {
    vec3 albedo = uSkin, blood = mix(vec3(1.04, .70, .68), vec3(1.06, .86, .83), uDarkness);
    float cheeks = bell(vec2((side - 4.4) / 2.5, (c.y - .2) / 1.9)) * step(3.0, c.z);
    float nose = bell(vec2(c.x / 1.6, (c.y - .5) / 1.3)) * smoothstep(9.5, 11.0, c.z);
    float ears = smoothstep(7.5, 8.3, side) * step(-4.0, c.y) * step(c.y, 6.0), chin = bell(vec2(c.x / 2.2, (c.y + 7.) / 1.4));
    float red = uRedness * (.60 * cheeks + .55 * nose + .55 * ears + .22 * chin) + uBlotches * (.30 * broad.r + .45 * middle.g);
    albedo = painted(albedo, blood, clamp(red, -.6, 1.2));
    albedo *= 1.0 + .14 * broad.b + .12 * middle.b * uBlotches + .09 * fine.r + .07 * grain.g;
    albedo = painted(albedo, vec3(1.05, 1.0, .84), .5 * broad.a + .35 * bell(vec2(c.x / 4.5, (c.y - 7.5) / 2.0)));   // a yellower forehead
    float bags = bell(vec2((side - 3.0) / 1.5, (c.y - 2.15) / .7)) + .6 * bell(vec2((side - 1.9) / .5, (c.y - 3.) / .8));
    albedo = painted(albedo, vec3(.80, .72, .74), uEyeShade * bags * step(5.0, c.z) * .75);
    float lids = bell(vec2((side - 3.1) / 1.6, (c.y - 4.25) / .6)) + .7 * bell(vec2((side - 3.1) / 1.5, (c.y - 2.9) / .22));
    return painted(albedo, vec3(.87, .76, .73), lids * step(5.0, c.z) * .7);
}

// A furrow: 1 in a sharp valley wherever phase / pi is a whole number, 0 on the rounded skin between.
float furrow(float phase, float sharp) { return pow(1.0 - abs(sin(phase)), sharp); }

// Depth of the lines along the forehead, around the eyes and from nose to mouth, 0..1.
float long_lines(float side, vec4 broad, vec4 middle, vec4 fine) {
    float uneven = clamp(.75 + 1.4 * broad.b + .8 * middle.b, .15, 1.2);
    float wave = c.y * 2.9 + 1.1 * broad.g + .5 * middle.a + .12 * c.x * sin(c.x * .55) + .10 * cos(c.x * 1.1);
    float forehead = furrow(wave, 2.6) * bell(vec2(c.x / 4.6, (c.y - 8.4) / 1.75)) * uneven;
    forehead += .35 * furrow(wave * 2.1 + 2. * broad.r, 4.) * bell(vec2(c.x / 4.2, (c.y - 8.2) / 1.6)) * clamp(.5 + 2. * middle.r, 0., 1.);
    vec2 corner = vec2(side - 4.35, c.y - 3.35); float reach = length(corner), turn = atan(corner.y, corner.x);
    float ray = turn * 4.6 + .9 * middle.r + .6 * broad.g + .25 * reach;
    float crow = furrow(ray, 3.2) * smoothstep(.25, .75, reach) * smoothstep(2.5, 1.0, reach) * smoothstep(1.25, .75, abs(turn + .05)) * step(3.0, c.z) * uneven;
    float sunk = c.y - 2.75 + .13 * (side - 3.) * (side - 3.) * step(side, 3.) + .05 * (side - 3.) * (side - 3.);
    float under = furrow(sunk * 4.6 + .8 * middle.g + .5 * fine.g, 3.4) * bell(vec2((side - 3.25) / 1.45, (c.y - 2.0) / .62)) * uneven;
    float hollow = exp(-pow((c.y - 1.55 + .22 * (side - 2.4) * step(2.4, side) - .55 * (2.4 - side) * step(side, 2.4)) / .16, 2.)) * bell(vec2((side - 2.7) / 1.25, 0.));
    float t = clamp((c.y + 3.9) / 4.4, 0., 1.), path = mix(3.25, 1.72, t * t * (1.6 - .6 * t)) + .05 * broad.r, fold = side - path;
    float smile = (exp(-fold * fold / .012) * .8 + exp(-fold * fold / .10) * .45) * smoothstep(-4.3, -2.9, c.y) * smoothstep(.95, .1, c.y) * step(6.0, c.z);
    float droop = side - 2.85 - .18 * (-4.4 - c.y), marionette = exp(-droop * droop / .015) * smoothstep(-6.3, -5.2, c.y) * smoothstep(-3.9, -4.5, c.y) * .55;
    float crinkle = furrow((side - .5 * c.y) * 3.2 + broad.g + middle.g, 3.5) * bell(vec2((side - 5.6) / 1.0, (c.y + 1.6) / 1.8)) * .45 * uneven;
    return clamp(forehead + .9 * crow + .55 * under + .40 * hollow + smile + marionette + crinkle, 0., 1.4);
}

// Depth of the lines between the brows, across the nose, above the lip and on the chin, 0..1.
float short_lines(float side, vec4 broad, vec4 middle, vec4 fine) {
    float frown = exp(-pow((side - .72 - .10 * (c.y - 5.6) + .12 * middle.r) / .12, 2.)) * bell(vec2(0., (c.y - 5.7) / 1.0));
    frown += .5 * exp(-pow((side - .28 + .2 * middle.g) / .09, 2.)) * bell(vec2(0., (c.y - 5.9) / .8));
    float across = furrow(c.y * 4.6 + .4 * middle.g + .3 * side, 3.) * bell(vec2(c.x / 1.1, (c.y - 4.15) / .55)) * .8;
    float bunny = furrow((c.y - .75 * side) * 4.0 + .6 * middle.b, 3.) * bell(vec2((side - .95) / .55, (c.y - 2.7) / .85));
    float lip = furrow(c.x * 7.5 + 1.2 * middle.r + .15 * c.x * c.y, 3.) * bell(vec2(c.x / 1.9, (c.y + 1.75) / .42)) * step(7.0, c.z);
    lip += .6 * furrow(c.x * 6.5 + 1.2 * middle.g, 3.) * bell(vec2(c.x / 1.6, (c.y + 4.55) / .32)) * step(7.0, c.z);
    float chin = .5 * exp(-pow((c.y + 5.15 + .10 * c.x * c.x) / .17, 2.)) * bell(vec2(c.x / 1.6, 0.));
    chin += smoothstep(.30, .05, nearest_cell(c * 2.4)) * bell(vec2(c.x / 1.7, (c.y + 6.5) / .85)) * .7;
    return clamp(frown + across + bunny + lip + chin, 0., 1.2);
}

// Where age makes skin hang: pouches under the eyes, the cheek above its fold, jowls, folds of the neck.
float slackness(float side) {
    float pouch = bell(vec2((side - 2.9) / 1.25, (c.y - 2.15) / .42)) * .5;
    float cheek = bell(vec2((side - 3.7) / .9, (c.y + 1.2) / 1.6)) * .5;
    float jowl = bell(vec2((side - 4.1) / .9, (c.y + 6.0) / 1.0)) * .6;
    float lid = bell(vec2((side - 3.7) / 1.2, (c.y - 4.55) / .32)) * .35;
    return pouch + cheek + jowl + lid;
}

void main() {
    bool face = vUV.x < 1.0;
    vec4 broad = noise(.45), middle = noise(1.9), fine = noise(6.0), grain = noise(15.0);
    float side = abs(c.x), lips = face ? texture(uLips, vUV).r : 0.0;
    vec3 albedo = complexion(side, broad, middle, fine, grain);
    float spots = smoothstep(.13, .26, noise(9.0).b + .20 * middle.r + .12 * grain.r) * clamp(bell(vec2((side - 3.2) / 3.4, (c.y - 1.0) / 2.2)) * 1.3 + .1, 0., 1.);
    albedo = painted(albedo, vec3(.70, .55, .44), clamp(spots * uFreckles, 0., 1.) * .8);
    for (int i = 0; i < 6; i++)
        albedo = painted(albedo, vec3(.42, .30, .24), smoothstep(1.1, .7, length(c - uMoles[i].xyz) / uMoles[i].w + .4 * fine.g));

    float gloss = .40 * (1.0 + .45 * exp(-c.x * c.x / 4.5) * step(-1.5, c.y) * step(5., c.z)) * (1.0 + .5 * fine.g);
    float pore = smoothstep(.42, .12, nearest_cell(c * 8.5)) * smoothstep(11.0, 7.5, c.y) * step(4.0, c.z);
    float height = uPores * (.55 * fine.g + .35 * grain.r - .60 * pore) + .5 * middle.r;
    albedo = painted(albedo, vec3(.88, .78, .75), clamp(.30 * uPores * pore, 0., 1.));
    float neck = furrow(c.y * 1.5 + .6 * broad.g, 5.) * smoothstep(-7.5, -9.0, c.y + .2857 * c.z) * .5;
    vec4 raised = vec4(0, long_lines(side, broad, middle, fine) + neck, short_lines(side, broad, middle, fine), slackness(side)) * step(0., c.z + 2.);
    float old = smoothstep(.20, .34, noise(2.6).g + .25 * middle.b + .08 * grain.r) * step(-8., c.y);
    albedo = painted(albedo, vec3(.72, .58, .46), clamp(old * uAgeSpots, 0., 1.) * .6);
    float made = bell(vec2((side - 4.7) / 2.1, (c.y - .6 - .35 * (side - 4.9)) / 1.25)) * step(3., c.z);
    albedo = mix(albedo, albedo * uBlushColor * 1.6, clamp(uBlush * made, 0., 1.) * .5);
    float lid = bell(vec2((side - 3.15) / 1.35, (c.y - 4.15 - .12 * (side - 3.)) / .52)) * step(5., c.z);
    albedo = mix(albedo, uShadowColor, clamp(1.6 * uShadow * lid, 0., 1.) * .8);
    float bent = side - 3.2, over = c.y - 4.36 + (bent < 0. ? .30 : .24) * bent * bent, ends = bell(vec2(bent / 1.35, 0.)) * step(5., c.z);
    float crease = exp(-over * over / .009), hollow = exp(-over * over / .06) * smoothstep(-.3, .1, over);   // of the upper lid
    albedo = painted(albedo, vec3(.50, .40, .37), clamp(uLidFold * ends * (crease + .4 * hollow), 0., 1.));
    height -= 3.0 * uLidFold * ends * crease;
    float rim = face ? texture(uLips, vUV).g : 0.0;
    albedo = mix(albedo, vec3(.006, .005, .005), clamp(uLiner * rim * 1.4, 0., .93));

    float lip = smoothstep(.20, .80, lips + .10 * middle.g), inner = smoothstep(.6, 1., lips);
    float lines = texture(uNoise, vec3(c.x * 5.5, c.y * .5, c.z * .5 + 3.0) / 32.0 * 3.0).g - .5;
    vec3 lip_color = uLipColor * (1.0 + .26 * lines * inner + .2 * middle.r) * mix(.86, 1.06, inner);
    albedo = mix(albedo, lip_color, lip * uLipStrength);
    gloss = mix(gloss, .80 + .6 * lines * inner, lip); height = mix(height, .9 * lines * inner + .3 * middle.r, lip);

    float brow = face ? texture(uBrows, vUV).r * step(c.y, 9.5) * step(3.6, c.y) : 0.;
    albedo = mix(albedo, mix(uStubbleColor, albedo * .5, .30), clamp(brow * (.82 + .5 * grain.g), 0., .9)); gloss *= 1. - .6 * brow;
    float under = (face ? texture(uBrows, vUV).g : 0.) * (1. - .8 * lip);   // of a beard's hairs
    albedo = mix(albedo, mix(uBeardColor, albedo * .5, .25), clamp(under * (.80 + .6 * grain.g), 0., .85)); gloss *= 1. - .7 * under;
    float beard = vHairy.x * (1. - lip), dots = smoothstep(-.02, .22, grain.r);
    albedo = mix(albedo, albedo * mix(vec3(.74, .78, .84), vec3(.78), uDarkness), clamp(beard * uStubble * .7, 0., 1.));
    albedo = mix(albedo, uStubbleColor * .8 + .012, beard * uStubble * dots * .45); gloss *= 1.0 - .35 * beard * uStubble;
    float scalp = clamp(vHairy.y * 1.15 + .8 * grain.b * vHairy.y * (1.0 - vHairy.y) * 2.0, 0., 1.) * uScalpTint;
    albedo = mix(albedo, mix(uHair * .6, albedo * .45, .12), scalp); gloss *= 1.0 - .85 * scalp;

    height *= smoothstep(-9.5, -5.5, c.y + .2857 * c.z) * .75 + .25; raised.yz *= 1. - lip;
    oAlbedo = vec4(clamp(albedo, .004, .95), clamp(gloss, 0., 1.)); oHeight = vec4(height, raised.yzw);
}"""

# ---- eyes, mouth ----------------------------------------------------------------------------------------------------
EYE_FRAGMENT = f"""{SURFACE_IN}{LIGHT}{OUTPUTS}
uniform vec4 uHead; uniform vec3 uCenter; uniform vec3 uAxis; uniform vec3 uAcross; uniform vec2 uLids;
uniform float uApex; uniform float uIrisRadius; uniform float uPupil; uniform vec3 uIris; uniform float uVeins; uniform float uSeed;
uniform vec3 uCatchDir[2]; uniform vec3 uCatchColor[2]; uniform vec2 uCatchSize[2];
vec3 back(vec3 v) {{ vec4 q = vec4(-uHead.xyz, uHead.w); vec3 t = 2.0 * cross(q.xyz, v); return v + q.w * t + cross(q.xyz, t); }}
float hash(float x) {{ return fract(sin(x * 12.9898 + uSeed) * 43758.5453); }}
float wave(float x) {{ float i = floor(x), f = fract(x); f = f * f * (3. - 2. * f); return mix(hash(i), hash(i + 1.), f); }}
// What a light panel in direction l looks like in the mirror direction r: a soft-edged rectangle.
float panel(vec3 r, vec3 l, vec2 half_size) {{
    vec3 x = normalize(cross(vec3(0, 1, 0), l)), y = cross(l, x);
    vec2 d = abs(vec2(dot(r, x), dot(r, y)) / max(dot(r, l), .05)) - half_size;
    return step(0.0, dot(r, l)) * (1. - smoothstep(-.05, .05, d.x)) * (1. - smoothstep(-.05, .05, d.y));
}}
vec3 iris_color(vec2 q) {{
    float r = length(q) / uIrisRadius, angle = atan(q.y, q.x);
    float fibres = .5 * wave(angle * 19. + r * 3.) + .5 * wave(angle * 43. - r * 7.);
    vec3 color = uIris * (.20 + .56 * fibres) * mix(1.15, .8, smoothstep(.35, .95, r));
    color = mix(color, uIris * vec3(1.45, 1.05, .62), smoothstep(.66, .40, r) * .5);
    color *= mix(1., .28, smoothstep(.78, 1., r));
    return mix(vec3(.004), color, smoothstep(uPupil - .05, uPupil + .05, r));
}}
void main() {{
    vec3 v = back(normalize(uEye - vP)), p = vRest - uCenter, up = cross(uAxis, uAcross);
    float z = dot(p, uAxis); vec2 q = vec2(dot(p, uAcross), dot(p, up)); float r = length(q);
    vec3 ball = normalize(p), cornea = normalize(uAxis * .80 + (q.x * uAcross + q.y * up) * 1.0);
    float clear = (z > 0. ? 1. : 0.) * (1. - smoothstep(uIrisRadius * .85, uIrisRadius * 1.25, r));
    vec3 n = normalize(mix(ball, cornea, clear));
    vec2 seen = q;                              // where the bent ray meets the iris behind the cornea
    vec3 bent = refract(-v, cornea, 1. / 1.34); float depth = dot(bent, uAxis);
    float plane = sqrt(max(uApex * uApex - uIrisRadius * uIrisRadius, 0.)) - .18;
    if (clear > 0. && depth < -.1) seen = mix(q, q + vec2(dot(bent, uAcross), dot(bent, up)) * clamp((plane - z) / depth, 0., .6), clear);
    float angle = atan(q.y, q.x), veins = wave(angle * 9. + r * 3.) * wave(angle * 23. - r * 7.);
    vec3 white = mix(vec3(.34, .305, .285), vec3(.44, .24, .20), uVeins * smoothstep(uIrisRadius, 1.45, r) * (.1 + .6 * veins));
    white = mix(white, vec3(.44, .21, .185), smoothstep(.95, 1.35, abs(q.x)) * .6);
    float limbus = z > 0. ? smoothstep(uIrisRadius * .90, uIrisRadius * 1.08, length(seen)) : 1.;
    vec3 albedo = mix(iris_color(seen), white, limbus);
    float lid = smoothstep(uLids.x + .12, uLids.x - .46, p.y) * smoothstep(uLids.y - .10, uLids.y + .16, p.y);
    float shade = mix(.16, 1., lid) * mix(.34, 1., smoothstep(1.55, .85, abs(p.x)));
    vec3 color = vec3(0), glow = vec3(0);
    for (int i = 0; i < {LIGHTS}; i++) {{
        vec3 l = back(uLightDir[i]); float open = lit(i, vP, .10, .3);
        vec3 wrap = vec3(.30, .24, .22), diffuse = max((dot(ball, l) + wrap) / (1. + wrap), 0.);
        diffuse *= 1. + (1. - limbus) * .5 * smoothstep(0., 1., -dot(seen / uIrisRadius, vec2(dot(l, uAcross), dot(l, up))));  // caustic
        color += albedo * uLightColor[i] * diffuse * mix(open, 1., .15) * shade;
        glow += uLightColor[i] * specular(n, v, l, .10, .03) * open * .5;
    }}
    float tears = smoothstep(uLids.y + .16, uLids.y + .05, p.y) * smoothstep(1.5, 1.1, abs(p.x));
    for (int i = 0; i < 3; i++) glow += uLightColor[i] * tears * pow(max(dot(normalize(ball + vec3(0, .75, .2)), normalize(v + back(uLightDir[i]))), 0.), 40.) * .55;
    vec3 mirror = reflect(-v, n); float fresnel = .035 + .5 * pow5(1. - max(dot(n, v), 0.));
    for (int i = 0; i < 2; i++) glow += uCatchColor[i] * panel(mirror, back(uCatchDir[i]), uCatchSize[i]) * fresnel * smoothstep(.0, .6, lid);
    finished(color + glow);
}}"""

MOUTH_FRAGMENT = f"""{SURFACE_IN}{LIGHT}{OUTPUTS}
uniform vec3 uColor; uniform float uWet; uniform float uDepth;  // uDepth: how fast it darkens towards the throat; uGape: light that the lips let in
uniform float uGape; uniform int uKind; uniform float uStain; uniform sampler3D uNoise;  // uKind: 0 socket of the eye, 1 cavity, 2 gums and tongue, 3 teeth
vec4 noise(float per_cm) {{ return texture(uNoise, vC * per_cm / 32.0) - 0.5; }}
void main() {{
    vec3 n = normalize(vN), v = normalize(uEye - vP), color = vec3(0), albedo = uColor, bump = vec3(0);
    vec4 middle = noise(2.5), fine = noise(9.0);
    float open = pow(smoothstep(4.5, 10.7, vC.z), uDepth) * .8 * uGape, wet = uWet, alpha = .12, through = .3;
    if (uKind == 1) {{                        // cheeks and throat: moist folds, dark behind
        albedo *= 1. + .5 * middle.r + .25 * fine.g; bump = .30 * middle.rgb; open *= mix(.25, 1., smoothstep(6., 10.5, vC.z));
    }} else if (uKind == 2) {{
        float tongue = step(vC.y, -2.3) * (1. - smoothstep(.75, 1., pow(vC.x / 1.95, 2.) + pow(max(vC.z - 7., 0.) / 2.85, 2.)));
        float groove = exp(-vC.x * vC.x / .03) * smoothstep(.2, .7, n.y + .2);
        vec3 papillae = vec3(.44, .17, .16) * (1. + .30 * fine.r + .35 * middle.g) * mix(1., 1.18, smoothstep(.0, .8, n.y));
        albedo = mix(uColor * (1. + .25 * middle.r), papillae * (1. - .22 * groove), tongue);
        float rugae = sin(vC.z * 8. + 3. * abs(vC.x) + 2. * middle.r) * smoothstep(-2.2, -1.6, vC.y) * smoothstep(7., 8.5, vC.z) * step(n.y, .2);
        bump = mix(.22 * middle.rgb + vec3(0, 0, .35 * rugae), .55 * fine.rgb + .25 * middle.rgb, tongue);
        wet *= mix(1., .75, tongue); alpha = mix(.14, .22, tongue);
    }} else if (uKind == 3) {{                // enamel: ivory at the root, greyer and clearer at the edge, dark between teeth
        bool upper = vC.y > -3.42 + .05 * (10.8 - vC.z);
        float edge = upper ? smoothstep(-1.7, -3.35, vC.y) : smoothstep(-4.7, -3.5, vC.y);
        vec3 out_ = normalize(vec3(vC.x, 0, (vC.z - 5.5) * .8));
        float gap = smoothstep(.05, .75, dot(normalize(vec3(n.x, 0, n.z)), out_));
        albedo *= mix(vec3(.86, .76, .60), vec3(1.), edge) * mix(vec3(1), vec3(.93, .87, .74), uStain);
        albedo = mix(albedo, albedo * vec3(.86, .90, .96), smoothstep(.75, 1., edge) * .7);
        albedo *= (1. + .10 * middle.r) * mix(vec3(.42, .33, .28), vec3(1), gap) * mix(.55, 1., smoothstep(-.15, .30, edge));
        open *= mix(.55, 1., smoothstep(7.0, 10.2, vC.z)); bump = .05 * middle.rgb; alpha = .09; through = .45;
    }}
    n = normalize(n + bump);
    for (int i = 0; i < {LIGHTS}; i++) {{
        float s = mix(lit(i, vP + n * .1, .05, .4), 1., .12), gleam = specular(n, v, uLightDir[i], alpha, .035);
        color += uLightColor[i] * s * (albedo * max((dot(n, uLightDir[i]) + through) / (1. + through), 0.) + wet * min(gleam, 5.));
    }}
    finished(color * open);
}}"""

# ---- hair ------------------------------------------------------------------------------------------------------------
RIBBON = f"""#version 330
{POSE}
in vec3 aPosition; in vec3 aTangent; in vec3 aNormal; in vec4 aRibbon; in float aLayer;  // aRibbon: along 0..1, side -1/1, tint, width
uniform vec3 uToward; uniform float uWiden; uniform float uTaper; uniform int uFollows;
float along() {{ return aRibbon.x; }}
float follow() {{ float t = clamp((aPosition.y + 0.2857 * aPosition.z + 14.5) / 8.5, 0., 1.); return uFollows == 1 ? 1.0 : t * t * (3. - 2. * t); }}
// A strand is a flat ribbon that always faces the camera (or the light).
vec3 ribbon(out vec3 t, out vec3 n) {{
    float w = follow(); vec4 q = bend(w); vec3 p = posed(aPosition, w);
    t = turned(q, aTangent); n = turned(q, aNormal);
    vec3 s = cross(t, normalize(uToward - p)); s /= max(length(s), .2);
    return p + s * aRibbon.y * aRibbon.w * uWiden * .5 * (1. - uTaper * smoothstep(.4, 1., along()));
}}
"""

HAIR_VERTEX = f"""{RIBBON}{LIGHT}
uniform vec3 uColor; uniform vec3 uStreak; uniform float uShine; uniform float uRootShade;
out vec3 vColor;
void main() {{
    vec3 t, n, p = ribbon(t, n); gl_Position = uCamera * vec4(p, 1);
    t = normalize(t); vec3 v = normalize(uEye - p);
    float own = fract(aRibbon.z);                                // whole numbers name the colour
    vec3 tint = (aRibbon.z < 1. ? uColor : uStreak) * mix(.55, 1.5, own), color = vec3(0);
    float depth = mix(uRootShade, 1., clamp(aLayer * .7 + .3 * along(), 0., 1.));
    for (int i = 0; i < {LIGHTS}; i++) {{                       // after Kajiya and Kay 1989, with two shifted highlights
        vec3 l = uLightDir[i], h = normalize(l + v);
        float facing = clamp(dot(n, l) * .6 + .4, 0., 1.), lobe = smoothstep(-.2, .5, dot(n, l));
        float across = sqrt(max(1. - dot(t, l) * dot(t, l), 0.));
        float a = dot(normalize(t - n * .10), h), b = dot(normalize(t + n * .16 + n * (own - .5) * .3), h);
        float white = pow(max(1. - a * a, 0.), 70.) * lobe, tinted = pow(max(1. - b * b, 0.), 14.) * lobe;
        float through = pow(max(-dot(v, l), 0.), 4.) * .6;
        vec3 sum = tint * (across * facing * .85 + through) + (vec3(.05) + tint * .45) * white * uShine + tint * 1.6 * tinted * uShine;
        color += uLightColor[i] * lit(i, p, .10, 2.4) * depth * sum;
    }}
    vColor = color;
}}"""
HAIR_FRAGMENT = f"""#version 330
in vec3 vColor;{OUTPUTS}void main() {{ finished(vColor); }}"""

# ---- shadow maps and ground truth ------------------------------------------------------------------------------------
DEPTH_FRAGMENT = "#version 330\nvoid main() {}"
RIBBON_VERTEX = f"""{RIBBON}
out vec3 vRest; out vec3 vP; out vec3 vN;
void main() {{ vec3 t, n; vP = ribbon(t, n); vN = n; vRest = aPosition; gl_Position = uCamera * vec4(vP, 1); }}"""
# Two pictures: oPart (canonical place, part number) and oShape (normal on the camera's side, depth along its axis).
TRUTH_OUTPUTS = """
uniform float uPart; uniform vec3 uEye; layout(location=0) out vec4 oPart; layout(location=1) out vec4 oShape;
void show(vec3 place, vec3 n, vec3 p) {
    n = normalize(n); oPart = vec4(place, uPart); oShape = vec4(dot(n, uEye - p) < 0. ? -n : n, uEye.z - p.z);
}
"""
PART_FRAGMENT = f"""{SURFACE_IN}{TRUTH_OUTPUTS}void main() {{ show(vC, vN, vP); }}"""
HAIR_PART_FRAGMENT = f"""#version 330
in vec3 vRest; in vec3 vP; in vec3 vN;{TRUTH_OUTPUTS}void main() {{ show(vRest, vN, vP); }}"""
