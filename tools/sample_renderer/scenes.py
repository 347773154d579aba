"""The clips of the sample data set: who moves how before what. Every number here is a choice.

What each is for: ``meadow`` is the one like a natural video (hand-held, motion blur, gaits,
animals in the colours of the ground, one passing behind the other and both behind a tree);
``pond`` has five swimmers that bend and cross, two of them alike; ``table`` turns and grows toys
under fading light beside a look-alike that is not an object; ``street`` scales and overtakes;
``park`` lets an object leave the frame and return; ``drift`` deforms strongly.
"""

from __future__ import annotations

from collections.abc import Callable

from sample_renderer.noise import Random, noise
from sample_renderer.palettes import (
    ASPHALT,
    BARK,
    BRICK,
    CHALK,
    DENIM,
    FAWN,
    FOLIAGE,
    GRASS,
    MORTAR,
    PEBBLE,
    PLUM,
    ROSE,
    RUST,
    SAND,
    SKY,
    SOOT,
    TEAL,
    UMBER,
)
from sample_renderer.render import Key, Layer, Scene
from sample_renderer.shapes import Animal, Blob, Car, Fish, Jointed, Person, Slab
from sample_renderer.textures import (
    bands,
    bricks,
    checks,
    coat,
    colourise,
    leaves,
    spots,
    stripes,
)


def meadow() -> Scene:
    random = Random(11)
    far = leaves(random, 320, 640, (FOLIAGE, GRASS), count=1500, radii=(4, 26), slim=0.3)
    near = leaves(random, 320, 640, (GRASS, GRASS, FAWN), count=2600, radii=(2.5, 11), slim=0.15)
    spotted = Jointed(Animal(rate=0.42), (60, 52))
    plain = Jointed(Animal(rate=0.5, phase=1.2, legs=14, neck=(10, -10)), (60, 46))
    walk_left = (Key(0, 406, 164, 0, 0.8, -1), Key(20, 330, 166, 0, 0.84, -1))
    walk_right = (Key(0, 150, 178, 0, 1.05), Key(20, 262, 182, 2, 1.1))
    return Scene(
        "meadow",
        width=416,
        height=240,
        frames=40,
        seed=101,
        backdrop=bands(far, near, 0.42, noise(random, 320, 640, (3, 8), 5)),
        layers=(
            Layer(2, plain, coat(random, FAWN), (*walk_left, Key(39, 236, 170, 0, 0.9, -1)), 0.25),
            Layer(
                1,
                spotted,
                spots(random, FAWN, UMBER, 70, 6.0),
                (*walk_right, Key(39, 372, 184, 0, 1.2)),
                0.3,
            ),
            Layer(0, Slab(14, 190, 5), coat(random, BARK, (3, 12)), (Key(0, 352, 60),)),
        ),
        camera=(Key(0, 226, 150, 0, 1.0), Key(20, 268, 152, 0, 1.03), Key(39, 318, 154, 0, 1.06)),
        shake=1.4,
        shutter=3,
        light=((0, 1.0, 1.0, 1.0), (18, 1.06, 1.03, 0.98), (39, 0.84, 0.86, 0.92)),
    )


def pond() -> Scene:
    random = Random(12)
    bed = leaves(random, 320, 576, (PEBBLE, SAND, PEBBLE), count=1900, radii=(5, 24), slim=0.6)
    koi = spots(random, CHALK, RUST, 26, 13.0)
    twin = spots(random, CHALK, RUST, 34, 11.0)
    return Scene(
        "pond",
        width=432,
        height=240,
        frames=32,
        seed=102,
        backdrop=bed * 0.8,
        layers=(
            Layer(
                5,
                Fish(40, 12, 0.6, 2.0),
                spots(random, PEBBLE[1:], SOOT, 60, 4.5) * 1.15,
                (Key(0, 90, 236, -20), Key(16, 190, 196, -24), Key(31, 296, 160, -12)),
                0.25,
            ),
            Layer(
                4,
                Fish(38, 12, 0.75, 0.5),
                stripes(random, (TEAL[0], TEAL[2], SAND[1]), 3, 0.3),
                (Key(0, 400, 100, 200), Key(16, 300, 130, 196), Key(31, 200, 160, 205)),
                0.25,
            ),
            Layer(
                3,
                Fish(34, 13, 0.8, 4.0),
                coat(random, RUST, (4, 4)),
                (Key(0, 180, 96, 80), Key(14, 196, 160, 70), Key(31, 250, 226, 40)),
                0.25,
            ),
            Layer(
                2,
                Fish(48, 16, 0.65, 1.0),
                twin,
                (Key(0, 380, 210, 188), Key(15, 290, 196, 172), Key(31, 170, 210, 160)),
                0.3,
            ),
            Layer(
                1,
                Fish(50, 16, 0.7),
                koi,
                (Key(0, 120, 150, 6), Key(15, 226, 168, 16), Key(31, 344, 214, 24)),
                0.3,
            ),
        ),
        camera=(Key(0, 238, 158), Key(31, 252, 166, 0, 1.04)),
        shake=0.8,
        light=((0, 0.95, 0.98, 1.0), (9, 1.05, 1.04, 1.02), (20, 0.92, 0.95, 0.98), (31, 1, 1, 1)),
    )


