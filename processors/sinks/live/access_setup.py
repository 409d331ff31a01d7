"""From settings to a gate, a way to sign in, and TLS."""

from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from processors.access_settings import AccessSettings, OidcSettings, TlsSettings
from processors.sinks.live.access import Access, patterns_of_groups
from processors.sinks.live.access_clients import Clients
from processors.sinks.live.access_gate import Gate
from processors.sinks.live.access_log import AccessLog
from processors.sinks.live.access_tls import Certificate
from processors.sinks.live.access_users_file import UsersFile
from processors.sinks.live.sessions import Sessions
from processors.sinks.live.sign_in import TokenSignIn


class SignIn(Protocol):
    """A way to sign in."""

    def add_routes(self, app: web.Application) -> None:
        """Add what it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """How one comes to the live page."""

    gate: Gate | None = None
    """None: nobody is asked who they are."""
    sign_in: SignIn | None = None
    certificate: Certificate | None = None
    is_secure: bool = False
    """Browsers come through TLS."""


OPEN_DOOR = Entrance()
"""For the loopback interface."""


def build_entrance(access: AccessSettings, tls: TlsSettings, *, url: str | None = None) -> Entrance:
    """Build what the settings ask for. Not before the event loop runs.

    Parameters
    ----------
    url
        How browsers call the page; with a provider it is needed.

    Raises
    ------
    UsersError, AccessLogError, OSError
        A file cannot be used.
    """
    certificate = None
    if tls.certificate is not None and tls.key is not None:
        certificate = Certificate(tls.certificate, tls.key)
    if access.mode == "open":
        return Entrance(certificate=certificate, is_secure=tls.is_secure)
    if access.oidc is not None and url is not None:
        gate, sign_in = _by_provider(access, access.oidc, tls, url)
    else:
        gate, sign_in = _by_tokens(access, tls)
    return Entrance(gate=gate, sign_in=sign_in, certificate=certificate, is_secure=tls.is_secure)


def _by_tokens(settings: AccessSettings, tls: TlsSettings) -> tuple[Gate, SignIn]:
    users = UsersFile(settings.users_file)
    annotators = frozenset(settings.annotators)
    gate = _gate(settings, tls, Access(users.patterns_of, lambda user: user.user in annotators))
    return gate, TokenSignIn(gate, users.find)


def _by_provider(
    settings: AccessSettings, oidc: OidcSettings, tls: TlsSettings, url: str
) -> tuple[Gate, SignIn]:
    # Only who asks a provider needs what reads its tokens.
    from processors.sinks.live.sign_in_oidc import OidcSignIn  # noqa: PLC0415
    from processors.sinks.live.sign_in_provider import Provider  # noqa: PLC0415

    # By group alone: with many providers people may name themselves as they like.
    annotators = frozenset(settings.annotators)
    access = Access(
        patterns_of_groups(settings.rights), lambda user: not annotators.isdisjoint(user.groups)
    )
    gate = _gate(settings, tls, access)
    provider = Provider(oidc, f"{url.rstrip('/')}/sign-in-callback")
    return gate, OidcSignIn(gate, access, provider)


def _gate(settings: AccessSettings, tls: TlsSettings, access: Access) -> Gate:
    return Gate(
        access,
        Sessions(idle_s=settings.idle_s, session_s=settings.session_s),
        AccessLog(settings.log_file),
        Clients(tls.trusted_proxies),
        is_secure=tls.is_secure,
    )
