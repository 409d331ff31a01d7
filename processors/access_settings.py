"""Settings of the live page's access: who signs in how, who may watch whom, and TLS."""

import ipaddress
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from ingest.frame import NAME_CHARS_MAX

_CONFIG: Final = ConfigDict(
    frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
)
_Pattern = Annotated[str, StringConstraints(min_length=1, max_length=NAME_CHARS_MAX)]
_Word = Annotated[str, StringConstraints(min_length=1, max_length=256)]


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def secure_url(url: str) -> str:
    """Check that an address begins with ``https://``, or ``http://`` and this machine.

    Raises
    ------
    ValueError
    """
    parts = urlsplit(url)
    is_secure = parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(parts.hostname or "")
    )
    if not parts.hostname or not is_secure:
        raise ValueError(f"{url!r} does not begin with https:// (http:// on this machine only)")
    if parts.query or parts.fragment or parts.username:
        raise ValueError(f"{url!r} has more than a host and a path")
    return url


PageUrl = Annotated[str, AfterValidator(secure_url)]


class OidcSettings(BaseModel):
    """The OpenID Connect provider that says who somebody is."""

    model_config = _CONFIG

    issuer: PageUrl
    """As the provider calls itself; its configuration is read at
    ``ISSUER/.well-known/openid-configuration``."""
    client_id: _Word
    client_secret: SecretStr | None = None
    """None: a public client. Better given as a variable than in a file that others read."""
    scopes: tuple[_Word, ...] = ("openid", "profile")
    user_claim: _Word = "preferred_username"
    """Claim of the ID token that names a user in the access log; ``sub`` where it is missing."""
    groups_claim: _Word = "groups"
    """Claim of the ID token with the groups; of one within another: ``realm_access.roles``."""

    @model_validator(mode="after")
    def _asks_for_an_id_token(self) -> "OidcSettings":
        if "openid" not in self.scopes:
            raise ValueError("scopes need openid")
        return self


class AccessSettings(BaseModel):
    """Who signs in how, and who may watch whom."""

    model_config = _CONFIG

    mode: Literal["open", "tokens", "oidc"] = "open"
    """open: nobody signs in; on the loopback interface only. tokens: by a token from the file of
    users. oidc: through an OpenID Connect provider."""
    users_file: Path = Path("var/live/users.json")
    """Of mode tokens; written by ``chevet live token``."""
    log_file: Path = Path("var/live/access.jsonl")
    """Who watched whom. Where it cannot be written nothing is shown. Not of mode open."""
    idle_s: Annotated[float, Field(ge=60, le=86_400)] = 1_800.0
    """A session that no page used for so long ends."""
    session_s: Annotated[float, Field(ge=60, le=2_592_000)] = 43_200.0
    """A session ends after so long, used or not."""
    oidc: OidcSettings | None = None
    """Of mode oidc."""
    rights: dict[_Word, tuple[_Pattern, ...]] = {}
    """Of mode oidc: group to subjects, or patterns of them with ``*``, ``?`` and ``[...]``."""

    annotators: tuple[_Word, ...] = ()
    """Who may mark what they may watch: of mode tokens names of users, of mode oidc groups."""

    @model_validator(mode="after")
    def _complete(self) -> "AccessSettings":
        if self.mode == "open" and self.annotators:
            raise ValueError(
                'annotators with mode = "open": where nobody signs in nobody has a name'
            )
        if (self.mode == "oidc") != (self.oidc is not None):
            raise ValueError(f'mode = "{self.mode}": [access.oidc] belongs to mode "oidc"')
        if (self.mode == "oidc") != bool(self.rights):
            raise ValueError(
                f'mode = "{self.mode}" and {len(self.rights)} groups in [access.rights]: of mode '
                '"oidc" they say who may watch whom, of others nothing'
            )
        return self


class TlsSettings(BaseModel):
    """TLS of the live page: its own, or of a proxy in front of it."""

    model_config = _CONFIG

    certificate: Path | None = None
    """PEM file with the certificate and those between it and the authority. Read again when it
    changes."""
    key: Path | None = None
    """PEM file with the key of that certificate."""
    terminated_by_proxy: bool = False
    """A proxy speaks TLS with the browsers. It hands ``Host`` on and sets ``X-Forwarded-For``."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses of that proxy. Nobody else gets an answer."""

    @model_validator(mode="after")
    def _complete(self) -> "TlsSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.certificate is not None and self.terminated_by_proxy:
            raise ValueError("either a certificate or terminated_by_proxy")
        if self.terminated_by_proxy != bool(self.trusted_proxies):
            raise ValueError("terminated_by_proxy and trusted_proxies go together")
        return self

    @property
    def is_secure(self) -> bool:
        """Whether browsers come through TLS."""
        return self.certificate is not None or self.terminated_by_proxy


def listening_fault(host: str, mode: str, *, is_secure: bool) -> str | None:
    """Tell why the page may not be served at this host; None: it may."""
    if is_loopback(host):
        return None
    if mode == "open":
        return (
            f'access.mode = "open" and host {host}: whoever reaches it would see every patient. '
            'Set access.mode to "tokens" or "oidc", or listen on 127.0.0.1'
        )
    if not is_secure:
        return (
            f"host {host} without TLS: tokens and signals would pass in the clear. Set "
            "tls.certificate and tls.key, or tls.terminated_by_proxy with tls.trusted_proxies, "
            "or listen on 127.0.0.1"
        )
    return None
