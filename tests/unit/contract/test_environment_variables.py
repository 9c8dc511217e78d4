"""The settings FOUNDRY_*: read once, all faults reported at once."""

import pytest
from pydantic import ValidationError

from foundry_tasks.contract.environment_variables import Settings
from foundry_tasks.contract.errors import ConfigError


def test_nothing_needs_to_be_set():
    settings = Settings.from_environment({"HOME": "/home/someone", "PATH": "/bin"})
    assert settings == Settings()
    assert settings.runtime == "process"


def test_a_variable_is_a_field_and_an_empty_one_counts_as_unset():
    settings = Settings.from_environment({"FOUNDRY_STORE": "/data/store", "FOUNDRY_MARKETS": "", "FOUNDRY_RUNTIME": ""})
    assert settings.store == "/data/store"
    assert (settings.markets, settings.runtime) == ("", "process")


def test_every_wrong_variable_is_named_at_once_with_what_there_is_to_set():
    with pytest.raises(ConfigError) as error:
        Settings.from_environment({"FOUNDRY_RUNTIME": "podman", "FOUNDRY_STOER": "/data"})
    told = str(error.value)
    assert "FOUNDRY_RUNTIME='podman'" in told
    assert "'process', 'docker' or 'kubernetes'" in told
    assert "FOUNDRY_STOER='/data'" in told
    assert "Known settings: FOUNDRY_STORE, " in told
    assert "\n" not in told


def test_settings_do_not_change_under_way():
    with pytest.raises(ValidationError):
        Settings().store = "/elsewhere"
