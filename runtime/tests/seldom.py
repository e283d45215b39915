"""Looks for garbage less often, before anything large is imported."""

from runtime.garbage import look_seldom

look_seldom()
