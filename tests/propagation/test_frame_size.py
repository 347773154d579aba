"""Sizes at which frames are shown to a backbone, worked out by hand."""

import pytest

from vos.propagation import frame_size, preset


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((480, 890), (480, 832)),  # 13.9 x 64
        ((890, 480), (832, 480)),
        ((480, 854), (480, 832)),  # 13.3 x 64
        ((720, 1280), (480, 832)),  # 853 wide at 480
        ((480, 500), (480, 448)),  # 7.8 x 64
    ],
)
def test_dino_floors_the_long_side_to_whole_multiples_of_64(size, expected) -> None:
    assert frame_size(*size, preset("dino"), stride=16) == expected
