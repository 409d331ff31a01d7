"""``chevet grafana-live``: the last seconds of watched subjects to Grafana's panels."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deploy.options import config_option, fail, kafka_option, read_settings
from deploy.process import EXIT_USAGE, run_until_signal, set_up_logs

if TYPE_CHECKING:
    from processors.settings import GrafanaLiveSettings

_NOBODY = (
    "nobody is watched, so nothing is pushed: name subjects or patterns in watched "
    "(--watch 'icu-*', CHEVET_WATCHED='[\"icu-*\"]' or the TOML file)"
)


@click.command("grafana-live")
@config_option
@kafka_option
@click.option("--grafana-url", metavar="URL", help="Grafana; or the setting grafana.url.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The token of a service account that may push (live:push); or grafana.token_file.",
)
@click.option(
    "--watch", "watched", multiple=True, metavar="PATTERN", help="Subjects that may be watched."
)
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="As chevet worker; 0: none.")
def grafana_live(
    config: Path | None,
    kafka: str | None,
    grafana_url: str | None,
    token_file: Path | None,
    watched: tuple[str, ...],
    metrics_port: int | None,
) -> None:
    """Push waveforms, numerals and events of watched subjects to Grafana Live.

    Ten times a second, one channel per subject and signal: stream/chevet/SUBJECT_ecg, _pleth,
    _resp, _numerals, _events. What is late, or cannot be delivered at once, is dropped and
    counted. Nothing else waits for it.
    """
    from processors.settings import GrafanaLiveSettings

    given = {"url": grafana_url, "token_file": token_file}
    loaded = read_settings(
        GrafanaLiveSettings,
        config,
        watched=watched or None,
        metrics_port=metrics_port,
        # Laid over what file and environment say of Grafana.
        grafana={name: value for name, value in given.items() if value is not None} or None,
    )
    if loaded.grafana is None:
        fail("no Grafana is named: --grafana-url and --token-file", EXIT_USAGE)
    set_up_logs(loaded.log_level)
    if kafka:
        servers = loaded.kafka.model_copy(update={"bootstrap_servers": kafka})
        loaded = loaded.model_copy(update={"kafka": servers})
    from ingest.errors import BrokerRefusedError
    from processors.sinks.grafana_live.client import TokenError

    try:
        run_until_signal(lambda stop: run_grafana_live_role(loaded, stop))
    except (TokenError, BrokerRefusedError, OSError) as error:
        fail(str(error))


async def run_grafana_live_role(settings: "GrafanaLiveSettings", stop: asyncio.Event) -> None:
    """Push until ``stop`` is set.

    Raises
    ------
    TokenError, BrokerRefusedError
    OSError
        The port of ``/live``, ``/ready`` and ``/metrics`` cannot be had.
    """
    import structlog

    from ingest.role_status import GRAFANA_LIVE
    from ingest.status_reporter import StatusReporter, reporting
    from processors.health import HealthServer
    from processors.sinks.grafana_live.client import PushClient, TokenError
    from processors.sinks.grafana_live.pusher import LivePusher
    from processors.sinks.grafana_live.runner import GrafanaLive, run_grafana_live
    from processors.sinks.watched import WaveformChoice

    log = structlog.get_logger()
    grafana = settings.grafana
    if grafana is None:
        raise TokenError("no Grafana is named: grafana.url and grafana.token_file")
    client = PushClient(
        url=grafana.url,
        stream=grafana.stream,
        token_file=grafana.token_file,
        timeout_s=grafana.timeout_s,
        ssl_ca_file=grafana.ssl_ca_file,
    )
    pusher = LivePusher(
        WaveformChoice("watched", settings.watched),
        n_subjects_max=settings.n_subjects_max,
        late_s=settings.late_s,
    )
    live = GrafanaLive(pusher, client, interval_s=settings.interval_s)
    port = settings.metrics_port or None
    # Who has nothing to do does not stand still.
    health = HealthServer(
        lambda: live.is_live or not settings.watched,
        lambda: live.is_ready,
        port,
        host=settings.metrics_host,
    )
    reporter = StatusReporter(settings.kafka, GRAFANA_LIVE, settings.instance, live.said)
    with health:
        if not settings.watched:
            log.warning("nobody_is_watched", hint=_NOBODY)
            await stop.wait()
            return
        log.info("grafana_live_begins", url=grafana.url, watched=len(settings.watched))
        async with client, reporting(reporter):
            await run_grafana_live(settings.kafka, live, stop)
