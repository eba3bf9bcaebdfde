"""No connector without its contract: an entry point with an untried role fails the build."""

import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pytest
from toy_vendor import ToyConnector

from liveshop.connect import GROUP, Connector, Connectors
from liveshop.connect.config import BadConfig, decode_config, fields_of
from liveshop.connect.contract import Contract, FileSourceContract, PosterContract
from liveshop.connect.contract.suite import FarSideContract

HERE = Path(__file__).parent
DECLARED: dict[str, str] = tomllib.loads(
    (HERE.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
)["project"]["entry-points"][GROUP]


def _module(path: Path) -> ModuleType:
    """As pytest imports it; once only."""
    name = f"tests.contract.{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def _suites() -> Iterator[type[Contract]]:
    """The classes that pytest collects here: named Test..., written in the module itself."""
    for path in sorted(HERE.glob("test_*.py")):
        if path == Path(__file__):
            continue
        module = _module(path)
        for name, found in vars(module).items():
            if (
                name.startswith("Test")
                and isinstance(found, type)
                and issubclass(found, Contract)
                and found.__module__ == module.__name__
            ):
                yield found


@pytest.fixture(scope="module")
def connectors() -> Connectors:
    return Connectors.installed()


def test_what_is_installed_is_what_the_project_declares() -> None:
    installed = {entry.name: entry.value for entry in entry_points(group=GROUP)}
    assert installed.items() >= DECLARED.items(), "install the project again: pip install -e ."


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_each_role_of_each_connector_has_its_contract(name: str, connectors: Connectors) -> None:
    missing = _untried(connectors.connector(name), _suites())
    assert not missing, (
        f"{name} has no contract for {', '.join(sorted(missing))}: inherit the suite of "
        "liveshop.connect.contract in tests/contract/"
    )


def test_a_role_without_a_contract_is_noticed() -> None:
    class TestOther(PosterContract):
        connector = "other"

    class TestToy(FileSourceContract):
        connector = "toy"

    poster = ToyConnector("poster")
    assert _untried(poster, []) == {"poster"}
    assert _untried(poster, [TestOther, TestToy]) == {"poster"}
    TestOther.connector = "toy"
    assert _untried(poster, [TestOther, TestToy]) == set()


def _untried(connector: Connector, suites: Iterable[type[Contract]]) -> set[str]:
    tried = {suite.role for suite in suites if suite.connector == connector.name}
    return set(connector.roles - tried)


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_each_contract_opens_what_is_installed(name: str) -> None:
    """A suite that puts another object in the place of the entry point proves nothing of it."""
    for suite in _suites():
        if suite.connector == name:
            assert suite.installed is Contract.installed, suite
            if issubclass(suite, FarSideContract):
                assert suite.opened is FarSideContract.opened, suite


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_each_configuration_can_be_shown_and_told_what_is_wrong(
    name: str, connectors: Connectors
) -> None:
    connector = connectors.connector(name)
    assert connector.title.strip()
    fields = fields_of(connector.config)
    for field in fields:
        assert field.title.strip(), field
        assert field.kind != "secret" or field.default is None
    required = {field.name for field in fields if field.is_required}
    if required:
        with pytest.raises(BadConfig) as caught:
            decode_config(connector.config, {}, {})
        assert caught.value.problems.keys() == required
    else:
        decode_config(connector.config, {}, {})
    with pytest.raises(BadConfig, match="no_such_field is not a field"):
        decode_config(connector.config, {"no_such_field": "x"}, {})


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_each_oauth_connector_has_the_fields_that_its_login_needs(
    name: str, connectors: Connectors
) -> None:
    connector = connectors.connector(name)
    if connector.oauth is None:
        return
    fields = {field.name: field for field in fields_of(connector.config)}
    assert fields[connector.oauth.client_id_field].is_required
    secret = fields.get(connector.oauth.client_secret_field)
    assert secret is None or secret.kind == "secret"
    for url in (connector.oauth.authorize_url, connector.oauth.token_url):
        filled = url.format_map(dict.fromkeys(fields, "x"))
        assert "{" not in filled, f"{url} holds what is no field"
