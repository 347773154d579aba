"""Colours of the sample: each a ramp from shade to light, kept to what a camera would see."""

from __future__ import annotations

from sample_renderer.textures import Palette

GRASS: Palette = ((52, 66, 28), (98, 112, 46), (142, 146, 78), (172, 164, 104))
FOLIAGE: Palette = ((22, 38, 20), (48, 76, 34), (92, 116, 52))
BARK: Palette = ((52, 40, 30), (96, 76, 56), (134, 112, 86))
UMBER: Palette = ((46, 30, 18), (74, 50, 30))
FAWN: Palette = ((122, 90, 54), (176, 138, 88), (214, 186, 138))
CHALK: Palette = ((184, 176, 160), (218, 210, 196), (242, 238, 230))
SOOT: Palette = ((26, 26, 28), (64, 60, 58))
PEBBLE: Palette = ((84, 82, 78), (140, 134, 124), (188, 180, 164))
SAND: Palette = ((150, 124, 86), (190, 164, 120), (214, 192, 150))
RUST: Palette = ((128, 54, 28), (184, 92, 42), (220, 142, 74))
TEAL: Palette = ((22, 66, 74), (40, 112, 116), (104, 168, 160))
PLUM: Palette = ((58, 28, 62), (112, 60, 104), (170, 120, 156))
ROSE: Palette = ((140, 76, 104), (190, 124, 142), (226, 178, 184))
BRICK: Palette = ((112, 58, 44), (152, 84, 64), (184, 118, 94))
MORTAR: Palette = ((142, 134, 124), (166, 158, 148))
SKY: Palette = ((120, 156, 190), (164, 188, 208), (214, 222, 226))
ASPHALT: Palette = ((62, 64, 68), (88, 90, 94), (116, 116, 116))
DENIM: Palette = ((34, 46, 74), (58, 78, 112), (98, 120, 150))
