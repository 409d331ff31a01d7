"""How commands that read from a server reach it."""

from ingest.settings import ProcessSettings
from processors.settings import InfluxSettings


class InfluxSourceSettings(InfluxSettings):
    """The sink's InfluxDB, as the sink's settings name it."""

    url: str = "http://127.0.0.1:8086"


class SourceSettings(ProcessSettings):
    """Sources that are servers."""

    influx: InfluxSourceSettings = InfluxSourceSettings()
