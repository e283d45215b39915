"""What agents of BeeAI write to their models, as it was said: the framework would escape it.

Its templates are Mustache, in which a plain `{{name}}` is made fit for HTML: a model would read
`1 &lt; 2`. Templates of a user's own are left as they are.

Source:
    mustache(5), "Variables"; BeeAI framework 0.1.85 (Python), the modules `prompts` of its agents.
"""

import re
from typing import Final

from beeai_framework.agents.react.runners.default import prompts as react
from beeai_framework.agents.react.runners.granite import prompts as granite
from beeai_framework.agents.requirement import prompts as requirement
from beeai_framework.agents.tool_calling import prompts as tool_calling
from beeai_framework.template import PromptTemplate

ESCAPED: Final = re.compile(r"(?<!\{)\{\{(?=\s*[\w.])")
"""Where a variable begins that is escaped."""


def unescaped(template: str) -> str:
    """The same template with none of its variables escaped."""
    return ESCAPED.sub("{{&", template)


def say_all_as_it_is() -> None:
    """Let the framework's templates escape nothing; each agent that is made later has copies."""
    for module in (requirement, react, granite, tool_calling):
        for template in vars(module).values():
            if isinstance(template, PromptTemplate):
                template.update(template=unescaped(template._config.template))  # noqa: SLF001 - there is no other way to it
