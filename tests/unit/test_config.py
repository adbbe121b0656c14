from pathlib import Path

import pytest

from cds import config
from cds.errors import ConfigError


def read(tmp_path: Path, text: str, **environment: str) -> config.Settings:
    file = tmp_path / "cds.toml"
    file.write_text(text, encoding="utf-8")
    return config.read(file, environment)


def test_defaults_are_the_contract_s() -> None:
    settings = config.read(None, {})
    assert (settings.node.ae_title, settings.node.port, settings.node.study_quiet_seconds) == ("CDS", 11112, 30)
    assert (settings.node.max_associations, settings.web.port, settings.node.accept_unknown) == (25, 8080, False)


def test_an_unknown_key_is_refused_and_the_nearest_known_one_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"node\.ae_titel.*'ae_title'"):
        read(tmp_path, '[node]\nae_titel = "X"\n')


def test_an_unknown_section_is_refused_and_the_nearest_known_one_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'nodes'.*'node'"):
        read(tmp_path, "[nodes]\nport = 1\n")


def test_an_unknown_key_of_a_peer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"peers\.0\.adresses.*'addresses'"):
        read(tmp_path, '[[peers]]\nname="a"\nae_title="B"\nport=1\nadresses=["10.0.0.1/32"]\n')


def test_an_unknown_value_among_the_plugin_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"models\.fusoin.*'fusion'"):
        read(tmp_path, '[models]\nfusoin = "late"\n')


def test_plugin_tables_are_kept_for_the_plugin(tmp_path: Path) -> None:
    settings = read(tmp_path, "[models.chest_ct]\nmax_nodules = 5\n")
    assert settings.models.tables["chest_ct"]["max_nodules"] == 5


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = read(tmp_path, "[node]\nport = 1\n", CDS_NODE__PORT="0", CDS_NODE__AE_TITLE="123")
    assert (settings.node.port, settings.node.ae_title) == (0, "123")


def test_an_unknown_key_in_the_environment_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"node\.prot.*'port'"):
        config.read(None, {"CDS_NODE__PROT": "1"})


def test_a_data_dir_is_relative_to_the_configuration_file(tmp_path: Path) -> None:
    assert read(tmp_path, 'data_dir = "d"\n').data_dir == tmp_path.resolve() / "d"


def test_a_secret_may_come_from_a_file_and_never_stands_in_an_error(tmp_path: Path) -> None:
    (tmp_path / "url.txt").write_text("postgresql+psycopg://user:hunter2@host/db\n")
    settings = read(tmp_path, '[database]\nurl_file = "url.txt"\n')
    assert settings.database.url.endswith("@host/db")
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "[database]\nurl = 5\n", CDS_DATABASE__URL_='"hunter2"')
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[node]\nport = 70000\n",
        '[node]\nae_title = ""\n',
        '[node]\nae_title = "SEVENTEEN_LETTERS"\n',
        "[node]\nstudy_quiet_seconds = 0\n",
        '[[peers]]\nname="a"\nae_title="B"\nport=1\naddresses=["300.0.0.1/32"]\n',
        '[[peers]]\nname="a"\nae_title="B"\nport=1\n[[peers]]\nname="a"\nae_title="C"\nport=2\n',
        "not toml",
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"cds\.toml"):
        read(tmp_path, text)


def test_a_missing_file_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        config.read(Path("nowhere.toml"), {})


def test_a_peer_that_we_call_needs_a_port(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="peer 'pacs' needs a port"):
        read(tmp_path, '[[peers]]\nname = "pacs"\nae_title = "PACS"\nsend_results = true\n')
