"""Spares whatever has been imported before."""

from runtime.garbage import spare_what_is_loaded

spare_what_is_loaded()
