"""Settings from the command line: parsed, checked, and explained when wrong."""

import pytest

from vos.errors import UsageError
from vos.propagation import PropagationConfig, preset


def test_settings_change_only_what_they_name():
    changed = preset("crw").with_settings(
        {"radius": "9", "neighbours": "5", "short_side": "240", "min_max": "true"}
    )
    assert (changed.radius, changed.neighbours, changed.short_side) == (9.0, 5, 240)
    assert changed.min_max
    assert changed.temperature == preset("crw").temperature


def test_values_may_be_typed_ones_or_yaml():
    changed = preset("crw").with_settings({"radius": 9, "min_max": True, "temperature": "1e-2"})
    assert (changed.radius, changed.min_max, changed.temperature) == (9.0, True, 0.01)
    assert preset("default").with_settings({"motion": "none"}).motion == "none"
    assert preset("vfs").with_settings({"short_side": None, "min_max": "yes"}).min_max


def test_native_size_can_be_asked_for():
    assert preset("vfs").with_settings({"short_side": "native"}).short_side is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"raduis": "9"}, "did you mean radius"),
        ({"radius": "wide"}, "radius must be a number, not 'wide'"),
        ({"radius": "-1"}, "radius must be a positive number"),
        ({"temperature": "nan"}, "temperature must be a positive number"),
        ({"neighbours": "2.5"}, "neighbours must be a whole number"),
        ({"neighbours": "0"}, "neighbours must be at least 1"),
        ({"window": "circel"}, "did you mean circle"),
        ({"min_max": "maybe"}, "min_max must be true or false, not 'maybe'"),
        ({"short_side": "[1"}, "short_side must be a whole number"),
        ({"motion": "none flow"}, "motion cannot be 'none flow'"),
        ({"enlarge": "0.5"}, "enlarge must be none or a number from 1 on"),
        ({"enlarge": "nan"}, "enlarge must be none or a number from 1 on"),
        ({"enlarge": "inf"}, "enlarge must be none or a number from 1 on"),
        ({"short_side": "4"}, "short_side must be at least 16"),
    ],
)
def test_wrong_settings_are_explained(settings, message):
    with pytest.raises(UsageError, match=message):
        PropagationConfig().with_settings(settings)
