from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest

from cds import discovery
from cds.domain.records import Records
from cds.domain.study import Study
from cds.errors import ConfigError, PluginError
from cds.ports import RecordsSource


class Source:
    @dataclass(frozen=True, kw_only=True)
    class Settings:
        folder: str = ""
        hours: float = 1.0
        names: tuple[str, ...] = ()
        device: str = "auto"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def records_for(self, study: Study) -> Records:
        return Records()


class NoSource:
    @dataclass(frozen=True, kw_only=True)
    class Settings:
        pass

    def __init__(self, settings: Settings) -> None:
        pass


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("good", f"{__name__}:Source", "cds.records"),
        EntryPoint("wrong", f"{__name__}:NoSource", "cds.records"),
        EntryPoint("broken", "cds.no_such_room:Thing", "cds.records"),
    ]
    monkeypatch.setattr(discovery, "entry_points", lambda group: points)
    monkeypatch.setattr(EntryPoint, "load", lambda point: _load(point))


def _load(point: EntryPoint) -> object:
    if point.name == "broken":
        raise ImportError("no such room")
    return {"good": Source, "wrong": NoSource}[point.name]


def build(name: str, table: Mapping[str, object], **common: object) -> RecordsSource:
    return discovery.build("cds.records", name, RecordsSource, table, common)  # type: ignore[type-abstract]


def test_a_plugin_is_built_with_its_own_table(plugins: None) -> None:
    source = build("good", {"folder": "x", "hours": 2, "names": ["a"]}, device="cpu", data_dir="y")
    assert isinstance(source, Source)
    assert source.settings == Source.Settings(folder="x", hours=2.0, names=("a",), device="cpu")


def test_values_from_the_environment_are_read_as_the_field_says(plugins: None) -> None:
    source = build("good", {"hours": "2.5"})
    assert isinstance(source, Source)
    assert source.settings.hours == 2.5


def test_an_unknown_name_lists_the_names_there_are(plugins: None) -> None:
    with pytest.raises(ConfigError, match=r"'god'.*did you mean 'good'.*broken, good, wrong"):
        build("god", {})


def test_an_unknown_key_names_the_nearest_known_one(plugins: None) -> None:
    with pytest.raises(ConfigError, match=r"'foldr'.*'folder'"):
        build("good", {"foldr": "x"})


@pytest.mark.parametrize("table", [{"folder": 3}, {"hours": "soon"}, {"hours": True}])
def test_a_value_of_the_wrong_type_is_refused(plugins: None, table: Mapping[str, object]) -> None:
    with pytest.raises(ConfigError, match="must be"):
        build("good", table)


def test_a_plugin_that_does_not_import_is_named(plugins: None) -> None:
    with pytest.raises(PluginError, match=r"'broken'.*no such room"):
        build("broken", {})


def test_a_plugin_that_breaks_the_door_s_contract_is_refused(plugins: None) -> None:
    with pytest.raises(PluginError, match="RecordsSource"):
        build("wrong", {})
