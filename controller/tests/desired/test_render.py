import random
import sys

import yaml

from controller.desired.render import manifest, yaml_quoted


def test_every_character_comes_back_from_yaml() -> None:
    """What JSON writes as two halves, YAML would read as two characters."""
    seed = random.randrange(sys.maxsize)
    chance = random.Random(seed)
    points = [*range(0x300), 0x85, 0x2028, 0xFEFF, 0xFFFE, 0x1F600, 0x10FFFF]
    points += [chance.choice(range(0x300, 0xD800)) for _ in range(500)]
    points += [chance.choice(range(0xE000, 0x110000)) for _ in range(500)]
    text = "".join(map(chr, points))

    read = yaml.safe_load(f"a: {yaml_quoted({'b': [text]})}")

    assert read == {"a": {"b": [text]}}, f"seed {seed}"


def test_nothing_in_a_value_is_yaml() -> None:
    for value in ("no", "0x10", "1e3", "null", "~", "- a", "a: b", "# c", "{{ x }}", "${y}", "*z"):
        assert yaml.safe_load(yaml_quoted(value)) == value


def test_a_template_with_the_same_values_is_read_once() -> None:
    values = {"metadata": {"name": "a"}, "data": {"k": "v"}}

    assert manifest("config_map.yaml.j2", **values) is manifest("config_map.yaml.j2", **values)