def table() -> Scene:
    random = Random(13)
    striped = stripes(random, (RUST[1], CHALK[2], DENIM[0]), 3, 0.25)
    ball, star = Blob(27, ()), Blob(29, ((5, 0.22, 0.4, 0.0), (10, 0.04, 0.8, 0.0)))
    gear = Blob(25, ((9, 0.11, 0.0, 0.0), (18, -0.03, 0.0, 0.0)))
    return Scene(
        "table",
        width=320,
        height=180,
        frames=30,
        seed=103,
        backdrop=checks(random, (CHALK[0], BRICK[1], DENIM[1]), 8),
        layers=(
            Layer(0, Blob(24, ()), striped, (Key(0, 262, 62, 30),), 0.4),
            Layer(
                3,
                gear,
                coat(random, PEBBLE, (7, 7)),
                (Key(0, 236, 130, 0, 0.9), Key(15, 190, 116, -70, 1.0), Key(29, 118, 96, -150)),
                0.4,
            ),
            Layer(
                2,
                star,
                spots(random, RUST, CHALK, 40, 5.0),
                (Key(0, 96, 60, 0, 1.2), Key(15, 130, 88, 80, 1.0), Key(29, 196, 128, 170, 0.75)),
                0.4,
            ),
            Layer(
                1,
                ball,
                striped,
                (Key(0, 84, 134, 0, 0.8), Key(12, 150, 140, 90, 1.0), Key(29, 226, 84, 210, 1.3)),
                0.4,
            ),
        ),
        camera=(Key(0, 160, 92, -4, 1.0), Key(29, 164, 96, 7, 1.18)),
        shake=0.4,
        light=((0, 1.08, 1.05, 1.0), (14, 0.98, 0.9, 0.8), (29, 0.72, 0.62, 0.52)),
    )


def street() -> Scene:
    random = Random(14)
    wall = bricks(random, 288, 640, BRICK, MORTAR)
    road = leaves(random, 288, 640, (ASPHALT, ASPHALT), count=900, radii=(1.5, 4), slim=0.6)
    paint, twin = coat(random, RUST, (3, 3)), coat(random, RUST, (3, 4))
    return Scene(
        "street",
        width=400,
        height=224,
        frames=30,
        seed=104,
        backdrop=bands(wall, road, 0.5, noise(random, 288, 640, (2, 4), 2) * 0.05 + 0.5),
        layers=(
            Layer(
                3,
                Car(roll=0.3),
                twin,
                (
                    Key(0, 430, 150, 0, 0.8, -1),
                    Key(15, 330, 152, 0, 0.82, -1),
                    Key(29, 220, 154, 0, 0.85, -1),
                ),
                0.4,
            ),
            Layer(
                2,
                Jointed(Person(rate=0.45), (38, 60)),
                stripes(random, (DENIM[0], PEBBLE[1], BRICK[1]), 5, 0.3),
                (Key(0, 262, 138, 0, 0.86), Key(29, 324, 144, 0, 0.92)),
                0.3,
            ),
            Layer(
                1,
                Car(roll=0.35),
                paint,
                (Key(0, 150, 176, 0, 0.9), Key(15, 248, 182, -1, 1.1), Key(29, 372, 192, 0, 1.4)),
                0.4,
            ),
            Layer(0, Slab(5, 180), coat(random, SOOT), (Key(0, 300, 60),)),
        ),
        camera=(Key(0, 232, 140), Key(15, 254, 142, 0, 1.03), Key(29, 284, 146, 0, 1.0)),
        shake=0.7,
    )


