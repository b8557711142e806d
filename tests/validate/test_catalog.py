import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.errors import BadInput
from harness.core.exchange import Exchange, Request, Response
from harness.validate.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas"
OVERLAYS = ("openai", "azure", "vllm", "llama.cpp", "anthropic", "compatible")

type Damage = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the schemas, to be damaged."""
    return shutil.copytree(SCHEMAS, tmp_path / "schemas")


def write(name: str, text: str) -> Damage:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def remove(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def edit(name: str, **members: object) -> Damage:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | members))

    return change


def test_the_schemas_of_a_checkout_are_found() -> None:
    assert Catalog.load().folder == SCHEMAS
    assert Catalog.load().overlays == OVERLAYS


def test_the_schemas_of_an_installed_package_are_found(tmp_path: Path) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        wheel = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["only-include"] == ["harness", "loadtests", "schemas"]
    shutil.copytree(ROOT / "harness", tmp_path / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(SCHEMAS, tmp_path / wheel["sources"]["schemas"])
    program = (
        "from harness.validate.catalog import Catalog; catalog = Catalog.load();"
        "print(catalog.folder); print(len(catalog.schema('openai/chat.event', 'openai')['$defs']) > 5)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == [str(tmp_path / "harness" / "validate" / "schemas"), "True"]


def test_a_file_is_read_once_and_only_when_it_is_asked_for(folder: Path) -> None:
    catalog = Catalog.load(folder)
    schema = catalog.schema("openai/chat.event", "azure")
    for path in folder.rglob("*.json"):
        path.unlink()
    assert catalog.schema("openai/chat.event", "azure") is schema
    with pytest.raises(BadInput, match=r"openai/chat\.response\.json"):
        catalog.schema("openai/chat.response", "azure")


def test_overlays_leave_each_other_alone() -> None:
    one, other = Catalog.load(), Catalog.load()
    first = one.schema("openai/chat.event", "openai")
    one.schema("openai/chat.event", "azure")
    one.schema("openai/chat.event", "compatible")
    assert first == other.schema("openai/chat.event", "openai")
    assert one.schema("openai/moderations.request", "openai") == one.schema(
        "openai/moderations.request", "vllm"
    )


@pytest.mark.parametrize(
    ("url", "path", "name"),
    [
        ("https://api.openai.com/v1/chat/completions", "", "openai.chat"),
        ("https://gateway.test/opaque/42", "/v1/chat/completions", "openai.chat"),
        ("https://api.openai.com/v1/embeddings", "/v1/chat/completions", "openai.embeddings"),
        ("https://gateway.test/opaque/42", "/opaque", None),
    ],
)
def test_an_exchange_is_routed_by_the_path_upstream_then_by_the_clients(
    url: str, path: str, name: str | None
) -> None:
    response = Response(200, (("Content-Type", "application/json"),), 0, (), 0)
    route = Catalog.load().route_for(Exchange(Request("POST", url, path=path), response))
    assert (route.name if route else None) == name
    unanswered = Catalog.load().route_for(Exchange(Request("POST", url, path=path), None))
    assert (unanswered.response if unanswered else None) is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove("index.json"), "index.json: No such file or directory"),
        (write("index.json", "{"), "index.json is damaged: it is no JSON"),
        (write("index.json", "[]"), "index.json is damaged: all of it: "),
        (edit("index.json", routes=[{"name": "x"}]), "index.json is damaged: routes.0.dialect: "),
        (
            edit("index.json", routes=[{"name": "x", "dialect": "x.y", "method": "GET", "path": "x"}]),
            "index.json is damaged: routes.0.dialect: there is no dialect 'x.y'; there are openai.chat, ",
        ),
        (edit("index.json", base="("), "index.json is damaged: "),
        (edit("index.json", vendors=[{"overlay": "x", "host": "["}]), "index.json is damaged: '['"),
        (remove("openai/chat.event.json"), "chat.event.json: No such file or directory"),
        (write("openai/chat.event.json", "\ud800".encode("utf-8", "replace").decode()), "is no JSON"),
        (write("openai/chat.event.json", "[" * 100_000), "chat.event.json is damaged: it is no JSON"),
        (write("openai/chat.event.json", "[]"), "chat.event.json is damaged: '$schema' is not"),
        (edit("openai/chat.event.json", **{"$ref": "#/$defs/X"}), "nothing is defined as '#/$defs/X'"),
        (edit("openai/chat.event.json", pattern="x"), "the keyword 'pattern' is not used here"),
        (remove("overlays/common.json"), "common.json: No such file or directory"),
        (write("overlays/azure.json", "null"), "azure.json is damaged: all of it: "),
        (edit("overlays/azure.json", rules=[{"at": "x"}]), "azure.json is damaged: rules.0.schemas: "),
        (
            edit("overlays/azure.json", rules=[{"schemas": ["openai/chat.event"], "at": "choice/*"}]),
            "azure.json is damaged: in openai/chat.event nothing is at 'choice/*'",
        ),
        (
            edit("overlays/azure.json", rules=[{"schemas": ["openai/chat.event"], "allow": {"x": ["null"]}}]),
            "azure.json is damaged: in openai/chat.event there is no member 'x'",
        ),
    ],
)
def test_damage_is_told_in_one_line(folder: Path, damage: Damage, said: str) -> None:
    damage(folder)
    with pytest.raises(BadInput) as caught:
        Catalog.load(folder).schema("openai/chat.event", "azure")
    message = str(caught.value)
    assert said in message
    assert str(folder) in message
    assert message.endswith("; is --schemas the right folder?")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove("ollama/tags.response.json"), "tags.response.json: No such file or directory"),
        (edit("errors.json", pattern="x"), "errors.json is damaged: the keyword 'pattern'"),
        (remove("overlays/llama.cpp.json"), "llama.cpp.json: No such file or directory"),
        (edit("overlays/vllm.json", rules=[{"schemas": ["openai/none"]}]), "none.json: No such file"),
        (edit("overlays/vllm.json", rules=[{"schemas": ["errors"], "at": "x"}]), "nothing is at 'x'"),
        (edit("overlays/vllm.json", extends=["groq"]), "groq.json: No such file"),
        (edit("index.json", vendors=[{"overlay": "groq"}]), "there is no overlay 'groq'"),
        (edit("index.json", overlays=["openai"]), "there is no overlay "),
    ],
)
def test_a_check_finds_damage_that_no_exchange_touches(folder: Path, damage: Damage, said: str) -> None:
    Catalog.load(folder).check()
    damage(folder)
    with pytest.raises(BadInput) as caught:
        Catalog.load(folder).check()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damage_of_harness_own_schemas_is_mended_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.validate.catalog.FOLDERS", (folder,))
    write("index.json", "{")(folder)
    with pytest.raises(BadInput, match="is damaged: it is no JSON; install traffic-harness again"):
        Catalog.load()


def test_an_unknown_overlay_is_told_with_those_there_are() -> None:
    with pytest.raises(BadInput, match="there is no overlay 'ollama'; there are openai, azure, vllm"):
        Catalog.load().schema("openai/chat.event", "ollama")


def test_overlays_that_extend_each_other_end(folder: Path) -> None:
    edit("overlays/azure.json", extends=["vllm"])(folder)
    edit("overlays/vllm.json", extends=["azure"])(folder)
    assert Catalog.load(folder).schema("openai/chat.event", "azure")["$defs"]


def test_naming_the_commands_loads_no_schema() -> None:
    program = (
        "import sys; from harness.cli.app import main; sys.argv[1:] = ['--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print({'jsonschema', 'harness.validate.catalog'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "set()"
