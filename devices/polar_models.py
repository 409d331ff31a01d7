"""What Polar's sensors offer by their measurement data service (PMD), and what is odd about them.

Facts as the manufacturer publishes them, by model; what to start is the catalogue's business. A
setting that is not published is left out.

Source: polar-ble-sdk, documentation/products/*.md, SdkModeExplained.md, KnownIssues.md, PPIData.md
and TimeSystemExplained.md (2025); frame lengths from captures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from devices.polar_pmd import PmdMeasurement, PmdSettings

INTERVAL_WARM_UP_S: Final = 25.0
"""About what an optical sensor takes to its first pulse-to-pulse intervals."""
INTERVAL_PERIOD_S: Final = 5.0
"""How often heart rate is brought up to date while intervals are sent."""
OFF_STRAP_S: Final = 45.0
"""After this without its strap an H10 ends the link."""
DEFAULT_TIME_NS: Final = 599_616_000 * 10**9
"""Device time 2019-01-01, where an H10 begins when it has lost its power."""
ATT_MTU_FULL_FRAME: Final = 232
"""For a frame of 229 bytes, as an H10 (73 ECG samples) and a Verity Sense send, and its header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolarModel:
    """One model.

    Attributes
    ----------
    name
        As the catalogue calls it.
    model_numbers
        What it states of itself; a code name where that has been seen.
    streams
        Settings of each measurement it has; empty ones where nothing is published or to be chosen.
    sdk_streams
        The same in SDK mode; empty if it has none.
    misstated_rates_hz
        By measurement: the rate that it states, and the rate at which it truly samples.
    links_max
        Centrals at once; None: not published.
    att_mtu_min
        That its longest frames need; None: not known.
    default_time_ns
        Device time where it begins without power; None: not published.
    needs_stopping
        It goes on measuring without a central until its battery is empty.
    must_pair
        It serves one bonded central only.
    sharing_is_chosen
        The person has to allow it on the device first.
    contact_is_reliable
        Its contact flags can be believed; None: not published.
    """

    name: str
    model_numbers: tuple[str, ...]
    streams: Mapping[PmdMeasurement, PmdSettings] = field(
        default_factory=dict[PmdMeasurement, PmdSettings]
    )
    sdk_streams: Mapping[PmdMeasurement, PmdSettings] = field(
        default_factory=dict[PmdMeasurement, PmdSettings]
    )
    misstated_rates_hz: Mapping[PmdMeasurement, Mapping[int, int]] = field(
        default_factory=dict[PmdMeasurement, Mapping[int, int]]
    )
    links_max: int | None = None
    att_mtu_min: int | None = None
    default_time_ns: int | None = None
    needs_stopping: bool = False
    must_pair: bool = False
    sharing_is_chosen: bool = False
    contact_is_reliable: bool | None = None

    def true_rate_hz(self, measurement: PmdMeasurement, stated_hz: int) -> int:
        """Give the rate at which it samples, out of SDK mode, when it states one."""
        return self.misstated_rates_hz.get(measurement, {}).get(stated_hz, stated_hz)


def _settings(
    *rates_hz: int, bits: int, ranges: tuple[int, ...] = (), n_channels: tuple[int, ...] = ()
) -> PmdSettings:
    return PmdSettings(
        sample_rates_hz=rates_hz, resolutions_bits=(bits,), ranges=ranges, n_channels=n_channels
    )


_M: Final = PmdMeasurement
_UNPUBLISHED: Final = PmdSettings()

