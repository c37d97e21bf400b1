"""Rules: YAML files that turn observations into events, the same live and over what is stored.

>>> rules = parse_rules('''
... version: 1
... rules:
...   - id: somebody
...     when: {object: {label: person}}
... ''')
>>> rules.rules[0].when.name
'object'
"""

from onlooker.core.event import Event
from onlooker.rules.apart import backtest_apart
from onlooker.rules.diff import Change, compare
from onlooker.rules.engine import Engine, backtest
from onlooker.rules.explain import Explanation, explain
from onlooker.rules.language import RuleFile, condition_names, load_rules, parse_rules, rules_schema

__all__ = [
    "Change",
    "Engine",
    "Event",
    "Explanation",
    "RuleFile",
    "backtest",
    "backtest_apart",
    "compare",
    "condition_names",
    "explain",
    "load_rules",
    "parse_rules",
    "rules_schema",
]
