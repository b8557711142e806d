"""Words that options of `harness load` may have. Light, since every command's help needs them."""

from enum import StrEnum


class Api(StrEnum):
    """The protocols whose requests can be made up; recorded requests may be of any."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    ANTHROPIC = "anthropic"
    OLLAMA = "ollama"


class Pattern(StrEnum):
    """How the gaps between arrivals are distributed. All have the mean 1 / rate."""

    CONSTANT = "constant"
    POISSON = "poisson"
    GAMMA = "gamma"


class Prefix(StrEnum):
    """What a server's prefix cache is to make of the beginnings of prompts."""

    HIT = "hit"
    MISS = "miss"