def park() -> Scene:
    random = Random(15)
    air = colourise(noise(random, 256, 512, (2, 3), 5), SKY)
    hedge = leaves(random, 256, 512, (FOLIAGE, GRASS, SOOT), count=1300, radii=(3, 18), slim=0.4)
    path = leaves(random, 256, 512, (SAND, PEBBLE, FAWN), count=1500, radii=(1.5, 6), slim=0.6)
    green = bands(hedge, path, 0.62, noise(random, 256, 512, (2, 8), 4))
    dog = Jointed(Animal(rate=0.35, legs=11, neck=(11, -12), stride=0.3), (60, 44))
    balloon = Blob(24, ((2, 0.10, 0.3, 0.8), (3, 0.05, 1.0, 1.0)), rate=0.4)
    return Scene(
        "park",
        width=355,
        height=201,
        frames=36,
        seed=105,
        backdrop=bands(air, green, 0.2, noise(random, 256, 512, (2, 7), 5)),
        layers=(
            Layer(
                3,
                dog,
                spots(random, SAND, BARK, 30, 9.0),
                (
                    Key(0, 170, 186, 0, 0.8, -1),
                    Key(18, 140, 184, 0, 0.8, -1),
                    Key(35, 118, 188, 0, 0.85, -1),
                ),
                0.3,
            ),
            Layer(
                1,
                Jointed(Person(rate=0.5), (38, 60)),
                stripes(random, (PLUM[1], SAND[2], FOLIAGE[1]), 4, 0.3),
                (
                    Key(0, 262, 150, 0, 0.95),
                    Key(10, 380, 152, 0, 0.98),
                    Key(15, 440, 152, 0, 1.0),
                    Key(18, 440, 152, 0, 1.0, -1),
                    Key(23, 380, 154, 0, 1.0, -1),
                    Key(35, 214, 158, 0, 1.08, -1),
                ),
                0.3,
            ),
            Layer(
                2,
                balloon,
                stripes(random, (FOLIAGE[2], CHALK[1]), 3, 0.4),
                (Key(0, 110, 74, -10), Key(16, 176, 96, 15, 1.1), Key(35, 260, 120, 50, 0.9)),
            ),
        ),
        camera=(Key(0, 200, 130), Key(35, 206, 132)),
        shake=0.6,
        light=((0, 1, 1, 1), (20, 0.9, 0.92, 0.96), (35, 1.05, 1.04, 1.02)),
    )


def drift() -> Scene:
    random = Random(16)
    murk = leaves(random, 288, 512, (PLUM, DENIM, PLUM), count=700, radii=(5, 40), slim=0.5)
    veined = stripes(random, (PLUM[1], ROSE[1], PLUM[2]), 3, 1.2)
    return Scene(
        "drift",
        width=384,
        height=216,
        frames=28,
        seed=106,
        backdrop=murk * 0.85,
        layers=(
            Layer(
                4,
                Blob(30, ((2, 0.20, 2.0, 0.9), (5, 0.06, 0.2, 1.5)), 0.35),
                coat(random, PLUM, (6, 6)),
                (Key(0, 330, 80, 0), Key(14, 270, 110, 60), Key(27, 220, 90, 90)),
            ),
            Layer(
                3,
                Blob(34, ((3, 0.16, 0.5, 1.4), (4, 0.08, 1.5, 1.2)), 0.4),
                spots(random, ROSE, PLUM, 36, 7.0),
                (Key(0, 120, 180, 0), Key(14, 176, 170, -50), Key(27, 240, 190, -120, 1.15)),
            ),
            Layer(
                2,
                Blob(32, ((2, 0.22, 1.0, 1.2), (3, 0.10, 0.0, 1.0)), 0.45),
                veined,
                (Key(0, 150, 90, 20), Key(14, 210, 120, -30, 1.1), Key(27, 290, 150, -90)),
            ),
            Layer(
                1,
                Blob(28, ((4, 0.12, 0.0, 1.3), (2, 0.12, 1.0, 0.9)), 0.5),
                veined,
                (Key(0, 290, 180, 0), Key(14, 236, 160, 80, 1.1), Key(27, 160, 130, 140, 1.25)),
            ),
        ),
        camera=(Key(0, 224, 134), Key(27, 230, 138, -6, 1.05)),
        shake=0.8,
        light=((0, 1, 1, 1), (27, 1.12, 1.08, 1.1)),
    )


SCENES: tuple[Callable[[], Scene], ...] = (meadow, pond, table, street, park, drift)
