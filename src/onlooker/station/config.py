"""The watch configuration: which cameras, with which analyzers, rules, recordings and sinks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from onlooker.core.errors import ConfigError
from onlooker.core.schedule import Seconds
from onlooker.events.config import Sinks
from onlooker.live.settings import GateSettings
from onlooker.recording.config import RecordSettings
from onlooker.rules.language import RuleFile, load_rules
from onlooker.sources.policy import AddressPolicy, without_credentials
from onlooker.station.reading import read_model

__all__ = ["CameraConfig", "PolicyConfig", "WatchConfig", "load_watch", "watch_of", "watch_schema"]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class PolicyConfig(BaseModel):
    """Which addresses cameras may have.

    Attributes:
        private: loopback and private addresses.
        public: public hosts.
        files: files and webcams of this machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    private: bool = True
    public: bool = True
    files: bool = True

    @property
    def policy(self) -> AddressPolicy:
        """The policy that links ask."""
        return AddressPolicy(private=self.private, public=self.public, files=self.files)


class CameraConfig(BaseModel):
    """One camera.

    Attributes:
        url: its address: rtsp, rtsps, rtmp, srt, http(s), webcam:0 or a file. Never shown with its password.
        analyse: address of a smaller stream to analyse; ``url`` is then only recorded and shown.
        transport: how RTSP brings its packets.
        rate: frames a second that are analysed at most.
        priority: cameras with more get more when the machine is too slow, and keep their rates longer.
        gate: whether the heavy analyzers wait for motion, or the gate's settings.
        timeout: a connection must stand within this time.
        stall: after this time without a picture the camera counts as stalled.
        profile: which analyzers run; without it the file's.
        audio: whether sound is analysed.
        loop: whether a file is played over and over.
        record: what is recorded, and how long it is kept.
        shadow: candidates that look on, by the name of the bundle in use; without it the file's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: SecretStr = Field(min_length=1)
    analyse: SecretStr | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    rate: float = Field(default=5.0, gt=0, le=120)
    priority: int = Field(default=1, ge=1, le=10)
    gate: bool | GateSettings = True
    timeout: Annotated[Seconds, Field(gt=0)] = 10.0
    stall: Annotated[Seconds, Field(gt=0)] = 10.0
    profile: str | None = None
    audio: bool = True
    loop: bool = False
    record: RecordSettings = RecordSettings()  # pyright: ignore[reportCallIssue]
    shadow: dict[str, str] | None = None

    @property
    def address(self) -> str:
        """Its address without credentials."""
        return without_credentials(self.url.get_secret_value())

    @property
    def gate_settings(self) -> GateSettings | None:
        """The motion gate's settings, or None where the heavy analyzers look at all frames."""
        return self.gate if isinstance(self.gate, GateSettings) else GateSettings() if self.gate else None


