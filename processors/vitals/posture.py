"""Posture of the trunk from gravity, for an accelerometer on the chest whose mounting is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from processors.dsp.state import State, translated_errors
from processors.vitals.derived import Algorithm
from processors.vitals.gravity import Vector

_KIND = "posture_judge"
_VERSION = 1


class Posture(IntEnum):
    """The values of ``codes.POSTURE``; left and right are the side that is below."""

    UNKNOWN = 0
    UPRIGHT = 1
    SUPINE = 2
    PRONE = 3
    LEFT = 4
    RIGHT = 5
    LEANING = 6
    """Between upright and lying: reclined, propped up in bed, bent over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """How a device sits on the chest: directions of the wearer in the axes of the device.

    Each is the unit vector that the accelerometer shows at rest while that side of the wearer is
    uppermost: ``head`` while standing, ``front`` while lying on the back, ``right`` while lying on
    the left side.
    """

    head: Vector
    front: Vector
    right: Vector


POLAR_H10: Final = Mount(head=(-1.0, 0.0, 0.0), front=(0.0, 0.0, 1.0), right=(0.0, 1.0, 0.0))
"""In its strap with the name readable: x shows to the feet, z away from the chest. The maker's
drawing leaves the sense of y open, and left and right rest on other users' code: lie down on one
side and look before they are relied on."""

MOUNTS: Final[Mapping[str, Mount]] = MappingProxyType({"Polar H10": POLAR_H10})
"""By device model. A device on an arm (Polar Verity Sense) has no mount: arms hang, lie and swing
in any trunk's posture."""

_UPRIGHT_DEG_MAX: Final = 35.0
_LYING_DEG_MIN: Final = 65.0
"""Trunk against the vertical: chairs recline to some 30 degrees, a bed's head to 60 is leaning."""
_HYSTERESIS_DEG: Final = 5.0
_N_HELD_MIN: Final = 3
"""Seconds before a new posture is believed: turning over passes through others."""
_GRAVITY_G_MIN: Final = 0.8
_GRAVITY_G_MAX: Final = 1.2
"""Outside, what the low-pass shows is not gravity alone."""

POSTURE: Final = Algorithm(
    name="posture",
    version=1,
    method=(
        "Angle of the trunk against gravity (low-pass of 0.3 Hz): upright under 35 degrees, lying"
        " over 65, by the side that is uppermost; 5 degrees of hysteresis. 1 upright, 2 supine, 3"
        " prone, 4 on the left side, 5 on the right side, 6 leaning or reclined, 0 unknown."
    ),
    source="Fortune, Lugade and Kaufman, J Biomech Eng 136:051010 (2014)",
    delay_s=0.0,
    averaging="Held for three seconds; on each change and every ten seconds.",
    validity=(
        "On the chest, for device models whose mounting is known; gravity between 0.8 and 1.2 g."
    ),
)


class PostureJudge:
    """Says the posture each second, a change only when it lasts."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self.posture: Posture = Posture.UNKNOWN
        self._next: Posture = Posture.UNKNOWN
        self._n_held = 0

    def judge(self, gravity_g: Vector) -> Posture:
        """Take gravity at a whole second, in g on the device's axes."""
        seen = self._seen(gravity_g)
        self._n_held = self._n_held + 1 if seen == self._next else 1
        self._next = seen
        if self._n_held >= _N_HELD_MIN:
            self.posture = seen
        return self.posture

    def _seen(self, gravity_g: Vector) -> Posture:
        length = math.hypot(*gravity_g)
        if not _GRAVITY_G_MIN <= length <= _GRAVITY_G_MAX:
            return Posture.UNKNOWN
        tilt_deg = math.degrees(math.acos(_clamped(_dot(gravity_g, self._mount.head) / length)))
        upright_max = _UPRIGHT_DEG_MAX + self._favour(self.posture is Posture.UPRIGHT)
        lies = self.posture not in (Posture.UNKNOWN, Posture.UPRIGHT, Posture.LEANING)
        if tilt_deg <= upright_max:
            return Posture.UPRIGHT
        if tilt_deg < _LYING_DEG_MIN - self._favour(lies):
            return Posture.LEANING
        return self._side(gravity_g)

    def _side(self, gravity_g: Vector) -> Posture:
        """Which side is uppermost; the present one keeps its place a little longer."""
        front = _dot(gravity_g, self._mount.front)
        right = _dot(gravity_g, self._mount.right)
        turn_deg = math.degrees(math.atan2(abs(right), abs(front)))
        flat = self.posture in (Posture.SUPINE, Posture.PRONE)
        aside = self.posture in (Posture.LEFT, Posture.RIGHT)
        if turn_deg <= 45.0 + self._favour(flat) - self._favour(aside):
            return Posture.SUPINE if front > 0 else Posture.PRONE
        return Posture.LEFT if right > 0 else Posture.RIGHT

    @staticmethod
    def _favour(present: bool) -> float:  # noqa: FBT001
        return _HYSTERESIS_DEG if present else 0.0

    def reset(self) -> None:
        """Forget the signal so far."""
        self.posture = Posture.UNKNOWN
        self._next = Posture.UNKNOWN
        self._n_held = 0

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "posture": int(self.posture),
                "next": int(self._next),
                "n_held": self._n_held,
            },
            children={"mount": mount_bytes(self._mount)},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> PostureJudge:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls(mount_from_bytes(kept.child("mount")))
        with translated_errors(_KIND):
            restored.posture = Posture(kept.integer("posture"))
            restored._next = Posture(kept.integer("next"))
        restored._n_held = kept.integer("n_held")
        return restored


def mount_bytes(mount: Mount) -> bytes:
    """Write a mount down."""
    named = {"head": mount.head, "front": mount.front, "right": mount.right}
    return State(
        kind="mount",
        version=_VERSION,
        scalars={
            f"{name}_{axis}": value
            for name, vector in named.items()
            for axis, value in zip("xyz", vector, strict=True)
        },
    ).to_bytes()


def mount_from_bytes(state: bytes) -> Mount:
    """Read a mount back; raises StateError."""
    kept = State.from_bytes(state, kind="mount", version=_VERSION)

    def vector(name: str) -> Vector:
        return (
            kept.number(f"{name}_x"),
            kept.number(f"{name}_y"),
            kept.number(f"{name}_z"),
        )

    return Mount(head=vector("head"), front=vector("front"), right=vector("right"))


def _dot(one: Vector, other: Vector) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _clamped(cosine: float) -> float:
    return max(-1.0, min(1.0, cosine))
