"""The words of the tiny model: a SentencePiece vocabulary made from a short text.

llama.cpp's tokenizer of the type `llama` starts from single characters and joins two neighbours where
the vocabulary holds the result. So a word comes out whole only if all its beginnings are tokens too;
they are here, and the model never writes them. U+2581 stands for the space before a word, and bytes
that no token covers have a token each, as in every vocabulary of this type.
"""

from dataclasses import dataclass
from importlib.resources import files

UNKNOWN, START, END = "<unk>", "<s>", "</s>"
TURN_START, TURN_END = "<|im_start|>", "<|im_end|>"
CALL_START, CALL_END = "<tool_call>", "</tool_call>"
CONTROL = (START, END, TURN_START, TURN_END)
TOOL_MARKS = (CALL_START, CALL_END)
SPACE = "\u2581"
PUNCTUATION = ".,"


def byte_token(value: int | str) -> str:
    """The token of one byte, given as a number or as an ASCII character.

    >>> byte_token(":")
    '<0x3A>'
    """
    return f"<0x{ord(value) if isinstance(value, str) else value:02X}>"


@dataclass(frozen=True)
class Vocabulary:
    """All tokens in the order of their ids, and the text they come from as sentences of tokens."""

    sentences: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    beginnings: tuple[str, ...]

    @property
    def tokens(self) -> tuple[str, ...]:
        """Every token; its place is its id."""
        data = tuple(byte_token(value) for value in range(256))
        return (UNKNOWN, *CONTROL, *TOOL_MARKS, *data, *self.beginnings, *self.words)


def read_vocabulary() -> Vocabulary:
    """The vocabulary of `tiny_text.txt`: a sentence a line, words and punctuation apart."""
    text = files("harness.demo").joinpath("tiny_text.txt").read_text(encoding="utf-8")
    sentences = tuple(tuple(piece(word) for word in line.split()) for line in text.splitlines())
    words = sorted({word for sentence in sentences for word in sentence})
    beginnings = {word[:length] for word in words for length in range(2, len(word))}
    return Vocabulary(sentences, tuple(words), tuple(sorted(beginnings - set(words))))


def piece(word: str) -> str:
    """A word of the text as the token that stands for it: with its space, except punctuation."""
    return word if word in PUNCTUATION else SPACE + word
