"""A tiny Llama that writes English-looking text, made from a seed in a fraction of a second.

Nothing is trained and nothing is downloaded. The weights are a bigram model of `tiny_text.txt` in the
form of a Llama: the embedding of a word is an axis of its own, and the row of the output matrix of a
word that follows it has a weight on that axis. One more axis is the same for all tokens and acts as a
bias, which keeps bytes and beginnings of words out of free text while a grammar can still force them.
The transformer blocks are random and small: they do real work and stir the choice a little, and more
of them make slower tokens.

The file format is GGUF version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), the
names of the tensors are those of llama.cpp's architecture `llama`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType
from numpy.typing import NDArray

from harness.demo.vocabulary import (
    CALL_END,
    CALL_START,
    CONTROL,
    END,
    START,
    TOOL_MARKS,
    UNKNOWN,
    Vocabulary,
    byte_token,
    read_vocabulary,
)

type Matrix = NDArray[np.float64]

FOLLOWS = 12.0
"""Logit of a token that follows the one before it; of every other word it is about 0."""
NEVER = -40.0
"""Logit of every other token that is no word, unless `BYTE_LOGITS` says otherwise."""
BYTE_LOGITS = {**dict.fromkeys("]}", -34.0), **dict.fromkeys('",', -36.0), **dict.fromkeys(" \t\n", -44.0)}
"""Under a grammar, closing comes before going on, and blanks come last: structured answers stay short."""
CUES = {
    byte_token(":"): [CALL_START],
    CALL_START: [byte_token("\n")],
    byte_token("}"): [CALL_END],
    CALL_END: [END],
}
"""How a tool call runs, between the bytes that its grammar forces. The chat template ends with a colon
where the model is to call a tool, and with a line end, which sentences follow, where it is to write."""
ENDS_SENTENCE = "."
ENDINGS = 2
"""How often a text ends after a sentence, against once for each sentence that could follow."""
STIR = 0.15
"""Size of what the blocks add to the embedding, relative to it."""


@dataclass(frozen=True)
class Shape:
    """The size of the model. One layer costs about 0.1 ms a token on one core and 0.2 MB of file."""

    layers: int = 2
    width: int = 128
    feed_forward: int = 128
    heads: int = 4
    context: int = 4096
    seed: int = 2026


class Weights:
    """The tensors of a shape and a vocabulary, drawn from the shape's seed."""

    def __init__(self, shape: Shape, words: Vocabulary) -> None:
        self.shape = shape
        self.words = words
        self.random = np.random.default_rng(shape.seed)
        self.followers = followers(words)
        self.bias, *axes = np.linalg.qr(self.random.standard_normal((shape.width, shape.width)))[0]
        self.axes = dict(zip(self.followers, axes, strict=False))
        """Token that decides what comes next -> its own direction."""

    def embeddings(self) -> Matrix:
        """Shape (tokens, width): the direction of a token (of any word, if it has none), and the bias."""
        some = list(self.axes.values())
        own = [self.axes.get(token, some[at % len(some)]) for at, token in enumerate(self.words.tokens)]
        found: Matrix = (np.array(own) + self.bias) * self.length
        return found

    def output(self) -> Matrix:
        """Shape (tokens, width): how much every direction speaks for a token."""
        rows = {token: self.logit(token) * self.bias for token in self.words.tokens}
        for before, after in self.followers.items():
            for token in set(after):
                rows[token] += self.axes[before] * (FOLLOWS + np.log(after.count(token)) - self.logit(token))
        return np.array(list(rows.values())) / self.length

    @property
    def length(self) -> float:
        """What makes a direction and the bias together sqrt(width) long, as every RMS norm does."""
        return float(np.sqrt(self.shape.width / 2))

    def logit(self, token: str) -> float:
        """The logit of a token whatever came before it."""
        if token in self.words.words:
            return 0.0
        return next((value for byte, value in BYTE_LOGITS.items() if token == byte_token(byte)), NEVER)

    def matrix(self, rows: int, columns: int, size: float = 1.0) -> Matrix:
        """A random matrix that keeps the length of a vector, times `size`."""
        drawn: Matrix = self.random.standard_normal((rows, columns)) * (size / np.sqrt(columns))
        return drawn

    def block(self, number: int) -> Iterator[tuple[str, Matrix]]:
        """The tensors of one transformer block, by name."""
        width, inner, size = self.shape.width, self.shape.feed_forward, STIR / np.sqrt(self.shape.layers)
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{number}.{name}.weight", np.ones(width)
        for name in ("attn_q", "attn_k", "attn_v"):
            yield f"blk.{number}.{name}.weight", self.matrix(width, width)
        yield f"blk.{number}.attn_output.weight", self.matrix(width, width, size)
        for name in ("ffn_gate", "ffn_up"):
            yield f"blk.{number}.{name}.weight", self.matrix(inner, width)
        yield f"blk.{number}.ffn_down.weight", self.matrix(width, inner, size)

    def tensors(self) -> Iterator[tuple[str, Matrix]]:
        """All tensors of the model, by name."""
        yield "token_embd.weight", self.embeddings()
        yield "output_norm.weight", np.ones(self.shape.width)
        yield "output.weight", self.output()
        for number in range(self.shape.layers):
            yield from self.block(number)


def followers(words: Vocabulary) -> dict[str, list[str]]:
    """Token -> the tokens that come after it, each as often as it does."""
    found: dict[str, list[str]] = {}
    for sentence in words.sentences:
        for before, after in pairwise(sentence):
            found.setdefault(before, []).append(after)
    openers = [sentence[0] for sentence in words.sentences]
    return {**found, ENDS_SENTENCE: openers + [END] * ENDINGS, byte_token("\n"): openers, **CUES}


def write_model(path: Path, shape: Shape) -> None:
    """Write the model to `path` as GGUF; the same shape gives the same bytes."""
    words = read_vocabulary()
    writer = GGUFWriter(path, "llama")
    add_shape(writer, shape)
    add_vocabulary(writer, words)
    for name, tensor in Weights(shape, words).tensors():
        # llama.cpp wants norms in float32; float16 halves the rest
        writer.add_tensor(name, tensor.astype(np.float32 if tensor.ndim == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_shape(writer: GGUFWriter, shape: Shape) -> None:
    """Write what llama.cpp must know of the network."""
    writer.add_name("tiny-llama")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.width // shape.heads)


def add_vocabulary(writer: GGUFWriter, words: Vocabulary) -> None:
    """Write the tokenizer and the chat template."""
    tokens = words.tokens
    writer.add_tokenizer_model("llama")
    writer.add_vocab_size(len(tokens))
    writer.add_token_list(list(tokens))
    writer.add_token_scores([-float(number) for number in range(len(tokens))])
    writer.add_token_types([token_type(token) for token in tokens])
    writer.add_bos_token_id(tokens.index(START))
    writer.add_eos_token_id(tokens.index(END))
    writer.add_unk_token_id(tokens.index(UNKNOWN))
    # Without a space before the text, so that the generation prompt reads as the template wrote it:
    # llama.cpp starts a grammar by matching it.
    writer.add_add_space_prefix(False)
    writer.add_chat_template(
        files("harness.demo").joinpath("tiny_template.jinja").read_text(encoding="utf-8")
    )


def token_type(token: str) -> TokenType:
    """How the tokenizer treats a token."""
    if token == UNKNOWN:
        return TokenType.UNKNOWN
    if token in CONTROL:
        return TokenType.CONTROL
    if token in TOOL_MARKS:
        return TokenType.USER_DEFINED
    return TokenType.BYTE if token.startswith("<0x") else TokenType.NORMAL
