"""Settings: read once from TOML and the environment, frozen, passed in, never global.

Every key is also an environment variable: ``[node] port`` is ``CDS_NODE__PORT``, the top-level
``data_dir`` is ``CDS_DATA_DIR``. A key that ends in ``_file`` names a file that holds the value
(``url_file`` for ``url``). An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cds.errors import ConfigError
from cds.ports import Peer, Tls

Port = Annotated[int, Field(ge=0, le=65535)]
AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[^\\\x00-\x1f]*[^\\\x00-\x20][^\\\x00-\x1f]*$")]
Tables = Mapping[str, Mapping[str, object]]
ENV = "CDS_"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class TlsSettings(_Section):
    """``[node.tls]``: our key and certificate, and whom we trust; files that change are read again."""

    certificate_file: Path
    key_file: Path
    ca_file: Path


class NodeSettings(_Section):
    """``[node]``: who we are on the network, and when a study is complete.

    `processes` is the number of listener processes. With `durable` off an instance is answered
    before it is on the disk. Below `reserve_mb` of free disk nothing more is taken. A study is
    complete when nothing came for `study_quiet_seconds`, or earlier by a better signal; a signal
    that says that more is to come is waited for until `study_longest_seconds`. A peer that has not
    answered a storage commitment request within `commitment_seconds` is asked again.
    """

    ae_title: AeTitle = "CDS"
    host: str = "127.0.0.1"
    port: Port = 11112
    study_quiet_seconds: Annotated[float, Field(gt=0)] = 30.0
    study_longest_seconds: Annotated[float, Field(gt=0)] = 3600.0
    max_associations: Annotated[int, Field(ge=1, le=1000)] = 25
    accept_unknown: bool = False
    listeners: tuple[str, ...] = ("dicom",)
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    durable: bool = True
    journal_mb: Annotated[int, Field(ge=16, le=65_536)] = 256
    reserve_mb: Annotated[int, Field(ge=0)] = 1024
    retry_seconds: Annotated[float, Field(gt=0)] = 30.0
    retry_hours: Annotated[float, Field(gt=0)] = 72.0
    commitment_seconds: Annotated[float, Field(gt=0)] = 3600.0
    tls: TlsSettings | None = None
    tables: Tables = Field(default_factory=dict)


class PeerSettings(_Section):
    """``[[peers]]``: a node that may call us, and what we do with it (see `cds.ports.Peer`)."""

    name: Annotated[str, Field(min_length=1)]
    ae_title: AeTitle
    host: str = "127.0.0.1"
    port: Port = 0
    via: str = "dicom"
    url: str = ""
    tls: bool = False
    certificate: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    addresses: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    send_results: bool = False
    send: tuple[str, ...] = ("sr", "pdf")
    sr_class: Literal["comprehensive", "comprehensive-3d", "enhanced"] = "comprehensive"
    commitment: bool = False
    counts: bool = False
    priors: bool = False

    @field_validator("addresses")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            ipaddress.ip_network(address)
        return value

    @property
    def is_called(self) -> bool:
        """Whether we call it; one that only sends to us needs no port."""
        return self.send_results or self.commitment or self.counts or self.priors

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.is_called and not (self.port or self.url):
            raise ValueError(f"peer {self.name!r} needs a port: we call it for results, counts or earlier studies")
        return self

    def peer(self) -> Peer:
        """The value that listeners and senders are given."""
        return Peer(**self.model_dump())


class ArchivesSettings(_Section):
    """``[archives]``: which earlier studies are fetched from peers with `priors`, and a table for each plugin."""

    priors: Annotated[int, Field(ge=0, le=20)] = 2
    priors_years: Annotated[float, Field(gt=0)] = 5.0
    tables: Tables = Field(default_factory=dict)


class DatabaseSettings(_Section):
    """``[database]``: empty is SQLite in `data_dir`."""

    url: str = ""


class WebSettings(_Section):
    """``[web]``: where the reading room listens."""

    host: str = "127.0.0.1"
    port: Port = 8080


class RecordsSettings(_Section):
    """``[records]``: the sources of labs and reports, and a table for each (``[records.csv]``).

    Every `poll_seconds` the sources are asked whose records came; studies of these patients of which something was
    received in the last `late_days` are read again (0: none), when no more has come of a patient for
    `late_quiet_seconds`, or ten times as long after the first.
    """

    sources: tuple[str, ...] = ()
    poll_seconds: Annotated[float, Field(gt=0)] = 10.0
    late_days: Annotated[float, Field(ge=0, le=3660)] = 7.0
    late_quiet_seconds: Annotated[float, Field(ge=0, le=3600)] = 30.0
    tables: Tables = Field(default_factory=dict)


class ModelsSettings(_Section):
    """``[models]``: what takes part, and a table for each (``[models.chest_ct]``)."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    extractors: tuple[str, ...] = ("chest_xray", "chest_ct", "labs", "text", "ecg")
    fusion: str = "transformer"
    knowledge: tuple[str, ...] = ("thorax",)
    tables: Tables = Field(default_factory=dict)


class ReportSettings(_Section):
    """``[report]``: the encodings that are written, and a table for each (``[report.sr]``)."""

    writers: tuple[str, ...] = ("sr", "pdf", "json")
    tables: Tables = Field(default_factory=dict)


