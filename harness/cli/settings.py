"""Settings of the commands from outside the command line: `[tool.harness]` and `HARNESS_*`.

Every option of every command is a setting: `--keep-connect` of `harness replay` is `keep-connect` in
`[tool.harness.replay]` of the nearest pyproject.toml, and `HARNESS_REPLAY_KEEP_CONNECT` in the
environment. The command line comes before the environment, that before the file, that before the
default. The models that check them are made from the commands themselves, so they cannot drift.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from harness.core.errors import BadInput
from harness.project import project_file, table_of

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a command. `parameter` is its name in the function, `name` the one people type."""

    command: str
    name: str
    parameter: str
    default: Any
    repeated: bool = False

    @property
    def variable(self) -> str:
        """The variable of the environment."""
        return f"HARNESS_{self.command}_{self.name}".upper().replace("-", "_")


@dataclass(frozen=True, slots=True)
class Setting:
    """An option's value as it would be without a command line, and where it comes from."""

    option: Option
    value: Any
    source: str


type Commands = Mapping[str, Callable[..., Any]]
"""The functions of the commands, by the names that people type."""


def options_of(command: str, function: Callable[..., Any]) -> Iterator[Option]:
    """The options of a command, in the order of its help; arguments are none."""
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in signature(function).parameters.items():
        marks = [mark for mark in getattr(hints[name], "__metadata__", ()) if is_option(mark)]
        default = None if parameter.default is Parameter.empty else parameter.default
        for mark in marks:
            yield Option(command, long_name(mark, name), name, default, repeated=is_list(hints[name]))


def long_name(mark: Any, parameter: str) -> str:
    """The name of an option without its dashes: the longest that is declared, else the parameter's.

    In `Annotated`, typer keeps the first declared name where a default would stand.
    """
    declared = [*(mark.param_decls or ()), mark.default]
    names = [name for name in declared if isinstance(name, str) and name.startswith("-")]
    return max(names, key=len, default=parameter.replace("_", "-")).partition("/")[0].lstrip("-")


def is_list(hint: Any) -> bool:
    """Whether an option can be given several times; it may have no default of its own."""
    return any(get_origin(one) is list for one in (hint.__origin__, *get_args(hint.__origin__)))


def is_option(mark: object) -> bool:
    """Whether a mark of a parameter makes it an option (typer keeps the class of its marks private)."""
    return type(mark) is type(typer.Option())


def model_of(command: str, function: Callable[..., Any]) -> type[BaseModel]:
    """The model of a command's table: a field for each option, of its type; nothing else."""
    hints = get_type_hints(function)
    fields: dict[str, Any] = {
        f"option_{option.parameter}": (hints[option.parameter], Field(None, alias=option.name))
        for option in options_of(command, function)
    }
    return create_model(command, __config__=ConfigDict(extra="forbid"), **fields)


def from_project(commands: Commands, path: Path) -> dict[str, dict[str, Any]]:
    """The settings in a file by command and option (BadInput: unknown names, wrong types)."""
    table = table_of(path)
    if not isinstance(table, dict):
        raise BadInput(f"{path}: [tool.harness] is no table")
    return {command: checked(commands, path, command, settings) for command, settings in table.items()}


def checked(commands: Commands, path: Path, command: str, settings: object) -> dict[str, Any]:
    """One command's table, checked by the model of the command."""
    where = f"{path}: [tool.harness.{command}]"
    if command not in commands:
        raise BadInput(f"{where}: there is no command of this name; there are {', '.join(commands)}")
    if not isinstance(settings, dict):
        raise BadInput(f"{where} is no table")
    dashed = {name.replace("_", "-"): value for name, value in settings.items()}
    if found := fault(commands, command, dashed):
        unknown = found["type"] == "extra_forbidden"
        what = f"there is no such option: 'harness {command} --help' lists them" if unknown else found["msg"]
        raise BadInput(f"{where} {'.'.join(map(str, found['loc']))}: {what}")
    return dashed


def fault(commands: Commands, command: str, settings: Mapping[str, Any]) -> "ErrorDetails | None":
    """The first thing that is wrong with the settings of a command, as its model tells."""
    try:
        model_of(command, commands[command]).model_validate(settings)
    except ValidationError as error:
        return error.errors(include_input=False, include_url=False)[0]
    return None


def effective(commands: Commands, folder: Path, environment: Mapping[str, str]) -> list[Setting]:
    """Every option of every command, with its value and source: environment, file, or default.

    BadInput: what the environment or the file says is of no such type.
    """
    path = project_file(folder)
    file = from_project(commands, path) if path else {}
    options = [option for name, function in commands.items() for option in options_of(name, function)]
    settings = [setting_of(option, file.get(option.command, {}), path, environment) for option in options]
    for setting in settings:
        if setting.source == setting.option.variable:
            check_variable(commands, setting)
    return settings


def check_variable(commands: Commands, setting: Setting) -> None:
    """BadInput for a value in the environment that its option cannot have."""
    option = setting.option
    if found := fault(commands, option.command, {option.name: listed(setting)}):
        raise BadInput(f"{option.variable}: {found['msg']}")


def setting_of(
    option: Option, table: Mapping[str, Any], path: Path | None, environment: Mapping[str, str]
) -> Setting:
    """One option's value and source."""
    if option.variable in environment:
        return Setting(option, environment[option.variable], option.variable)
    if option.name in table:
        return Setting(option, table[option.name], str(path))
    return Setting(option, option.default, "default")


def default_map(settings: list[Setting]) -> dict[str, dict[str, Any]]:
    """What is not a default, as typer takes it: command -> parameter -> value."""
    made: dict[str, dict[str, Any]] = {}
    for setting in settings:
        if setting.source != "default":
            made.setdefault(setting.option.command, {})[setting.option.parameter] = listed(setting)
    return made


def listed(setting: Setting) -> Any:
    """A value for an option that can be given several times is a list; in the environment, one of words."""
    words = setting.option.repeated and isinstance(setting.value, str)
    return setting.value.split() if words else setting.value
