"""Which types of the official SDKs say what a message is, schema by schema.

The law of this file: a row names types and nothing about them. A type that an older SDK does not have
is passed over: what it says is only added to what is known. Requests are the types for plain answers,
whose `stream` is widened to a boolean.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from typing import Any, Literal, TypedDict

from pydantic import TypeAdapter

from harness.validate.forms import Schema

SDKS = ("openai", "anthropic")


class Ping(TypedDict):
    """The event that keeps an Anthropic stream open; the SDK's union of events leaves it out."""

    type: Literal["ping"]


@dataclass(frozen=True, slots=True)
class Source:
    """A schema and the types that it is made from, each as `module:name`.

    `is_request`: what may be absent may also be null. `is_page`: the message is a list of these.
    """

    schema: str
    types: tuple[str, ...]
    is_request: bool = False
    is_page: bool = False

    def documents(self) -> Iterator[Schema]:
        """The JSON Schemas that pydantic makes of those types that the installed SDK has."""
        for name in self.types:
            found = _load(name)
            if found is not None:
                page = _load(f"{name.partition('.')[0]}.pagination:SyncPage")
                yield TypeAdapter(page[found] if self.is_page else found).json_schema()


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute, None)
    except ModuleNotFoundError:
        return None


def installed() -> dict[str, str]:
    """SDK -> its installed version. PackageNotFoundError where one is missing."""
    return {name: metadata.version(name) for name in SDKS}


def _request(schema: str, *types: str) -> Source:
    return Source(schema, types, is_request=True)


def _answer(schema: str, *types: str) -> Source:
    return Source(schema, types)


CHAT = "openai.types.chat"
RESPONSES = "openai.types.responses"
AUDIO = "openai.types.audio"
MESSAGES = "anthropic.types"
MODEL = ("openai.types:Model", f"{MESSAGES}:ModelInfo")
"""Both vendors list their models under the same path."""

SOURCES: tuple[Source, ...] = (
    _request("openai/chat.request", f"{CHAT}.completion_create_params:CompletionCreateParamsNonStreaming"),
    _answer("openai/chat.response", f"{CHAT}:ChatCompletion"),
    _answer("openai/chat.event", f"{CHAT}:ChatCompletionChunk"),
    _request(
        "openai/completions.request",
        "openai.types.completion_create_params:CompletionCreateParamsNonStreaming",
    ),
    _answer("openai/completions.response", "openai.types:Completion"),
    _answer("openai/completions.event", "openai.types:Completion"),
    _request("openai/embeddings.request", "openai.types:EmbeddingCreateParams"),
    _answer("openai/embeddings.response", "openai.types:CreateEmbeddingResponse"),
    _request("openai/moderations.request", "openai.types:ModerationCreateParams"),
    _answer("openai/moderations.response", "openai.types:ModerationCreateResponse"),
    _request(
        "openai/responses.request", f"{RESPONSES}.response_create_params:ResponseCreateParamsNonStreaming"
    ),
    _answer("openai/responses.response", f"{RESPONSES}:Response"),
    _answer("openai/responses.event", f"{RESPONSES}:ResponseStreamEvent"),
    _request(
        "openai/images.request",
        "openai.types:ImageGenerateParams",
        "openai.types.image_generate_params:ImageGenerateParamsNonStreaming",
    ),
    _answer("openai/images.response", "openai.types:ImagesResponse"),
    _answer("openai/images.event", "openai.types:ImageGenStreamEvent", "openai.types:ImageEditStreamEvent"),
    _answer(
        "openai/transcriptions.response",
        f"{AUDIO}:Transcription",
        f"{AUDIO}:TranscriptionVerbose",
        f"{AUDIO}:TranscriptionDiarized",
    ),
    _answer("openai/transcriptions.event", f"{AUDIO}:TranscriptionStreamEvent"),
    _answer("openai/translations.response", f"{AUDIO}:Translation", f"{AUDIO}:TranslationVerbose"),
    _request("openai/speech.request", f"{AUDIO}:SpeechCreateParams"),
    _request(
        "anthropic/messages.request", f"{MESSAGES}.message_create_params:MessageCreateParamsNonStreaming"
    ),
    _answer("anthropic/messages.response", f"{MESSAGES}:Message"),
    _answer(
        "anthropic/messages.event",
        f"{MESSAGES}:RawMessageStreamEvent",
        f"{MESSAGES}:ErrorResponse",
        f"{__name__}:Ping",
    ),
    _request("anthropic/count_tokens.request", f"{MESSAGES}:MessageCountTokensParams"),
    _answer("anthropic/count_tokens.response", f"{MESSAGES}:MessageTokensCount"),
    _answer("shared/model.response", *MODEL),
    Source("shared/models.response", MODEL, is_page=True),
)
