"""A pytest plugin: nobody looks for garbage in what is collected, which all stays.

A process of pytest imports every framework and collects thousands of tests before its first one:
a million objects, which cost a fifth of the time that collecting takes, and each look afterwards
half a second.
"""

from runtime.garbage import look_seldom, spare_what_is_loaded

look_seldom()


def pytest_collection_finish() -> None:
    """Take out of every later look what is here by now."""
    spare_what_is_loaded()
