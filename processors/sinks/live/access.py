"""Who may watch whom: pure.

A user has patterns of subjects: from the file of users, or by the groups that the sign-in service
names. What no pattern of a user allows is refused, and whether there is such a subject makes no
difference to the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is, as it was found when they signed in."""

    user: str
    """As the access log names them."""
    account: str = ""
    """As the sign-in service names them for ever; a user's name may change."""
    groups: tuple[str, ...] = ()
    token_sha256: str = ""
    """Of the token that was shown; empty where a sign-in service vouches for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who is looking, and whom they may watch at this moment."""

    user: str
    patterns: tuple[str, ...]
    """Subjects, or patterns of them with ``*``, ``?`` and ``[...]``, upper and lower case apart."""
    session: str = ""
    """Name of the session in the access log. It opens nothing."""
    may_annotate: bool = False
    """Whether they may mark what they may watch."""

    def may_watch(self, subject_id: str) -> bool:
        """Say whether this subject may be watched; it need not be known."""
        return any(fnmatchcase(subject_id, pattern) for pattern in self.patterns)


ANYBODY: Final = Viewer(user="anybody", patterns=("*",))
"""Who looks where nobody is asked to sign in."""

NOBODY: Final = Viewer(user="nobody", patterns=())
"""Who may watch nobody."""

PatternsOf = Callable[[Identity], tuple[str, ...]]
"""Gives the patterns of a user as they are now; none of somebody who is no user any more."""


def nobody_annotates(_: Identity) -> bool:
    """Say of nobody that they may annotate."""
    return False


class Access:
    """Tells of every user whom they may watch now, and whether they may mark what they see.

    Parameters
    ----------
    patterns_of
        Asked each time, so that what is taken away is gone at the next question.
    may_annotate
        Asked each time, too.
    """

    def __init__(
        self,
        patterns_of: PatternsOf,
        may_annotate: Callable[[Identity], bool] = nobody_annotates,
    ) -> None:
        self._patterns_of = patterns_of
        self._may_annotate = may_annotate

    def may_watch(self, user: Identity, subject_id: str) -> bool:
        """Say whether a user may watch a subject."""
        viewer = self.viewer(user)
        return viewer is not None and viewer.may_watch(subject_id)

    def viewer(self, user: Identity, session: str = "") -> Viewer | None:
        """Give what a user may do now; None: nothing any more."""
        patterns = self._patterns_of(user)
        if not patterns:
            return None
        return Viewer(
            user=user.user,
            patterns=patterns,
            session=session,
            may_annotate=self._may_annotate(user),
        )


def patterns_of_groups(rights: Mapping[str, Sequence[str]]) -> PatternsOf:
    """Build the rights of groups: a user may watch what any of their groups may."""
    kept = {group: tuple(patterns) for group, patterns in rights.items()}

    def patterns_of(user: Identity) -> tuple[str, ...]:
        found = [pattern for group in user.groups for pattern in kept.get(group, ())]
        return tuple(dict.fromkeys(found))

    return patterns_of
