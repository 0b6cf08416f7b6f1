"""Values from the environment: `"${NAME}"` in a text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Self, cast

from wspipe.config.problems import listed, nearest_to, shown
from wspipe.config.references import told
from wspipe.exceptions import WSPipeException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wspipe.config.positions import KeyPath
    from wspipe.config.problems import Problems

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\})?")

_NAMES = re.compile(r"(?<!\$)\$\{\w+\}")

_SECRET: Final = 4
"""From how many characters on a value is hidden within words too."""


class Secret(str):
    """A text from the environment: worth what the variables hold, shown as it stands in the file.

    `repr` shows the placeholder, and so does that of any dataclass that holds it.

    Args:
        value: The text with the variables' values.
        placeholder: The text as it stands in the file.
    """

    __slots__ = ("placeholder",)

    placeholder: str

    def __new__(cls, value: str, placeholder: str) -> Self:
        """Make one."""
        secret = super().__new__(cls, value)
        secret.placeholder = placeholder
        return secret

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        """Let it be copied."""
        return str.__str__(self), self.placeholder

    def __repr__(self) -> str:
        return repr(self.placeholder)


def expand(
    value: Any, path: KeyPath, environment: Mapping[str, str], problems: Problems
) -> tuple[Any, dict[str, str]]:
    """Put in the environment's values.

    `$${` stands for the characters `${`.

    Args:
        value: A value of a file: texts, and what holds texts.
        path: Where it stands.
        environment: The environment.
        problems: Where to note a variable that is not set.

    Returns:
        The value, with a `Secret` for each text that had a placeholder; and what placeholders,
        and texts with such, stand for.
    """
    secrets: dict[str, str] = {}

    def expand_text(text: str, path: KeyPath) -> str:
        used = False

        def replace(match: re.Match[str]) -> str:
            nonlocal used
            name = match["name"]
            if match[0] == "$${":
                return "${"
            if name is None:
                problems.add(
                    path,
                    f"{shown(text)} has a ${{ that begins no placeholder; one is a name in braces, "
                    "such as ${REDIS_URL}, and has no default; $${ stands for the characters",
                    given=text,
                )
            elif name not in environment:
                nearest = nearest_to(name, environment)
                advice = f"; did you mean {nearest}?" if nearest else ""
                problems.add(
                    path,
                    f"{shown(text)} needs the environment variable {name}, "
                    f"which is not set{advice}",
                    given=text,
                    nearest=nearest,
                )
            else:
                used = True
                secrets[match[0]] = environment[name]
                return environment[name]
            return match[0]

        expanded = _PLACEHOLDER.sub(replace, text)
        secrets.update({text: expanded} if used else {})
        return Secret(expanded, text) if used else expanded

    def expand_any(value: Any, path: KeyPath) -> Any:
        if isinstance(value, str):
            return expand_text(value, path)
        if isinstance(value, list | tuple):
            items = cast("list[Any]", value)
            return [expand_any(each, (*path, i)) for i, each in enumerate(items)]
        if isinstance(value, dict):
            table = cast("dict[str, Any]", value)
            return {key: expand_any(each, (*path, key)) for key, each in table.items()}
        return value

    return expand_any(value, path), secrets


def secrets_in(value: Any) -> dict[str, str]:
    """Give what comes from the environment in a value, by the texts of the file.

    Args:
        value: What `expand` gave, or a part of it.
    """
    if isinstance(value, Secret):
        return {value.placeholder: str(value)}
    if isinstance(value, dict):
        value = list(cast("dict[str, Any]", value).values())
    if isinstance(value, list):
        items = cast("list[object]", value)
        found = [secrets_in(each) for each in items]
        return {key: each for one in found for key, each in one.items()}
    return {}


def told_safely(error: BaseException, secrets: Mapping[str, str]) -> str:
    """Tell an error in one line, without what it may quote of the environment.

    Args:
        error: What some middleware raised.
        secrets: The values that it was given, by their placeholders.
    """
    if isinstance(error, WSPipeException):
        return hide(" ".join(str(error).split()), secrets)
    if not secrets:
        return told(error)
    # It may have taken a value apart, so that no search finds what it quotes.
    names = listed(sorted({name for text in secrets for name in _NAMES.findall(text)}))
    return f"{type(error).__name__} (its message is withheld, as it may tell what {names} holds)"


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """Show placeholders where a text quotes what they stand for.

    Args:
        text: A message of which a part may come from the environment.
        secrets: The values by their placeholders.
    """
    for placeholder, value in sorted(secrets.items(), key=lambda item: -len(item[1])):
        for form in {value, repr(value)[1:-1]} - {""}:
            # One of a few characters is no secret, and may be part of any word.
            edges = (r"(?<!\w)", r"(?!\w)") if len(form) < _SECRET else ("", "")
            pattern = re.escape(form).join(edges)
            text = re.sub(pattern, lambda _: placeholder, text)  # noqa: B023 - used at once
    return text
