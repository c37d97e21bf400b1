"""Rules: those in force, checking others, trying them on what is stored, asking why they fired or did not."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, Field

from onlooker.api.event_models import EventState
from onlooker.api.guard import OperatorAny, Ours, ViewerAny
from onlooker.api.models import Strict
from onlooker.api.problems import ProblemError, responses
from onlooker.api.routers.observations import span_of
from onlooker.core.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from onlooker.api.access import Caller
    from onlooker.api.context import Context
    from onlooker.core.media import SourceInfo
    from onlooker.rules import RuleFile

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/rules", tags=["rules"])
_MOST_EVENTS = 10_000
_DEEPEST = 150
_MANY_DASHES = re.compile(r"^[ \t]*(?:- +){50}", re.MULTILINE)
_Text = Annotated[str, Field(min_length=1, max_length=262_144, description="A rule file.")]
_Sources = Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=100)]
_Second = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Rule(BaseModel):
    """A rule in force; ``when`` is the name of its outermost condition."""

    id: str
    description: str
    enabled: bool
    cameras: list[str]
    severity: str
    when: str


class Rules(BaseModel):
    """The rules that look at cameras which the caller may see."""

    rules: list[Rule]


class Checked(BaseModel):
    """Whether a file is good; ``error`` says line and what is wrong."""

    good: bool
    rules: list[str]
    error: str | None


class RuleText(Strict):
    """A rule file to check."""

    text: _Text


class Trial(Strict):
    """Rules to try: a file's text, or those in force; on some sources, or all that the caller may see."""

    text: _Text | None = None
    sources: _Sources = Field(default_factory=list)
    start: _Second | None = Field(default=None, alias="from")
    end: _Second | None = Field(default=None, alias="to")
    clock: AwareDatetime | None = Field(default=None, description="Wall time at which the sources begin.")
    states: bool = Field(default=False, description="All states, not ended events alone.")


class Tried(BaseModel):
    """The events that the rules would have made; ``complete`` is False where time or room was over before the end."""

    rules: list[str]
    sources: int
    seconds: float
    complete: bool
    events: list[EventState]


class Question(Strict):
    """A moment of a source, in seconds."""

    text: _Text | None = None
    source: str = Field(min_length=1, max_length=200)
    at: _Second
    clock: AwareDatetime | None = None


class Explained(BaseModel):
    """How each rule stands at the moment."""

    rules: list[dict[str, Any]]


def _parsed(text: str) -> RuleFile:
    """A rule file; what could make reading it endless is refused.

    Raises:
        ConfigError: it is wrong.
    """
    from onlooker.rules import parse_rules

    if _depth(text) > _DEEPEST or _MANY_DASHES.search(text):
        raise ConfigError("rules: nested too deep to be read", hint="write it simpler")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ConfigError("rules: aliases are not taken here", hint="write it out")
        return parse_rules(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"rules: not YAML: {getattr(error, 'problem', error)}") from None
    except (RecursionError, OverflowError, ValueError) as error:
        raise ConfigError(f"rules: cannot be read ({type(error).__name__})", hint="write it simpler") from None


def _depth(text: str) -> int:
    """How deep brackets are nested; reading takes time by the square of it."""
    depth = deepest = 0
    for letter in text:
        if letter in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif letter in "]}":
            depth -= 1
    return deepest


def _rules(context: Context, text: str | None) -> RuleFile:
    found = context.rules if text is None else _parsed(text)
    if found is None:
        raise ProblemError(409, "no rules are in force here", hint="send the text of a rule file")
    return found


@router.get("", response_model=Rules)
def list_rules(context: Ours, caller: ViewerAny) -> dict[str, Any]:
    """The rules in force that look at cameras which the caller may see."""
    rules = context.rules
    if rules is None:
        return {"rules": []}
    seen = {rules.camera_of(s.info)[0] for s in context.visible(caller)}
    every = caller.overall is not None
    shown = [
        {
            "id": r.id,
            "description": r.description,
            "enabled": r.enabled,
            "cameras": [c for c in r.cameras if every or c in seen],
            "severity": r.severity,
            "when": r.when.name,
        }
        for r in rules.rules
        if every or not r.cameras or seen & {*r.cameras}
    ]
    return {"rules": shown}


@router.get("/schema", response_model=dict[str, Any])
def get_schema(_: ViewerAny) -> dict[str, Any]:
    """The JSON Schema of rule files."""
    from onlooker.rules import rules_schema

    return rules_schema()


@router.post("/check", response_model=Checked)
def check(_: ViewerAny, body: RuleText) -> dict[str, Any]:
    """Check a rule file."""
    try:
        rules = _parsed(body.text)
    except ConfigError as error:
        return {"good": False, "rules": [], "error": error.message}
    return {"good": True, "rules": [r.id for r in rules.rules], "error": None}


@router.post("/test", response_model=Tried, responses=responses(400, 404, 409))
def run_test(context: Ours, caller: OperatorAny, body: Trial) -> dict[str, Any]:
    """Run rules over what is stored: the events that they would have made live."""
    from onlooker.rules import backtest

    chosen = _chosen(context, caller, body.sources)
    rules = _rules(context, body.text)
    begun, complete, told = time.monotonic(), True, []
    limit = begun + context.settings.test_seconds
    clocks = {} if body.clock is None else {info.id: body.clock for info in chosen}
    for event in backtest(context.store, rules, chosen, span_of(body.start, body.end), clocks):
        if body.states or event.state == "end":
            told.append(event.as_dict())
        if len(told) >= _MOST_EVENTS or time.monotonic() > limit:
            complete = False
            break
    return {
        "rules": [r.id for r in rules.rules],
        "sources": len(chosen),
        "seconds": round(time.monotonic() - begun, 3),
        "complete": complete,
        "events": told,
    }


def _chosen(context: Context, caller: Caller, sources: list[str]) -> list[SourceInfo]:
    if sources:
        return [context.source(caller, s).info for s in dict.fromkeys(sources)]
    return [s.info for s in context.visible(caller)]


@router.post("/explain", response_model=Explained, responses=responses(400, 404, 409))
def explain(context: Ours, caller: OperatorAny, body: Question) -> dict[str, Any]:
    """Say for a moment why a rule fired, or which condition kept it from firing."""
    from onlooker.rules import explain as explained

    info = context.source(caller, body.source).info
    rules = _rules(context, body.text)
    try:
        answers = explained(context.store, rules, info, round(body.at * 1e9), body.clock)
    except OverflowError:
        raise UsageError("the moment is too far away", hint="give a moment of the source") from None
    return {"rules": [a.as_dict() for a in answers]}
