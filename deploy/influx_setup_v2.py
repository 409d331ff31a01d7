"""The buckets, mappings and authorizations of InfluxDB 2.x, through its v2 API.

Buckets whose names have a slash, ``DATABASE/POLICY``, are found by InfluxQL without a mapping: 2.x
maps each bucket by its name, virtually. But it calls *every* virtual mapping the default of its
database, so with three of them ``FROM "observation"`` may look into any: the bucket that is kept
long has a mapping of its own, the default. The others get one only where the server lists none.

There are no tasks: envelopes and trends are made by the sink, so nothing is computed in the
database, and retention is a bucket's own.

Source: InfluxDB v2 API, ``/api/v2/orgs``, ``/buckets``, ``/dbrps``, ``/authorizations``; "Database
and retention policy mapping" (2.7).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.domain.authorization_post_request import AuthorizationPostRequest
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.dbrp_create import DBRPCreate
from influxdb_client.domain.dbrp_update import DBRPUpdate
from influxdb_client.domain.patch_bucket_request import PatchBucketRequest
from influxdb_client.domain.permission import Permission
from influxdb_client.domain.permission_resource import PermissionResource
from influxdb_client.domain.post_bucket_request import PostBucketRequest
from influxdb_client.rest import ApiException
from influxdb_client.service.authorizations_service import AuthorizationsService
from influxdb_client.service.buckets_service import BucketsService
from influxdb_client.service.dbr_ps_service import DBRPsService
from urllib3.exceptions import HTTPError

from deploy.influx_setup import (
    BucketPlan,
    Finding,
    SetupError,
    State,
    compared,
    kept_text,
    token_of,
)
from processors.settings import InfluxSetupSettings
from processors.sinks.measurements import MEASUREMENTS, Bucket

DEFAULT_POLICY: Final = "autogen"
"""The policy that InfluxQL knows a bucket without a slash by."""

_REFUSED: Final = frozenset({401, 403})
_S_PER_H: Final = 3_600


@dataclass(frozen=True, slots=True)
class _User:
    """Who gets a token, and what it may do in the buckets; nothing else, and nowhere else."""

    name: str
    action: str

    @property
    def description(self) -> str:
        """By which it is found again."""
        return f"chevet {self.name}: {self.action}"


USERS: Final = (_User("sink", "write"), _User("grafana", "read"))


def set_up_v2(
    settings: InfluxSetupSettings, plan: Sequence[BucketPlan], *, check: bool, shorten: bool
) -> tuple[list[Finding], dict[str, str]]:
    """Make buckets, mappings and authorizations, or say what differs.

    Returns
    -------
    findings, tokens
        The tokens that were made, by who uses them.

    Raises
    ------
    SetupError
    """
    with InfluxDBClient(
        url=settings.url,
        token=token_of(settings),
        org=settings.org,
        timeout=int(settings.timeout_s * 1000),
    ) as client:
        setup = _Setup(client, settings, check=check, shorten=shorten)
        try:
            findings = list(setup.run(plan))
        except ApiException as error:
            raise SetupError(_words(error, settings)) from error
        except (HTTPError, OSError) as error:
            raise SetupError(f"InfluxDB at {settings.url}: {error}") from error
    return findings, setup.tokens


class _Setup:
    def __init__(
        self, client: InfluxDBClient, settings: InfluxSetupSettings, *, check: bool, shorten: bool
    ) -> None:
        self.tokens: dict[str, str] = {}
        self._settings = settings
        self._check = check
        self._shorten = shorten
        self._organizations = client.organizations_api()
        self._buckets = BucketsService(client.api_client)  # type: ignore[no-untyped-call]
        self._mappings = DBRPsService(client.api_client)  # type: ignore[no-untyped-call]
        self._authorizations = AuthorizationsService(client.api_client)  # type: ignore[no-untyped-call]
        self._org_id = ""

    def run(self, plan: Sequence[BucketPlan]) -> Iterator[Finding]:
        """Go through everything, in the order in which one needs the other."""
        self._org_id = self._organization()
        ids: dict[Bucket, str] = {}
        for one in plan:
            finding, bucket_id = self._bucket(one)
            yield finding
            if bucket_id:
                ids[one.bucket] = bucket_id
        yield from self._map(plan, ids)
        for user in USERS:
            yield self._authorize(user, ids if len(ids) == len(plan) else {})

    def _organization(self) -> str:
        found = self._organizations.find_organizations(org=self._settings.org)  # type: ignore[no-untyped-call]
        if not found:
            raise SetupError(
                f"InfluxDB at {self._settings.url} has no organization {self._settings.org}: it is "
                "made with the server's first user (influx setup)"
            )
        return str(found[0].id)

    # Buckets

    def _bucket(self, plan: BucketPlan) -> tuple[Finding, str]:
        what, wanted = f"bucket {plan.name}", kept_text(plan.retention_h, plan.shard_h)
        listed = self._buckets.get_buckets(name=plan.name, org_id=self._org_id)  # type: ignore[no-untyped-call]
        found = next((one for one in listed.buckets or () if one.name == plan.name), None)
        if found is None and self._check:
            return Finding(what=what, state="missing", detail=f"planned: {wanted}"), ""
        if found is None:
            made = self._buckets.post_buckets(  # type: ignore[no-untyped-call]
                post_bucket_request=PostBucketRequest(  # type: ignore[no-untyped-call]
                    org_id=self._org_id,
                    name=plan.name,
                    description=_description(plan.bucket),
                    retention_rules=[_rule(plan)],
                )
            )
            return Finding(what=what, state="made", detail=wanted), str(made.id)
        state, detail = compared(plan, *_hours(found), shorten=self._shorten)
        if state == "changed" and self._check:
            state = "different"
        if state == "changed":
            self._buckets.patch_buckets_id(  # type: ignore[no-untyped-call]
                bucket_id=found.id,
                patch_bucket_request=PatchBucketRequest(retention_rules=[_rule(plan)]),  # type: ignore[no-untyped-call]
            )
        return Finding(what=what, state=state, detail=detail), str(found.id)

    # Mappings

    def _map(self, plan: Sequence[BucketPlan], ids: dict[Bucket, str]) -> Iterator[Finding]:
        listed = self._mappings.get_dbr_ps(org_id=self._org_id, db=plan[0].database)  # type: ignore[no-untyped-call]
        for one in plan:
            yield self._mapping(one, listed.content or [], ids.get(one.bucket, ""))

    def _mapping(self, plan: BucketPlan, listed: Sequence[Any], bucket_id: str) -> Finding:
        policy, is_default = plan.policy or DEFAULT_POLICY, plan.bucket is Bucket.LONG
        what = f"mapping {plan.database}/{policy}"
        found = [
            one
            for one in listed
            if one.retention_policy == policy and not (is_default and one.virtual)
        ]
        # One that somebody has made goes before the virtual one.
        mapping = min(found, key=lambda one: bool(one.virtual), default=None)
        if mapping is None:
            return self._make_mapping(plan, what, policy, bucket_id)
        if mapping.bucket_id != bucket_id:
            detail = f"to bucket {mapping.bucket_id}, which is another; somebody has made it so"
            return Finding(what=what, state="different", detail=detail)
        if is_default and not mapping.default:
            if self._check:
                return Finding(what=what, state="different", detail="not the default")
            self._mappings.patch_dbrpid(  # type: ignore[no-untyped-call]
                dbrp_id=mapping.id,
                dbrp_update=DBRPUpdate(retention_policy=policy, default=True),  # type: ignore[no-untyped-call]
                org_id=self._org_id,
            )
            return Finding(what=what, state="changed", detail="the default now")
        return Finding(what=what, state="right", detail="virtual" if mapping.virtual else "made")

    def _make_mapping(self, plan: BucketPlan, what: str, policy: str, bucket_id: str) -> Finding:
        is_default = plan.bucket is Bucket.LONG
        detail = "the default" if is_default else ""
        if self._check:
            return Finding(what=what, state="missing", detail=detail)
        self._mappings.post_dbrp(  # type: ignore[no-untyped-call]
            dbrp_create=DBRPCreate(  # type: ignore[no-untyped-call]
                org_id=self._org_id,
                bucket_id=bucket_id,
                database=plan.database,
                retention_policy=policy,
                default=is_default,
            )
        )
        return Finding(what=what, state="made", detail=detail)

    # Authorizations

    def _authorize(self, user: _User, ids: dict[Bucket, str]) -> Finding:
        what = f"token of {user.name}"
        detail = f"may {user.action} these buckets and nothing else"
        wanted = {(user.action, "buckets", bucket_id) for bucket_id in ids.values()}
        listed = self._authorizations.get_authorizations(org_id=self._org_id)  # type: ignore[no-untyped-call]
        ours = [
            one
            for one in listed.authorizations or ()
            if one.description == user.description and one.status == "active"
        ]
        if wanted and any(_rights(one) == wanted for one in ours):
            return Finding(what=what, state="right", detail=detail)
        others = f"; {len(ours)} of other rights stay, remove them by hand" if ours else ""
        if self._check:
            state: State = "different" if ours else "missing"
            return Finding(what=what, state=state, detail=f"{detail}{others}")
        made = self._authorizations.post_authorizations(  # type: ignore[no-untyped-call]
            authorization_post_request=AuthorizationPostRequest(  # type: ignore[no-untyped-call]
                org_id=self._org_id,
                description=user.description,
                permissions=[
                    Permission(  # type: ignore[no-untyped-call]
                        action=user.action,
                        resource=PermissionResource(  # type: ignore[no-untyped-call]
                            type="buckets", id=bucket_id, org_id=self._org_id
                        ),
                    )
                    for bucket_id in ids.values()
                ],
            )
        )
        self.tokens[user.name] = str(made.token)
        return Finding(what=what, state="made", detail=f"{detail}{others}")


def _rule(plan: BucketPlan) -> BucketRetentionRules:
    return BucketRetentionRules(  # type: ignore[no-untyped-call]
        type="expire",
        every_seconds=plan.retention_s,
        shard_group_duration_seconds=plan.shard_s,
    )


def _hours(found: Any) -> tuple[float, float]:  # noqa: ANN401  # the client's model
    """Give how long a bucket keeps points, and in pieces of how long, in hours."""
    rules = found.retention_rules or []
    if not rules:
        return 0.0, 0.0
    return rules[0].every_seconds / _S_PER_H, (
        rules[0].shard_group_duration_seconds or 0
    ) / _S_PER_H


def _rights(authorization: Any) -> set[tuple[str, str, str]]:  # noqa: ANN401
    return {
        (one.action, one.resource.type, one.resource.id or "any")
        for one in authorization.permissions or ()
    }


def _description(bucket: Bucket) -> str:
    """Name what is in a bucket."""
    return "Chevet: " + ", ".join(one.name for one in MEASUREMENTS if one.bucket is bucket)


def _words(error: ApiException, settings: InfluxSetupSettings) -> str:
    said = str(error.message or error.reason or "")
    message = f"InfluxDB at {settings.url}: {error.status} {said}"
    if error.status in _REFUSED:
        return (
            f"{message}; it takes a token that may read and write buckets, mappings and "
            f"authorizations of {settings.org}: the one of the server's setup may"
        )
    return message
