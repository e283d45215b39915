"""What BeeAI logs, beside all else that is logged.

Its loggers stand outside of the tree of `logging` and write to standard output by themselves.

Source:
    beeai-framework, `beeai_framework/logger/logger.py`, Logger.
"""

import logging
import sys

from beeai_framework.logger import Logger


def log_with_the_rest() -> None:
    """Put the loggers of all of BeeAI that is imported below the root of `logging`."""
    for name, module in list(sys.modules.items()):
        logger = getattr(module, "logger", None) if name.startswith("beeai_framework.") else None
        if isinstance(logger, Logger):
            logger.handlers.clear()
            logger.parent = logging.getLogger()