_ROWS: Final = (
    # Heart rate with RR intervals by the standard service, and no PMD.
    PolarModel(name="Polar H9", model_numbers=("H9",)),
    PolarModel(
        name="Polar H10",
        model_numbers=("H10",),
        streams={
            _M.ECG: _settings(130, bits=14),
            _M.ACC: _settings(25, 50, 100, 200, bits=16, ranges=(2, 4, 8)),
        },
        links_max=2,
        att_mtu_min=ATT_MTU_FULL_FRAME,
        default_time_ns=DEFAULT_TIME_NS,
        needs_stopping=True,
    ),
    PolarModel(
        name="Polar OH1",
        model_numbers=("OH1", "Polar OH1"),
        streams={
            _M.PPG: _settings(130, bits=22),
            _M.ACC: _settings(50, bits=16, ranges=(8,)),
            _M.PPI: _UNPUBLISHED,
        },
        misstated_rates_hz={_M.PPG: {130: 135}},
        contact_is_reliable=False,
    ),
    PolarModel(
        name="Polar Verity Sense",
        model_numbers=("Polar Verity Sense", "Verity Sense", "Polar Sense", "INW4J"),
        streams={
            _M.PPG: _settings(55, bits=22, n_channels=(4,)),
            _M.ACC: _settings(52, bits=16, ranges=(8,), n_channels=(3,)),
            _M.GYRO: _settings(52, bits=16, ranges=(2000,), n_channels=(3,)),
            _M.MAGNETOMETER: _settings(10, 20, 50, 100, bits=16, ranges=(50,), n_channels=(3,)),
            _M.PPI: _UNPUBLISHED,
        },
        sdk_streams={
            _M.PPG: _settings(28, 44, 55, 135, 176, bits=22, n_channels=(4,)),
            _M.ACC: _settings(
                26, 52, 104, 208, 416, bits=16, ranges=(2, 4, 8, 16), n_channels=(3,)
            ),
            _M.GYRO: _settings(
                26, 52, 104, 208, 416, bits=16, ranges=(250, 500, 1000, 2000), n_channels=(3,)
            ),
            _M.MAGNETOMETER: _settings(10, 20, 50, 100, bits=16, ranges=(50,), n_channels=(3,)),
        },
        # Firmware from 1.1.5 until 2.1.0.
        misstated_rates_hz={_M.PPG: {135: 55}},
        att_mtu_min=ATT_MTU_FULL_FRAME,
        contact_is_reliable=False,
    ),
    PolarModel(
        name="Polar 360",
        model_numbers=("Polar 360", "360", "INW5T"),
        streams={
            _M.PPG: _settings(22, bits=24),
            _M.ACC: _settings(50, bits=16, ranges=(8,)),
            _M.SKIN_TEMPERATURE: _settings(1, 2, 4, bits=32),
            _M.PPI: _UNPUBLISHED,
        },
        sdk_streams={
            _M.PPG: _settings(22, 50, 100, bits=24),
            _M.ACC: _settings(12, 25, 50, 100, 200, 400, bits=16, ranges=(2, 4, 8, 16)),
            _M.SKIN_TEMPERATURE: _settings(1, 2, 4, bits=32),
        },
        links_max=1,
        must_pair=True,
    ),
    PolarModel(
        name="Polar Ignite 3",
        model_numbers=("Polar Ignite 3", "Ignite 3"),
        streams={_M.ACC: _settings(50, bits=16, ranges=(8,)), _M.PPI: _UNPUBLISHED},
        sharing_is_chosen=True,
    ),
    PolarModel(
        name="Polar Vantage V3",
        model_numbers=(
            "Polar Vantage V3",
            "Vantage V3",
            "Polar Vantage M3",
            "Vantage M3",
            "Polar Grit X2 Pro",
            "Grit X2 Pro",
        ),
        streams={
            _M.ACC: _settings(50, bits=16, ranges=(8,)),
            _M.PPG: _UNPUBLISHED,
            _M.PPI: _UNPUBLISHED,
            _M.GYRO: _UNPUBLISHED,
            _M.MAGNETOMETER: _UNPUBLISHED,
            _M.PRESSURE: _UNPUBLISHED,
            _M.SKIN_TEMPERATURE: _UNPUBLISHED,
        },
        sharing_is_chosen=True,
    ),
)

POLAR_MODELS: Final[Mapping[str, PolarModel]] = MappingProxyType({row.name: row for row in _ROWS})
"""Every model by its name."""
