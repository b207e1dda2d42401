"""What a driver may lack and a service may get wrong, by name."""

from enum import Enum
from typing import ClassVar
from unittest import SkipTest

from atomic_manifest.store.conditions import Condition, IfAbsent, IfMatch
from atomic_manifest.store.driver import Driver


class Feature(Enum):
    """A part of the `Driver` protocol that not every service has."""

    PUT_ANY = "put with IfMatch.ANY"
    PUT_SEVERAL = "put with IfMatch of several tags"
    PUT_RACES = "racing conditional puts have one winner"
    UPLOAD_ABSENT = "upload with IfAbsent"
    UPLOAD_MATCH = "upload with IfMatch"
    UPLOAD_ANY = "upload with IfMatch.ANY"
    UPLOAD_LATE = "the condition of an upload is asked at its end, and only there"
    UPLOAD_RACES = "racing conditional uploads have one winner"
    COPY = "copy"
    COPY_ABSENT = "copy with IfAbsent"
    COPY_MATCH = "copy with IfMatch"
    COPY_ANY = "copy with IfMatch.ANY"
    COPY_SOURCE = "copy with a condition on the source"
    COPY_RACES = "racing conditional copies have one winner"
    DELETE_MATCH = "delete with IfMatch"
    DELETE_ANY = "delete with IfMatch.ANY"
    DELETE_MISSING = "a conditional deletion of nothing is refused"
    DELETE_RACES = "racing conditional deletions have one winner"


_COPIES = {
    Feature.COPY: {},
    Feature.COPY_ABSENT: {"when": IfAbsent()},
    Feature.COPY_MATCH: {"when": IfMatch("0")},
    Feature.COPY_ANY: {"when": IfMatch.ANY},
    Feature.COPY_SOURCE: {"source_when": IfMatch("0")},
}
_CONDITIONS: dict[Feature, Condition] = {
    Feature.PUT_ANY: IfMatch.ANY,
    Feature.PUT_SEVERAL: IfMatch("0", "1"),
    Feature.UPLOAD_ABSENT: IfAbsent(),
    Feature.UPLOAD_MATCH: IfMatch("0"),
    Feature.UPLOAD_ANY: IfMatch.ANY,
    Feature.DELETE_MATCH: IfMatch("0"),
    Feature.DELETE_ANY: IfMatch.ANY,
}


def ask(driver: Driver, feature: Feature) -> None:
    """Ask for `feature` in the simplest way, on the path `feature`."""
    condition = _CONDITIONS.get(feature)
    match feature.name.split("_"):
        case ["PUT", "ANY" | "SEVERAL"]:
            driver.put("feature", b"", when=condition)
        case ["UPLOAD", "ABSENT" | "MATCH" | "ANY"]:
            driver.start_upload("feature", part_size=1, max_in_flight=1, when=condition).abort()
        case ["COPY"] | ["COPY", "ABSENT" | "MATCH" | "ANY" | "SOURCE"]:
            driver.copy("source", "feature", **_COPIES[feature])  # type: ignore[arg-type]
        case ["DELETE", "MATCH" | "ANY"] if isinstance(condition, IfMatch):
            driver.delete("feature", when=condition)
        case _:
            raise ValueError(f"not for a driver to refuse: {feature.value}")


class FeatureTests:
    """The base of the classes of tests.

    Attributes:
        lacks: What the driver must refuse by name, with `UnsupportedByStore`, before it sends
            anything. That it does is tested; the other tests of it are skipped.
        flaws: What the *server* under test is known to get wrong, and how. Tests of it are skipped,
            with the text.
    """

    lacks: ClassVar[frozenset[Feature]] = frozenset()
    flaws: ClassVar[dict[Feature, str]] = {}

    def needs(self, *features: Feature) -> None:
        """Skip a test of what the driver lacks or the server gets wrong."""
        for feature in features:
            if feature in self.lacks:
                raise SkipTest(f"the driver refuses: {feature.value}")
            if feature in self.flaws:
                raise SkipTest(f"{feature.value}: {self.flaws[feature]}")