class WatchConfig(BaseModel):
    """The whole file.

    Attributes:
        version: of the configuration.
        library: the library folder, relative to the file.
        profile: which analyzers run: name of a profile or a YAML file.
        time_zone: IANA name of the zone in which sinks' schedules are read that name none. Rule files have their own.
        rules: rule files, relative to the file.
        policy: which addresses cameras may have.
        workers: cameras that are analysed at once; 0: one for each processor.
        shadow: by the name of an added bundle, a candidate that looks on beside it: a version's digest or another
            bundle. What it sees goes to no rule and not into the library; see docs/guides/improve.md.
        rotation: the analyzers of a camera are flushed and opened anew after this time, so that memory stays flat.
        cameras: by name. A camera is known by its name for good: another name is another source.
        sinks: who is told of events, by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1] = 1
    library: Path | None = None
    profile: str = "surveillance"
    time_zone: str = "UTC"
    rules: tuple[Path, ...] = ()
    policy: PolicyConfig = PolicyConfig()
    workers: int = Field(default=0, ge=0, le=256)
    rotation: Annotated[Seconds, Field(ge=10)] = 3600.0
    shadow: dict[str, str] = Field(default_factory=dict[str, str])
    cameras: dict[Name, CameraConfig] = Field(min_length=1)
    sinks: Sinks = Sinks({})

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"no time zone is called {value!r}; write an IANA name such as Europe/Berlin") from None
        return value

    def profile_of(self, camera: str) -> str:
        """The profile of a camera."""
        return self.cameras[camera].profile or self.profile

    def shadow_of(self, camera: str) -> dict[str, str]:
        """The candidates that look on at a camera."""
        own = self.cameras[camera].shadow
        return self.shadow if own is None else own

    def load_rules(self) -> RuleFile | None:
        """All rule files as one; None without any.

        Raises:
            ConfigError: one is wrong, or two do not go together.
        """
        return _joined({str(path): load_rules(path) for path in self.rules})


def load_watch(path: Path) -> WatchConfig:
    """A watch configuration; paths in it become relative to where it lies, ``${NAME}`` stands for the environment's.

    Raises:
        ConfigError: it cannot be read or is wrong; names file and line.
    """
    config = read_model(WatchConfig, path, hint="see onlooker watch --schema")
    near = path.parent

    def profile(value: str) -> str:
        return str(near / value) if Path(value).suffix in (".yaml", ".yml") else value

    def address(value: SecretStr | None) -> SecretStr | None:
        text = "" if value is None else value.get_secret_value()
        return value if not text or ":" in text else SecretStr(str(near / text))

    cameras = {
        name: c.model_copy(
            update={
                "url": address(c.url),
                "analyse": address(c.analyse),
                "profile": None if c.profile is None else profile(c.profile),
            }
        )
        for name, c in config.cameras.items()
    }
    return config.model_copy(
        update={
            "library": None if config.library is None else near / config.library,
            "profile": profile(config.profile),
            "rules": tuple(near / rule for rule in config.rules),
            "cameras": cameras,
            "sinks": _with_zone(config),
        }
    )


def watch_of(address: str) -> WatchConfig:
    """The configuration of one camera with the defaults."""
    shown = without_credentials(address)
    stem = Path(shown.rstrip("/")).stem or "camera"
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem).strip("-._") or "camera"
    return WatchConfig(cameras={name[:64]: CameraConfig(url=SecretStr(address))})


def watch_schema() -> dict[str, Any]:
    """JSON Schema of watch configurations, for editors."""
    return WatchConfig.model_json_schema()


def _with_zone(config: WatchConfig) -> Sinks:
    """Sinks with the file's time zone where they name none."""

    def zoned(section: Any) -> Any:
        if section.schedule is None or section.time_zone is not None:
            return section
        return section.model_copy(update={"time_zone": config.time_zone})

    sections = {name: zoned(section) for name, section in config.sinks.sections.items()}
    return config.sinks.model_copy(update={"root": sections})


def _joined(files: Mapping[str, RuleFile]) -> RuleFile | None:
    if not files:
        return None
    (first_name, whole), *others = files.items()
    for name, file in others:
        if (file.time_zone, file.lost) != (whole.time_zone, whole.lost):
            raise ConfigError(f"{name}: time_zone and lost differ from {first_name}", hint="make them the same in both")
        parts = {"zones": file.zones, "lines": file.lines, "cameras": file.cameras}
        for sort, own in parts.items():
            known = getattr(whole, sort)
            twice = [n for n in own if n in known and known[n] != own[n]]
            if twice:
                raise ConfigError(f"{name}: {sort} {twice[0]} is another one elsewhere", hint="give it another name")
        if bool(file.cameras) != bool(whole.cameras):
            raise ConfigError(f"{name}: only some rule files name cameras", hint="name them in all, or in none")
        ids = {r.id for r in whole.rules}
        twice = [r.id for r in file.rules if r.id in ids]
        if twice:
            raise ConfigError(f"{name}: two rules are called {twice[0]!r}", hint="give each an id of its own")
        update: dict[str, Any] = {sort: {**getattr(whole, sort), **own} for sort, own in parts.items()}
        whole = whole.model_copy(update={**update, "rules": (*whole.rules, *file.rules)})
    return whole
