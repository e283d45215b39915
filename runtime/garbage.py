"""How often a process looks for garbage that refers to itself; all other goes at once."""

import gc

# Objects made and not yet gone, and looks at the younger ones, before the next look. A run leaves
# some thousand behind, so Python's own 700 means several looks in each of them.
THRESHOLDS = 10_000, 20, 20


def spare_what_is_loaded() -> None:
    """Look through what is here once more and then never again, and at new things less often.

    A framework loads up to a million objects that stay for good. Looked through now and then, they
    cost every run a third of its time.

    Source:
        Python documentation, `gc.freeze` and `gc.set_threshold`.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
