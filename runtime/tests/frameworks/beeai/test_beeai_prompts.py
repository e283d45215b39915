"""The framework's templates, without escapes."""

import pytest

from runtime.adapters.beeai_prompts import unescaped


@pytest.mark.parametrize(
    ("template", "without"),
    [
        ("{{a}} {{ b }}", "{{&a}} {{& b }}"),
        ("{{#a}}{{.}}{{/a}}{{^a}}none{{/a}}", "{{#a}}{{&.}}{{/a}}{{^a}}none{{/a}}"),
        ("{{&a}} {{{b}}} {{! c }} {d}", "{{&a}} {{{b}}} {{! c }} {d}"),
    ],
)
def test_nothing_but_the_escapes_is_taken_out_of_a_template(template: str, without: str) -> None:
    assert unescaped(template) == without
