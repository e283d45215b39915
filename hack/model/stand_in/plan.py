"""What a prompt asks for: the tool calls that answer it, in the order they can be made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stand_in.arithmetic import (
    Back,
    Expression,
    Operand,
    Operation,
    chained,
    expressions,
    in_a_row,
    signs,
)
from stand_in.fill import MISSING, Filled, fill_calls, fitting
from stand_in.fit import Fit, all_operators, fits, tool_for
from stand_in.reading import Kind, Token, read
from stand_in.request import Tool
from stand_in.schema import (
    Schema,
    branches,
    is_numeric,
    is_text,
    is_whole,
    kind,
    properties,
    required,
    required_numbers,
    resolved,
)
from stand_in.stock import Clause

MOST_STEPS = 128
_JOINING = ("and", "then", ",")


@dataclass(frozen=True, slots=True)
class Ref:
    """The result of the step with this index; as a number, or as the text it is."""

    step: int
    numeric: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One call: its arguments are values, or results of steps before it."""

    tool: Tool
    arguments: Mapping[str, object]

    @property
    def needs(self) -> frozenset[int]:
        """The steps that must be done before."""
        given = (at if isinstance(at, list) else [at] for at in self.arguments.values())
        return frozenset(at.step for each in given for at in each if isinstance(at, Ref))


@dataclass(slots=True)
class Plan:
    """The steps of a prompt, or, without any, a tool that is meant and what it lacks."""

    steps: list[Step] = field(default_factory=list)
    tool: Tool | None = None
    missing: tuple[str, ...] = ()


def plan(prompt: str, tools: Sequence[Tool]) -> Plan:
    """The steps that `prompt` asks of `tools`; none if no tool fits.

    A prompt is read sentence by sentence, and within one clause by clause: `and`, `then` or a
    comma begins a new one if the words before it are complete and those behind it speak of a
    tool. If a tool is meant and nothing is complete, the whole prompt is read as one clause.

    Raises:
        LookupError: the schema of a tool has a reference that leads nowhere.
    """
    tokens = read(prompt) if tools else ()
    planner = _Planner(tools)
    for sentence in _sentences(tokens):
        planner.take_sentence(sentence, prompt)
    if planner.plan.tool and not planner.plan.steps:
        planner.take(Clause(tokens, prompt))
    return planner.plan


def batches(steps: Sequence[Step], *, parallel: bool) -> list[list[int]]:
    """Which steps can be made at once, by index, batch after batch; one by one if not parallel."""
    if not parallel:
        return [[i] for i in range(len(steps))]
    levels: list[int] = []
    made: list[list[int]] = []
    for i, step in enumerate(steps):
        level = 1 + max((levels[need] for need in step.needs), default=-1)
        levels.append(level)
        made.extend([] for _ in range(level + 1 - len(made)))
        made[level].append(i)
    return made


