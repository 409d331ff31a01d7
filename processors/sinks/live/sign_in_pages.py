"""The pages before the live page: pure, and without any script."""

from html import escape
from pathlib import Path
from string import Template
from typing import Final
from urllib.parse import urlencode

_NOTICE: Final = Template(
    (Path(__file__).parent / "pages" / "notice.html").read_text(encoding="utf-8")
)


def token_page(*, wanted: str, fault: str = "") -> str:
    """Build the page that asks for a token; ``wanted`` is the query to go on with."""
    hidden = f'<input type="hidden" name="to" value="{escape(wanted)}">' if wanted else ""
    return _page(
        "Sign in",
        f"""{_text(fault, is_alert=True)}<form method="post" action="sign-in">
      {hidden}<label class="card-label" for="token">Access token</label>
      <input class="card-input" id="token" name="token" type="password" required autofocus
        maxlength="256" autocomplete="current-password" spellcheck="false">
      <button class="card-button" type="submit">Sign in</button>
    </form>""",
    )


def provider_page(*, wanted: str, again: bool, fault: str = "") -> str:
    """Build the page that leads to the sign-in service; ``again``: it shall ask who it is."""
    query = {**({"to": wanted} if wanted else {}), **({"again": "1"} if again else {})}
    link = escape("sign-in-start" + (f"?{urlencode(query)}" if query else ""))
    note = "The sign-in service will ask who you are." if again else ""
    return _page(
        "Sign in",
        f"""{_text(fault, is_alert=True)}{_text(note)}<a class="card-button" href="{link}">Sign in
      with your hospital account</a>""",
    )


def refused_page(*, user: str) -> str:
    """Build the page that says that a subject may not be watched, whether or not there is one."""
    out = _sign_out(user) if user else ""
    return _page(
        "Not for you to see",
        f"""{_text("There is no subject of this name that you may watch.")}<a class="card-button"
      href="./">Whom I may watch</a>{out}""",
    )


def failed_page(*, title: str, text: str) -> str:
    """Build the page that says why a sign-in failed."""
    return _page(
        title,
        f"""{_text(text, is_alert=True)}<a class="card-button" href="sign-in?left=1">Sign in
      again</a>""",
    )


def _page(title: str, body: str) -> str:
    return _NOTICE.substitute(title=escape(title), body=body)


def _text(text: str, *, is_alert: bool = False) -> str:
    role = ' role="alert"' if is_alert else ""
    return f'<p class="card-text"{role}>{escape(text)}</p>\n    ' if text else ""


def _sign_out(user: str) -> str:
    return f"""<form method="post" action="sign-out">
      <button class="card-button is-quiet" type="submit">Sign out {escape(user)}</button>
    </form>"""