class Settings(_Section):
    """All of the configuration."""

    data_dir: Path = Path("cds-data")
    node: NodeSettings = NodeSettings()
    peers: tuple[PeerSettings, ...] = ()
    database: DatabaseSettings = DatabaseSettings()
    records: RecordsSettings = RecordsSettings()
    web: WebSettings = WebSettings()
    models: ModelsSettings = ModelsSettings()
    report: ReportSettings = ReportSettings()
    archives: ArchivesSettings = ArchivesSettings()

    @property
    def tls(self) -> Tls | None:
        """The node's TLS files, where it has some."""
        return Tls(**self.node.tls.model_dump()) if self.node.tls else None

    @field_validator("peers")
    @classmethod
    def _distinct(cls, value: tuple[PeerSettings, ...]) -> tuple[PeerSettings, ...]:
        names = [peer.name for peer in value]
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"two peers have the name {', '.join(map(repr, twice))}; each needs its own")
        return value


def read(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration.

    Parameters
    ----------
    path
        A TOML file; None means defaults and the environment only.
    environment
        Defaults to ``os.environ``.

    Raises
    ------
    ConfigError
        When the file is missing, is no TOML, or holds an unknown key or a wrong value; the
        message names the key, what would be right, and the nearest known key.
    """
    base = path.resolve().parent if path else Path.cwd()
    table = _toml(path) if path else {}
    _merge(table, _environment(os.environ if environment is None else environment))
    table = _secrets(_gather_plugin_tables(table), base)
    try:
        settings = Settings.model_validate(table)
    except ValidationError as error:
        raise ConfigError(_explain(error, path)) from None
    return _resolved(settings, base)


def _resolved(settings: Settings, base: Path) -> Settings:
    """Read relative paths from the folder of the configuration file."""
    update: dict[str, object] = {"data_dir": (base / settings.data_dir).resolve()}
    if settings.node.tls is not None:
        files = {name: (base / file).resolve() for name, file in settings.node.tls.model_dump().items()}
        update["node"] = settings.node.model_copy(update={"tls": TlsSettings(**files)})
    return settings.model_copy(update=update)


def _toml(path: Path) -> dict[str, object]:
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"no configuration file {path}; see docs/quickstart.md for one to start from") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not readable as TOML: {error}") from None


def _environment(environment: Mapping[str, str]) -> dict[str, object]:
    """``CDS_NODE__PORT=0`` -> ``{"node": {"port": "0"}}``; lists and tables as JSON."""
    table: dict[str, object] = {}
    for name, text in sorted(environment.items()):
        keys = name.removeprefix(ENV).lower().split("__")
        if not name.startswith(ENV) or (len(keys) == 1 and keys[0] not in Settings.model_fields):
            continue
        inner: dict[str, object] = table
        for key in keys[:-1]:
            inner = _table(inner.setdefault(key, {}), name)
        inner[keys[-1]] = _value(text)
    return table


def _table(value: object, name: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: a part of it names a value, not a section")
    return value


def _value(text: str) -> object:
    if text[:1] in "[{":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _merge(into: dict[str, object], new: Mapping[str, object]) -> None:
    for key, value in new.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        else:
            into[key] = value


_WITH_TABLES: Final[Mapping[str, type[_Section]]] = MappingProxyType(
    {
        "node": NodeSettings,
        "records": RecordsSettings,
        "models": ModelsSettings,
        "report": ReportSettings,
        "archives": ArchivesSettings,
    }
)


def _gather_plugin_tables(table: dict[str, object]) -> dict[str, object]:
    """Move ``[models.chest_ct]`` to ``tables``; a stray value stays, to be refused by name."""
    for name, section in _WITH_TABLES.items():
        found = table.get(name)
        if not isinstance(found, dict):
            continue
        plugins = {k: v for k, v in found.items() if isinstance(v, dict) and k not in section.model_fields}
        rest = {k: v for k, v in found.items() if k not in plugins}
        table[name] = rest | ({"tables": plugins} if plugins else {})
    return table


def _secrets(table: dict[str, object], base: Path) -> dict[str, object]:
    """Replace every ``x_file`` by ``x`` with what the file holds, where ``x`` is a known secret."""
    database = table.get("database")
    if isinstance(database, dict) and "url_file" in database:
        file = base / str(database["url_file"])
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(f"database.url_file: {file.name} is not readable: {error.strerror}") from None
        table["database"] = {k: v for k, v in database.items() if k != "url_file"} | {"url": secret}
    return table


def _explain(error: ValidationError, path: Path | None) -> str:
    """One line a problem; never the value itself, it may be a secret."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown key {where!r}{_nearest(problem['loc'])}")
        else:
            lines.append(f"{where}: {problem['msg']}")
    return f"{path or 'environment'}: " + "; ".join(lines)


def _nearest(loc: tuple[int | str, ...]) -> str:
    kind: type[BaseModel] = Settings
    for part in loc[:-1]:
        if isinstance(part, int):
            continue
        found = {"peers": PeerSettings}.get(part) or kind.model_fields[part].annotation
        if isinstance(found, type) and issubclass(found, BaseModel):
            kind = found
    known = [key for key in kind.model_fields if key != "tables"]
    close = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.3)
    return f" (nearest known key: {close[0]!r})" if close else f" (known keys: {', '.join(known)})"