class _Planner:
    """Makes steps clause after clause; a later clause may speak of an earlier one's result."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self.tools, self.plan = tools, Plan()

    def take_sentence(self, tokens: Sequence[Token], text: str) -> None:
        """Add the steps of a sentence, clause by clause."""
        begin = 0
        for at, token in enumerate(tokens):
            rest = tokens[at + 1 : _next_joint(tokens, at + 1)]
            if token.text in _JOINING and token.kind is not Kind.QUOTED and self._named(rest):
                clause = Clause(tuple(tokens[begin:at]), text)
                begin = at + 1 if self.take(clause) else begin
        self.take(Clause(tuple(tokens[begin:]), text))

    def take(self, clause: Clause) -> bool:
        """Add the steps of the best tool that `clause` has everything for, if there is one."""
        for fit in fits(self.tools, clause.tokens):
            at = Clause(clause.tokens, clause.text, fit.last)
            made = self._expressions(at, fit) or self._row(at, fit) or self._calls(at, fit)
            if made:
                self.plan.steps = [*self.plan.steps, *made][:MOST_STEPS]
                return True
        return False

    def _named(self, tokens: Sequence[Token]) -> bool:
        return any(fit.named for fit in fits(self.tools, tokens))

    @property
    def _back(self) -> int | None:
        """The step that "the result" speaks of now."""
        return len(self.plan.steps) - 1 if self.plan.steps else None

    def _expressions(self, clause: Clause, fit: Fit) -> list[Step]:
        """The steps of all expressions of the clause whose every sign has a tool."""
        if not all_operators(fit.tool):
            return []
        made: list[Step] = []
        for each in expressions(clause.tokens, back=self._back is not None):
            tree = _Tree(self.tools, len(self.plan.steps) + len(made), self._back)
            made += tree.steps(each.tree, _source(clause, each))
        return made

    def _row(self, clause: Clause, fit: Fit) -> list[Step]:
        """The steps for more numbers than a tool of two takes: the sum of 2, 3 and 4."""
        numbers = [token.value for token in clause.tokens if token.kind is Kind.NUMBER]
        row = in_a_row(all_operators(fit.tool), numbers)
        if row is None or _form(fit.tool.schema) != "two":
            return []
        return _Tree((fit.tool,), len(self.plan.steps), self._back).steps(row, clause.said)

    def _calls(self, clause: Clause, fit: Fit) -> list[Step]:
        """One call, or one for each value if the tool takes one and the clause has several."""
        made = list(fill_calls(fit.tool.schema, clause, back=self._back is not None))
        if missing := made[0].missing:
            if fit.named and self.plan.tool is None:
                self.plan.tool, self.plan.missing = fit.tool, missing
            return []
        return [Step(fit.tool, self._arguments(fit, clause, filled)) for filled in made]

    def _arguments(self, fit: Fit, clause: Clause, filled: Filled) -> Mapping[str, object]:
        """The arguments, with the step behind "the result", and turned for subtract 2 from 5."""
        given = filled.arguments
        numbers = required_numbers(fit.tool.schema)
        words = [token.text for token in clause.tokens]
        if all_operators(fit.tool) == {"-"} and "from" in words and len(numbers) == 2:
            first, second = numbers
            given = {**given, first: given[second], second: given[first]}
        return {name: self._referred(fit.tool, name, at) for name, at in given.items()}

    def _referred(self, tool: Tool, name: str, value: object) -> object:
        if not isinstance(value, Back) or self._back is None:
            return value
        return Ref(self._back, name in required_numbers(tool.schema))


class _Tree:
    """Turns one expression into steps whose first has the index `base`."""

    def __init__(self, tools: Sequence[Tool], base: int, back: int | None) -> None:
        self.tools, self.base, self.back = tools, base, back
        self.made: list[Step] = []

    def steps(self, tree: Operation, source: str) -> list[Step]:
        """The steps of `tree`, none if a sign has no tool or a number does not fit it."""
        tool = tool_for(tree.sign, self.tools)
        if any(tool_for(sign, self.tools) is None for sign in signs(tree)) or tool is None:
            return []
        if _form(tool.schema) == "text":
            return [Step(tool, {required(tool.schema, tool.schema)[0]: source})]
        return [] if self._value(tree) is None else self.made

    def _value(self, at: Operand) -> object:
        """What stands for `at` as an argument: a number or a `Ref`; None if nothing can."""
        if isinstance(at, Back):
            return None if self.back is None else Ref(self.back, numeric=True)
        if not isinstance(at, Operation):
            return at
        tool = tool_for(at.sign, self.tools)
        arguments = self._arguments(tool.schema, at) if tool else None
        if tool is None or arguments is None:
            return None
        self.made.append(Step(tool, arguments))
        return Ref(self.base + len(self.made) - 1, numeric=True)

    def _arguments(self, schema: Schema, at: Operation) -> Mapping[str, object] | None:
        names, form = required(schema, schema), _form(schema)
        if form == "list":
            values = [self._value(each) for each in chained(at)]
            return None if None in values else {names[0]: values}
        if form != "two":
            return None
        declared, given = properties(schema, schema), {}
        for name, operand in zip(names, (at.left, at.right), strict=True):
            value = self._value(operand)
            whole = is_whole(declared[name])
            given[name] = fitting(value, whole=whole) if isinstance(value, int | float) else value
        fits_all = all(value is not None and value is not MISSING for value in given.values())
        return given if fits_all else None


def _form(schema: Schema) -> str:
    """How a tool takes an operation: two numbers, a list of them, or a text; else ""."""
    names, declared = required(schema, schema), properties(schema, schema)
    if len(names) == len(required_numbers(schema)) == 2:
        return "two"
    if len(names) != 1:
        return ""
    one = declared[names[0]]
    lists = [each for each in branches(one) if kind(each) == "array"]
    if any(is_numeric(resolved(each.get("items"), schema)) for each in lists):
        return "list"
    return "text" if is_text(one) else ""


def _sentences(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    begin = 0
    for at, token in enumerate(tokens):
        if token.kind is Kind.BREAK:
            yield tokens[begin:at]
            begin = at + 1
    yield tokens[begin:]


def _next_joint(tokens: Sequence[Token], at: int) -> int:
    while at < len(tokens) and tokens[at].text not in _JOINING:
        at += 1
    return at


def _source(clause: Clause, expression: Expression) -> str:
    return Clause(clause.tokens[expression.start : expression.end], clause.text).said
