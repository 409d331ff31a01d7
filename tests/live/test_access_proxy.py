"""The live page behind a real nginx that speaks TLS, set as docs/live.md says."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from deploy.local.influx import find_nginx
from deploy.local.process import LOCALHOST, ServerProcess, free_ports
from processors.sinks.live import LiveHub, serve
from tests.live.certificates import Issued
from tests.live.entrance import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MANUAL = Path(__file__).parents[2] / "docs" / "live.md"
AROUND = """
daemon off; pid {folder}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    {server}
}}
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.add("anna", "icu-*")
    return house


def nginx(folder: Path, issued: Issued, port: int, page_port: int) -> ServerProcess:
    """Build the server of the manual, at other ports and with another certificate."""
    [server] = re.findall(r"```nginx\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)
    for written, here in (
        ("listen 443 ssl", f"listen {LOCALHOST}:{port} ssl"),
        ("/etc/chevet/tls.pem", str(issued.certificate)),
        ("/etc/chevet/tls.key", str(issued.key)),
        (f"{LOCALHOST}:8080", f"{LOCALHOST}:{page_port}"),
    ):
        assert written in server
        server = server.replace(written, here)
    config = folder / "nginx.conf"
    config.write_text(AROUND.format(folder=folder, server=server))

    def ready() -> bool:
        with socket.create_connection((LOCALHOST, port), timeout=1):
            return True

    command = [str(find_nginx()), "-e", "stderr", "-p", str(folder), "-c", str(config)]
    return ServerProcess(name="nginx", command=command, folder=folder, ready=ready)


@pytest.fixture
async def url(hub: LiveHub, house: House, tmp_path: Path) -> AsyncIterator[str]:
    port, page_port = free_ports(2)
    proxy = nginx(tmp_path, Issued(tmp_path), port, page_port)
    proxies = (ipaddress.ip_network(f"{LOCALHOST}/32"),)
    entrance = house.entrance(proxies=proxies, is_secure=True)
    stop, ready = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(
        serve(hub, port=page_port, entrance=entrance, stop=stop, on_ready=lambda _: ready.set())
    )
    await asyncio.wait_for(ready.wait(), timeout=30)
    await asyncio.to_thread(proxy.start)
    yield f"https://localhost:{port}/"
    await asyncio.to_thread(proxy.stop)
    stop.set()
    await asyncio.wait_for(serving, timeout=30)


async def test_one_signs_in_and_watches_through_the_proxy(
    url: str, house: House, tmp_path: Path
) -> None:
    trust = ssl.create_default_context(cafile=str(tmp_path / "tls.pem"))
    origin = {"Origin": url.rstrip("/"), "X-Forwarded-For": "192.0.2.1"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        first = await session.get(url)
        assert first.url.path == "/sign-in"
        form = {"token": house.tokens["anna"]}
        await session.post(f"{url}sign-in", data=form, headers=origin)
        assert [cookie.key for cookie in session.cookie_jar] == ["__Host-chevet"]

        async with session.ws_connect(f"{url}ws?subject=icu-7", headers=origin) as socket_:
            assert (await socket_.receive_json(timeout=30))["subject"] == "icu-7"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{url}ws?subject=ward-3", headers=origin)

    assert refused.value.status == 403
    assert {line["address"] for line in house.logged() if "address" in line} == {LOCALHOST}, (
        "the proxy says where they come from, not they themselves"
    )
