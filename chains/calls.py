"""Text that a program could take for a call of a tool, or for data: never shown as an answer. Pure."""

import json
import re
from typing import Any

_NAMES = (
    "name",
    "tool",
    "tool_name",
    "toolname",
    "function",
    "function_name",
    "action",
    "recipient_name",
    "command",
    "plugin",
)
_INPUTS = ("arguments", "args", "kwargs", "parameters", "params", "input", "tool_input", "action_input", "inputs")
_WHOLE = ("tool_calls", "tool_call", "tool_use", "tool_uses", "function_call", "function_calls")
_KEY = r"[\"'“”]?\b(?:{})\b[\"'“”]?\s*[:=]"
_NAME_KEY = re.compile(_KEY.format("|".join(_NAMES)), re.IGNORECASE)
_INPUT_KEY = re.compile(_KEY.format("|".join(_INPUTS)), re.IGNORECASE)
_WHOLE_KEY = re.compile(_KEY.format("|".join(_WHOLE)), re.IGNORECASE)
_MARKUP = re.compile(
    r"(?:<|&lt;|＜)\s*/?\s*\|?\s*(?:[\w-]+:)?(?:tools?|tool_?calls?|tool_?uses?|tool_?code|tool_?sep|function_?calls?|function|invoke"
    r"|parameters?|python_tag|plugin|action|execute|xai:\w+)\b[^<\n]{0,200}(?:>|&gt;|=|\|)"
    r"|\[/?\s*(?:TOOL_CALLS?|TOOL_USE|FUNCTION_CALLS?|AVAILABLE_TOOLS|TOOL_RESULTS?)\b|```\s*(?:tool|function)[\w-]*"
    r"|(?:^|\n|\||:)[^\w\n]{0,9}(?:\d{1,3}[.)])?[^\w\n]{0,9}Action(?:[ _]Input)?\s*:\s*[`\"{(]?\s*(?:\w+[_.(]|[{\[\"])"
    r"|\b(?:default_api|functions|multi_tool_use)\.\w+\s*(?:\(|:)",
    re.IGNORECASE,
)
_ITEM = re.compile(r"(?:[>*+•‣-]\s+|\d{1,3}[.)]\s+)+")
_CALL = re.compile(
    r"(?:[\w ]{1,40}:\s*[`*_\"']*)?"  # Output:
    r"(?:(?:call|calls|invoke|run|execute|exec|tool|function|print|await|return)\b[\s:]+)?"
    r"[A-Za-z_][\w.]*(?P<inputs>\([\s\S]*\))[\s.;]*"
)
_AROUND = "`*_ \t\n.;,:!>\"'“”#"
_FENCE = re.compile(r"\s*(?:```+|~~~+)[^\n]*\n?|\s*(?:```+|~~~+)\s*$")


def calls_tool(text: str) -> bool:
    """Whether `text` holds a call in the syntax of a model's tools: JSON, XML, ReAct, or a call of a function alone."""
    if _MARKUP.search(text) or ("{" in text and _calls_by_keys(text)):
        return True
    bare = _ITEM.sub("", _FENCE.sub(" ", text).strip(), count=1)
    cells = bare.split("|") if bare.startswith("|") else [bare]
    found = [_CALL.fullmatch(cell.strip(_AROUND)) for cell in cells]
    return any(call is not None and _closes_last(call["inputs"]) for call in found)


def _closes_last(text: str) -> bool:
    """Whether the bracket that opens `text` is closed by its last character: `f(a) and g(b)` is no call."""
    depth = 0
    for place, char in enumerate(text, start=1):
        depth += (char == "(") - (char == ")")
        if not depth:
            return place == len(text)
    return True


def is_data(text: str) -> bool:
    """Whether `text` is JSON, or begins as JSON does, and no sentence."""
    bare = _FENCE.sub("", text).strip()
    if not bare or bare[0] not in "{[":
        return False
    return _parsed(bare) is not None or re.match(r"\{\s*(?:[\"']|$)|\[\s*[\[{\"]", bare) is not None


def _calls_by_keys(text: str) -> bool:
    if _WHOLE_KEY.search(text):
        return True
    return _NAME_KEY.search(text) is not None and _INPUT_KEY.search(text) is not None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
