"""Which pages are counted by name? A table of names and their numbers, with what each page is for.

Facts hold numbers, since a name would take more room than all the rest of a fact. A page seen when the table is full is
`OTHER_PAGES`, unless one that nobody has seen for `UNSEEN_MS` makes room.
"""

from typing import Final

from streams.journeys.policy import DAY_MS, OTHER_PAGES, JourneyPolicy

NO_PAGE: Final = 0
OTHER: Final = 1
FIRST: Final = 2
"""Numbers of "" (no page), of `OTHER_PAGES`, and of the first page with a name."""

CONTENT: Final = 0
HELP: Final = 1
CONTACT: Final = 2
PROGRESS: Final = 3
_CLASSES: dict[str, int] = {"content": CONTENT, "help": HELP, "contact": CONTACT, "progress": PROGRESS}

UNSEEN_MS: Final = 7 * DAY_MS


class PageNames:
    """Names by number and numbers by name. By number: `classes`, and when a session last began to see it."""

    __slots__ = ("_policy", "classes", "names", "numbers", "seen_ms")

    def __init__(self, policy: JourneyPolicy) -> None:
        self._policy = policy
        self.names: list[str] = ["", OTHER_PAGES]
        self.classes: list[int] = [CONTENT, CONTENT]
        self.seen_ms: list[int] = [0, 0]
        self.numbers: dict[str, int] = {"": NO_PAGE, OTHER_PAGES: OTHER}

    def admit(self, name: str, at_ms: int) -> int:
        """The number of a page without one: a new one, or `OTHER` where the table is full."""
        number = len(self.names)
        if number >= self._policy.most_pages + FIRST:
            number = self._free(at_ms)
            if number == OTHER:
                return OTHER
            del self.numbers[self.names[number]]
            self.names[number] = name
            self.classes[number] = self._class(name)
            self.seen_ms[number] = at_ms
        else:
            self.names.append(name)
            self.classes.append(self._class(name))
            self.seen_ms.append(at_ms)
        self.numbers[name] = number
        return number

    def load(self, names: list[str], seen_ms: list[int]) -> None:
        """Take over a stored table."""
        self.names = list(names)
        self.seen_ms = list(seen_ms)
        self.classes = [
            self._class(name) if number >= FIRST else CONTENT for number, name in enumerate(names)
        ]
        self.numbers = {name: number for number, name in enumerate(names)}

    def _class(self, name: str) -> int:
        return _CLASSES[self._policy.page_class(name)]

    def _free(self, at_ms: int) -> int:
        oldest, oldest_ms = OTHER, at_ms - UNSEEN_MS
        for number in range(FIRST, len(self.names)):
            if self.seen_ms[number] < oldest_ms:
                oldest, oldest_ms = number, self.seen_ms[number]
        return oldest
