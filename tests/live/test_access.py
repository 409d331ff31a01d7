"""Who may watch whom, who is a user, and what happens at each limit: the pure part."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.sinks.live.access import ANYBODY, Access, Identity, Viewer, patterns_of_groups
from processors.sinks.live.access_limits import ADDRESSES_MAX, Budget, FailedAttempts
from processors.sinks.live.access_users import (
    TokenUser,
    UsersError,
    find_user,
    format_users,
    new_token,
    parse_users,
    patterns_of_user,
    sha256_of,
)
from processors.sinks.live.sessions import SESSIONS_OF_USER_MAX, Sessions
from processors.sinks.live.sign_in import back_to, wanted_of
from processors.sinks.live.sign_in_pages import provider_page, refused_page, token_page
from processors.sinks.live.sign_in_pending import PENDING_S, PendingSignIns

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2027, 1, 1, tzinfo=UTC)
ANNA = Identity(user="anna", groups=("icu-nurses",))
NAMES = st.text("abcXYZ0-*?[]é", min_size=1, max_size=9)


def user(name: str = "anna", word: str = "t", **fields: object) -> TokenUser:
    known = {
        "name": name,
        "token_sha256": sha256_of(word),
        "subjects": ("icu-*",),
        "created": NOW,
        "expires": None,
    }
    return TokenUser(**(known | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("patterns", "subject", "may"),
    [
        (("icu-*",), "icu-7", True),
        (("icu-*",), "ICU-7", False),
        (("icu-*",), "x-icu-7", False),
        (("icu-*",), "ward-3", False),
        (("icu-?", "ward-[0-3]"), "ward-3", True),
        (("icu-?", "ward-[0-3]"), "ward-4", False),
        (("ward-3",), "ward-3", True),
        (("ward-3",), "ward-31", False),
        ((), "icu-7", False),
        (("*",), "anything\nat all", True),
        (("*",), "", True),
    ],
)
def test_a_subject_may_be_watched_where_a_pattern_says_so(
    patterns: Sequence[str], subject: str, *, may: bool
) -> None:
    assert Viewer(user="anna", patterns=tuple(patterns)).may_watch(subject) is may


@given(
    rights=st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=3), max_size=4),
    groups=st.lists(NAMES, max_size=4),
    subject=NAMES,
)
def test_a_user_may_watch_what_any_of_their_groups_may_and_nothing_else(
    rights: dict[str, list[str]], groups: list[str], subject: str
) -> None:
    access = Access(patterns_of_groups(rights))

    may = access.may_watch(Identity(user="x", groups=tuple(groups)), subject)

    patterns = [pattern for group in groups for pattern in rights.get(group, [])]
    assert may == any(fnmatchcase(subject, pattern) for pattern in patterns)


def test_who_has_no_group_with_rights_is_nobody() -> None:
    access = Access(patterns_of_groups({"icu-nurses": ["icu-*"]}))

    assert access.viewer(Identity(user="bert", groups=("kitchen",))) is None
    assert access.viewer(ANNA, "s") == Viewer(user="anna", patterns=("icu-*",), session="s")


def test_where_nobody_signs_in_anybody_may_watch_everybody() -> None:
    assert ANYBODY.may_watch("whoever")


# Users with tokens


def test_a_token_opens_for_its_user_only() -> None:
    users = (user("anna", "one"), user("bert", "two", subjects=("ward-3",)))

    found = find_user(users, "two", NOW)

    assert found is not None
    assert found.user == "bert"
    assert patterns_of_user(users[1], found, NOW) == ("ward-3",)
    assert find_user(users, "three", NOW) is None
    assert find_user(users, "", NOW) is None
    assert find_user(users, sha256_of("one"), NOW) is None, "the hash is no token"


def test_a_token_ends_at_its_time() -> None:
    users = (user(expires=NOW),)
    before = NOW - timedelta(seconds=1)
    found = find_user(users, "t", before)

    assert found is not None
    assert patterns_of_user(users[0], found, before) == ("icu-*",)
    assert patterns_of_user(users[0], found, NOW) == ()
    assert find_user(users, "t", NOW) is None


def test_another_token_of_the_same_name_is_not_the_one_that_was_shown() -> None:
    found = find_user((user("anna", "old"),), "old", NOW)

    assert found is not None
    assert patterns_of_user(user("anna", "new"), found, NOW) == ()
    assert patterns_of_user(None, found, NOW) == ()


def test_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(len(token) >= 43 for token in tokens)


@given(
    st.lists(
        st.builds(
            user,
            name=NAMES,
            word=st.text(max_size=9),
            subjects=st.lists(NAMES, min_size=1, max_size=3).map(tuple),
            expires=st.none() | st.datetimes(timezones=st.just(UTC)),
        ),
        max_size=5,
        unique_by=lambda one: one.name,
    )
)
def test_a_file_of_users_is_read_as_it_was_written(users: list[TokenUser]) -> None:
    assert parse_users(format_users(users)) == tuple(users)


@given(st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_any_text_gives_users_or_says_what_is_wrong(text: str) -> None:
    with pytest.raises(UsersError):
        parse_users(text)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "a name has"),
        ({"name": "a\x1b[2J"}, "a name has"),
        ({"token_sha256": "abc"}, "token_sha256"),
        ({"subjects": []}, "subjects"),
        ({"subjects": "icu-*"}, "texts"),
        ({"subjects": [""]}, "subjects"),
        ({"expires": "soon"}, "not a time"),
        ({"expires": "2027-01-01"}, "not a time"),
        ({"token": "secret"}, "has not exactly"),
    ],
)
def test_a_wrong_user_is_named(change: dict[str, object], said: str) -> None:
    document = json.loads(format_users([user()]))
    document["users"][0] |= change

    with pytest.raises(UsersError, match=said):
        parse_users(json.dumps(document))


def test_a_name_stands_once() -> None:
    with pytest.raises(UsersError, match="twice: anna"):
        parse_users(format_users([user(word="one"), user(word="two")]))


# Sessions


def test_a_session_is_opened_by_its_secret_only() -> None:
    sessions = Sessions(idle_s=60, session_s=600)
    secret = sessions.begin(ANNA, 0)
    session = sessions.find(secret, 1)

    assert session is not None
    assert session.identity == ANNA
    assert sessions.find(session.name, 1) is None, "its name in the log opens nothing"
    assert sessions.find(secret[:-1], 1) is None
    assert sessions.end(secret) is session
    assert sessions.find(secret, 1) is None


def test_a_session_that_is_not_used_ends() -> None:
    sessions = Sessions(idle_s=60, session_s=600)
    secret = sessions.begin(ANNA, 0)

    assert sessions.find(secret, 59) is not None
    assert sessions.find(secret, 118) is not None, "it was used at 59"
    assert sessions.find(secret, 178) is None
    assert len(sessions) == 0


def test_a_session_ends_however_much_it_is_used() -> None:
    sessions = Sessions(idle_s=60, session_s=600)
    secret = sessions.begin(ANNA, 0)

    assert all(sessions.find(secret, t) for t in range(600))
    assert sessions.find(secret, 600) is None


def test_one_user_cannot_crowd_out_the_others() -> None:
    sessions = Sessions(idle_s=60, session_s=600)
    bert = sessions.begin(Identity(user="bert"), 0)
    first, *others = [sessions.begin(ANNA, 1) for _ in range(SESSIONS_OF_USER_MAX + 1)]

    assert sessions.find(bert, 2) is not None
    assert sessions.find(first, 2) is None
    assert all(sessions.find(one, 2) for one in others)
    assert sessions.n_crowded_out == 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40)), max_size=60))
def test_there_are_never_more_sessions_than_may_be(begun: list[tuple[str, int]]) -> None:
    sessions = Sessions(idle_s=60, session_s=600, n_max=4)
    now_s = 0
    for name, pause_s in begun:
        now_s += pause_s
        secret = sessions.begin(Identity(user=name), now_s)
        assert len(sessions) <= 4
        assert sessions.find(secret, now_s) is not None


# Limits


def test_an_address_that_fails_often_must_wait_and_no_other() -> None:
    failures = FailedAttempts(n_max=3, window_s=100)
    for t in (0, 10, 20):
        assert failures.wait_s("192.0.2.1", t) == 0
        failures.add("192.0.2.1", t)

    assert failures.wait_s("192.0.2.1", 30) == 70
    assert failures.wait_s("::ffff:192.0.2.1", 30) == 70
    assert failures.wait_s("192.0.2.2", 30) == 0
    assert failures.wait_s("192.0.2.1", 100) == 0


def test_of_ipv6_the_network_of_a_host_must_wait() -> None:
    failures = FailedAttempts(n_max=1, window_s=100)
    failures.add("2001:db8::1", 0)

    assert failures.wait_s("2001:db8::ffff:2", 1) == 99
    assert failures.wait_s("2001:db8:0:1::1", 1) == 0


def test_addresses_are_remembered_up_to_a_limit() -> None:
    failures = FailedAttempts(n_max=1, window_s=100)
    for i in range(ADDRESSES_MAX + 1):
        failures.add(f"10.0.{i // 256}.{i % 256}", 0)

    assert failures.wait_s("10.0.0.0", 1) == 0
    assert failures.wait_s("10.0.0.1", 1) == 99


def test_a_budget_tells_how_many_it_left_out() -> None:
    budget = Budget(n_max=2, window_s=60)

    assert [budget.take(t) for t in (0, 1, 2, 3, 60)] == [0, 0, None, None, 2]


# Sign-ins at a provider


def test_a_sign_in_comes_back_once_and_to_its_own_browser() -> None:
    pending = PendingSignIns()
    begun = pending.begin(browser="mine", wanted="subject=a", now_s=0)
    others = pending.begin(browser="theirs", wanted="", now_s=0)

    assert pending.take(state=begun.state, browser="mine", now_s=1) == begun
    assert pending.take(state=begun.state, browser="mine", now_s=1) is None, "replayed"
    assert pending.take(state=others.state, browser="mine", now_s=1) is None
    assert pending.take(state="made up", browser="mine", now_s=1) is None


def test_a_sign_in_that_takes_too_long_is_over() -> None:
    pending = PendingSignIns()
    begun = pending.begin(browser="b", wanted="", now_s=0)

    assert pending.take(state=begun.state, browser="b", now_s=PENDING_S) is None


def test_of_too_many_sign_ins_the_oldest_is_forgotten() -> None:
    pending = PendingSignIns(n_max=2)
    first, *others = [pending.begin(browser="b", wanted="", now_s=0) for _ in range(3)]

    assert pending.n_crowded_out == 1
    assert pending.take(state=first.state, browser="b", now_s=1) is None
    assert all(pending.take(state=one.state, browser="b", now_s=1) for one in others)


def test_what_is_shown_of_a_verifier_is_its_hash() -> None:
    # RFC 7636, appendix B.
    pending = PendingSignIns().begin(browser="b", wanted="", now_s=0)
    object.__setattr__(pending, "verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")

    assert pending.challenge == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


# What goes on afterwards


@given(st.text(max_size=600))
def test_a_sign_in_leads_to_the_page_and_nowhere_else(wanted: str) -> None:
    location = back_to(wanted_of(wanted))

    assert location == "./" or location.startswith("./?")
    assert "\n" not in location
    assert "\r" not in location


def test_the_subject_that_was_wanted_is_shown_after_the_sign_in() -> None:
    assert back_to("subject=icu-7&view=ward") == "./?subject=icu-7&view=ward"


@given(st.text(max_size=100))
def test_pages_show_text_as_text(text: str) -> None:
    nasty = f'"><script>{text}</script>'
    for page in (
        token_page(wanted=nasty, fault=nasty),
        provider_page(wanted=nasty, again=True, fault=nasty),
        refused_page(user=nasty),
    ):
        assert "<script" not in page
