"""Hosts: those of the known providers, and lists of hosts as people write them.

The law of this file: pure. A host is without brackets and in any case; a port is a number.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatch

PROVIDERS = {
    "api.openai.com": "openai",
    "*.api.openai.com": "openai",
    "*.openai.azure.com": "azure",
    "*.services.ai.azure.com": "azure",
    "*.cognitiveservices.azure.com": "azure",
    "api.anthropic.com": "anthropic",
    "openrouter.ai": "openrouter",
    "generativelanguage.googleapis.com": "gemini",
    "*aiplatform.googleapis.com": "vertex",
    "bedrock-runtime.*.amazonaws.com": "bedrock",
    "api.groq.com": "groq",
    "api.x.ai": "xai",
    "api.mistral.ai": "mistral",
    "codestral.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "api.fireworks.ai": "fireworks",
    "api.perplexity.ai": "perplexity",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.cerebras.ai": "cerebras",
    "api.sambanova.ai": "sambanova",
    "api.replicate.com": "replicate",
    "integrate.api.nvidia.com": "nvidia",
    "router.huggingface.co": "huggingface",
    "api-inference.huggingface.co": "huggingface",
    "api.moonshot.ai": "moonshot",
    "dashscope*.aliyuncs.com": "dashscope",
    "api.z.ai": "zai",
    "ollama.com": "ollama",
}
"""Host (a pattern of `fnmatch`) -> the name of its provider."""

PORT = re.compile(r":(\d{1,5})$")
UNFIT = re.compile(r"[/\s?#@,]")


def provider_of(host: str) -> str | None:
    """The provider of a host; None: nobody that is known.

    >>> provider_of("API.Anthropic.com"), provider_of("127.0.0.1")
    ('anthropic', None)
    """
    return next((name for pattern, name in PROVIDERS.items() if fnmatch(host.lower(), pattern)), None)


@dataclass(frozen=True, slots=True)
class Hosts:
    """Hosts that fit a pattern of `fnmatch`, in lower case; `port` None: at any port."""

    pattern: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Hosts":
        """From `HOST[:PORT]`, with `*` and `?` for what may be anything. ValueError says what is wrong.

        >>> Hosts.parse("*.Example.com:8443"), Hosts.parse("::1")
        (Hosts(pattern='*.example.com', port=8443), Hosts(pattern='::1', port=None))
        """
        if not text or UNFIT.search(text):
            raise ValueError("is no host: give it as HOST or HOST:PORT, with * for any part")
        port = PORT.search(text) if text.count(":") == 1 or text.startswith("[") else None
        host = text[: port.start()] if port else text
        if (port and int(port[1]) > 65535) or (not port and text.endswith(":")):
            raise ValueError("has no port that could be: leave it away for any")
        return cls(host.strip("[]").lower(), int(port[1]) if port else None)

    def __str__(self) -> str:
        """As people write them."""
        host = f"[{self.pattern}]" if ":" in self.pattern else self.pattern
        return host if self.port is None else f"{host}:{self.port}"

    def fit(self, host: str, port: int) -> bool:
        """Whether a host and port are among them."""
        return self.port in (None, port) and fnmatch(host.lower(), self.pattern)
