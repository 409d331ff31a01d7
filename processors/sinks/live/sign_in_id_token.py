"""What an ID token says, if it is believed: OpenID Connect Core 1.0, section 3.1.3.7."""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt

from processors.sinks.live.access import Identity

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Signatures that need the provider's own key. Never ``none``, never a shared secret."""
LEEWAY_S: Final = 60
"""So much may the provider's clock and ours differ."""
GROUPS_MAX: Final = 1_000
TEXT_CHARS_MAX: Final = 256


class IdTokenError(Exception):
    """An ID token that is not believed."""


class UnknownKeyError(IdTokenError):
    """It is signed by a key that the provider did not publish when it was last asked."""


def verify_id_token(
    token: str, keys: Sequence[Mapping[str, Any]], *, issuer: str, client_id: str, nonce: str
) -> Mapping[str, Any]:
    """Give the claims of an ID token that the provider made for us, now, for this sign-in.

    Parameters
    ----------
    keys
        The provider's keys (JWKS).

    Raises
    ------
    IdTokenError
    """
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS:
            raise IdTokenError(f"signed with {header.get('alg')!r}")
        claims: dict[str, Any] = jwt.decode(
            token,
            _key_of(header, keys),
            algorithms=list(ALGORITHMS),
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY_S,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
        )
    except jwt.PyJWTError as error:
        raise IdTokenError(str(error)) from error
    if not _is_for_us(claims, client_id):
        raise IdTokenError("it was made for another one beside us")
    if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise IdTokenError("it belongs to another sign-in (nonce)")
    return claims


def identity_of(claims: Mapping[str, Any], *, user_claim: str, groups_claim: str) -> Identity:
    """Read who somebody is.

    Raises
    ------
    IdTokenError
    """
    account = _text(claims.get("sub"))
    if not account:
        raise IdTokenError("it names nobody (sub)")
    user = _text(_find(claims, user_claim)) or account
    return Identity(user=user, account=account, groups=_groups(_find(claims, groups_claim)))


def _key_of(header: Mapping[str, Any], keys: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401
    """Choose by ``kid``; without one, the only key that signs."""
    signing = [key for key in keys if key.get("use", "sig") == "sig" and key.get("kty") != "oct"]
    kid = header.get("kid")
    if kid is not None:
        signing = [key for key in signing if key.get("kid") == kid]
    if len(signing) != 1:
        raise UnknownKeyError(f"{len(signing)} of the provider's keys have kid {kid!r}")
    return jwt.PyJWK(dict(signing[0]), algorithm=str(header["alg"])).key


def _is_for_us(claims: Mapping[str, Any], client_id: str) -> bool:
    audience = claims["aud"]
    n_others = len(audience) - 1 if isinstance(audience, list) else 0
    authorized = claims.get("azp")
    return authorized == client_id if authorized is not None or n_others else True


def _find(claims: Mapping[str, Any], name: str) -> object:
    """Find a claim by its name, or within others by a path with dots."""
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _text(value: object) -> str:
    return value[:TEXT_CHARS_MAX] if isinstance(value, str) else ""


def _groups(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    return tuple(group for group in listed[:GROUPS_MAX] if isinstance(group, str))
