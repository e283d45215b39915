"""How often a process looks for garbage that refers to itself; all other goes at once.

Source:
    Python documentation, `gc.set_threshold` and `gc.freeze`.
"""

import gc

# Objects made and not yet gone, and looks at the younger ones, before the next look. A run leaves
# some thousand behind, so Python's own 700 means several looks in each of them; and while up to a
# million are loaded that all stay, a fifth of the time goes into looking at them again and again.
THRESHOLDS = 10_000, 20, 20


def look_seldom() -> None:
    """Look less often from now on; before anything large is loaded."""
    gc.set_threshold(*THRESHOLDS)


def spare_what_is_loaded() -> None:
    """Look through what is here once more and then never again.

    A framework loads up to a million objects that stay for good. Looked through now and then, they
    cost every run a third of its time.
    """
    gc.collect()
    gc.freeze()
