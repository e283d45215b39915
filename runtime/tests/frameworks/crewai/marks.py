"""How tests of CrewAI run."""

import pytest

from runtime.tests.agents import ON_A_MODEL

MARKS = [
    *ON_A_MODEL,
    # CrewAI reads the fields that it has deprecated.
    pytest.mark.filterwarnings("ignore:(.* is )?deprecated:DeprecationWarning"),
]
