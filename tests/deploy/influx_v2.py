"""A stand-in for InfluxDB 2: what its v2 API answers to the requests of the setup.

The contract, as the API's documentation has it (docs.influxdata.com/influxdb/v2/api, 2.7):

* ``GET /ping``: 204 with ``X-Influxdb-Version: v2.7.12``.
* Every ``/api/v2`` request carries ``Authorization: Token …``; without the right one: 401 with
  ``{"code": "unauthorized", "message": …}``.
* ``GET /api/v2/orgs?org=NAME``: ``{"orgs": [{"id", "name"}]}``; 404 where there is none.
* ``GET /api/v2/buckets?name=&orgID=``: ``{"buckets": […]}``, each with ``id``, ``orgID``, ``name``
  and ``retentionRules``. ``POST``: 201 with the bucket; a name that is taken: 422 ``conflict``.
  ``PATCH /api/v2/buckets/ID``.
* ``GET /api/v2/dbrps?orgID=&db=``: ``{"content": […]}``: the mappings that were made, and a virtual
  one of each bucket, by its name; each virtual one says ``default: true`` unless its bucket has a
  mapping that was made (the server's source, ``dbrp/service.go``). ``POST``: 201; the first of a
  database is its default. ``PATCH /api/v2/dbrps/ID?orgID=``: ``{"content": …}``.
* ``GET /api/v2/authorizations?orgID=``: ``{"authorizations": […]}`` without tokens' strings (2.9);
  ``POST`` 201 with the token, once. Permissions cannot be changed.
"""

import itertools
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "operator-token"  # noqa: S105  # nobody's
ORG = {"id": "0000000000000001", "name": "chevet"}

Json = dict[str, Any]


class FakeInflux2:
    """Keeps what it is told in memory, and every request that changes something."""

    def __init__(self, *, version: str = "v2.7.12", has_virtual_mappings: bool = True) -> None:
        self.version = version
        self.has_virtual_mappings = has_virtual_mappings
        self.buckets: list[Json] = []
        self.mappings: list[Json] = []
        self.authorizations: list[Json] = []
        self.changes: list[tuple[str, str]] = []
        self._ids = (f"{n:016x}" for n in itertools.count(0x10))
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                status, said = fake.answer(self.command, self.path, dict(self.headers), body)
                payload = json.dumps(said).encode() if said is not None else b""
                self.send_response(status)
                self.send_header("X-Influxdb-Version", fake.version)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PATCH = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FakeInflux2":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: Json
    ) -> tuple[int, Json | None]:
        parts = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path == "/ping":
            return 204, None
        if headers.get("Authorization") != f"Token {TOKEN}":
            return 401, {"code": "unauthorized", "message": "unauthorized access"}
        kind, _, item = parts.path.removeprefix("/api/v2/").partition("/")
        if method != "GET":
            self.changes.append((method, kind))
        handle = getattr(self, f"_{method.lower()}_{kind}", None)
        if handle is None:
            return 404, {"code": "not found", "message": f"path not found: {target}"}
        found: tuple[int, Json | None] = handle(query, body, item)
        return found

    def _get_orgs(self, query: Json, _body: Json, _item: str) -> tuple[int, Json]:
        if query["org"] != ORG["name"]:
            return 404, {"code": "not found", "message": f'organization name "{query["org"]}"'}
        return 200, {"orgs": [ORG]}

    def _get_buckets(self, query: Json, _body: Json, _item: str) -> tuple[int, Json]:
        assert query["orgID"] == ORG["id"]
        return 200, {"buckets": [one for one in self.buckets if one["name"] == query["name"]]}

    def _post_buckets(self, _query: Json, body: Json, _item: str) -> tuple[int, Json]:
        assert {"orgID", "name", "retentionRules"} <= set(body)
        if any(one["name"] == body["name"] for one in self.buckets):
            return 422, {"code": "conflict", "message": f"bucket {body['name']} already exists"}
        bucket = {"id": next(self._ids), "type": "user", **body}
        self.buckets.append(bucket)
        return 201, bucket

    def _patch_buckets(self, _query: Json, body: Json, item: str) -> tuple[int, Json]:
        bucket = next(one for one in self.buckets if one["id"] == item)
        assert set(body) == {"retentionRules"}
        bucket["retentionRules"] = body["retentionRules"]
        return 200, bucket

    def _get_dbrps(self, query: Json, _body: Json, _item: str) -> tuple[int, Json]:
        mapped = {one["bucketID"] for one in self.mappings}
        virtual = [
            {
                "id": one["id"],
                "orgID": ORG["id"],
                "bucketID": one["id"],
                "database": one["name"].partition("/")[0],
                "retention_policy": one["name"].partition("/")[2] or "autogen",
                "default": one["id"] not in mapped,
                "virtual": True,
            }
            for one in self.buckets
            if self.has_virtual_mappings
        ]
        content = [one for one in (*self.mappings, *virtual) if one["database"] == query["db"]]
        return 200, {"content": content}

    def _post_dbrps(self, _query: Json, body: Json, _item: str) -> tuple[int, Json]:
        assert {"orgID", "bucketID", "database", "retention_policy"} <= set(body)
        others = [one for one in self.mappings if one["database"] == body["database"]]
        if any(one["retention_policy"] == body["retention_policy"] for one in others):
            return 409, {"code": "conflict", "message": "another DBRP mapping"}
        mapping = {"id": next(self._ids), "virtual": False, **body}
        mapping["default"] = mapping["default"] or not others
        if mapping["default"]:
            for one in others:
                one["default"] = False
        self.mappings.append(mapping)
        return 201, mapping

    def _patch_dbrps(self, query: Json, body: Json, item: str) -> tuple[int, Json]:
        assert query["orgID"] == ORG["id"]
        mapping = next(one for one in self.mappings if one["id"] == item)
        for one in self.mappings:
            one["default"] = one is mapping
        mapping["retention_policy"] = body["retention_policy"]
        return 200, {"content": mapping}

    def _get_authorizations(self, query: Json, _body: Json, _item: str) -> tuple[int, Json]:
        assert query["orgID"] == ORG["id"]
        return 200, {"authorizations": [one | {"token": ""} for one in self.authorizations]}

    def _post_authorizations(self, _query: Json, body: Json, _item: str) -> tuple[int, Json]:
        assert {"orgID", "permissions"} <= set(body)
        identity = next(self._ids)
        made = {"id": identity, "status": "active", "token": f"secret-{identity}", **body}
        self.authorizations.append(made)
        return 201, made
