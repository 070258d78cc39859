"""The list behind "Modules linked in:": its names, their taint letters, and which lines it runs over.

kernel/module/main.c (print_modules) prints it with pr_cont; printk breaks a record that grows over its limit
(LOG_LINE_MAX, about 1000 characters) into several, of which each further one holds names alone, with a stamp of its
own or without. Mail programs break it as well. "[last unloaded: NAME]" ends it.
"""

from __future__ import annotations

from kbmatch.engine.patterns import lazy

_HEADS = ("Modules linked in:", "Modules:")
_TAINTED = lazy(r"(?<![\w(+-])(\w[\w-]*)((?:\([A-Z+-]{1,12}\))+)")
_MODULE = lazy(r"(?<![\w(+-])(?!\d+(?![\w-]))\w[\w-]*(?![\w)]*\))")
_NAMES = lazy(r"(?:(?!0x|[0-9a-f]{8,}\b|\d{1,2}\b)\w[\w-]{0,63}(?:\([A-Z+-]{1,12}\))*(?: +|$))+(?=\[last\b|$)")
_LAST = lazy(r"\[last\b|unloaded: ")
_GAP = lazy(r"\[|<|\.\.\.")
_SENTENCE = lazy(
    r"(?:^|.* )(?:the|and|an?|is|it|this|that|of|to|we|on|in|i|then|was|with|for|but|not|here|more|see|from|at|CPU)"
    r"(?: |$)"
)
_LIMIT = 32 * 1024
_LONG = 48
"""After a line of the list that is shorter a line of plain words is no part of it."""


class ModuleList:
    """Collects the list while the lines of a report come in.

    `text` is what stood behind the first line's colon and in the lines after it; `open`: the next line may be one more.
    """

    def __init__(self) -> None:
        self.text = ""
        self.open = False
        self._last = 0

    def begins(self, text: str) -> bool:
        """Take a line that begins a list; False if it does not."""
        if not text.startswith(_HEADS):
            return False
        self._add(text.partition(":")[2])
        return True

    def goes_on(self, text: str) -> bool:
        """Take a line that continues the list; False if it does not, and then the list has ended."""
        if self._is_more(text):
            self._add(text)
            return True
        self.open = False
        return False

    def _is_more(self, text: str) -> bool:
        if _LAST.match(text):
            return text[0] == "[" or self.text.rstrip().endswith("[last")
        names = _NAMES.match(text)
        if names is None or _SENTENCE.match(text):
            return False
        found = names[0]
        return self._last >= _LONG or "_" in found or "(" in found or any(c.isdigit() for c in found)

    def _add(self, text: str) -> None:
        self._last = len(text)
        if len(self.text) < _LIMIT:
            self.text = f"{self.text} {text[:_LIMIT]}" if self.text else text[:_LIMIT]
        gap = _GAP.search(text)
        # "[last" may have lost its end to the next line
        self.open = gap is None or text.rstrip().endswith("[last")


def module_names(text: str) -> tuple[str, ...] | None:
    """The names of a list, without taint flags; None where it was not printed."""
    return tuple(dict.fromkeys(match[0] for match in _MODULE.finditer(_linked(text)))) or None


def module_taints(text: str) -> dict[str, str] | None:
    """The letters behind each module that has some (kernel/module/main.c, module_flags); None without the list.

    "+" and "-" (being loaded, being removed) are no taint. RHEL 6 prints each letter in brackets of its own.
    """
    linked = _linked(text)
    if not linked.strip():
        return None
    found = ((match[1], "".join(c for c in match[2] if c.isalpha())) for match in _TAINTED.finditer(linked))
    return {name: letters for name, letters in found if letters}


def _linked(text: str) -> str:
    """The list up to "[last unloaded: ...]" or to where somebody left the rest out."""
    gap = _GAP.search(text)
    return text[: gap.start()] if gap else text
