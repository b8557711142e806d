"""Text of others made safe to print: nothing in it can move a cursor, hide or turn round what follows.

The law of this file: one character in, something visible out; what is visible already stays as it
is. Recorded text is whatever a provider or a prompt contains (terminal escapes, broken UTF-8).
"""

import re

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""C0, DEL, C1; separators; what has no width or changes direction (Unicode categories Cc, Cf, Zl, Zp);
surrogates. The joiners U+200C and U+200D stay: Persian, Hindi and emoji are written with them."""

PICTURES = {chr(code): chr(0x2400 + code) for code in range(32)} | {"\n": "⏎", "\t": "⇥", "\x7f": "␡"}
"""Control character -> its picture (Unicode block Control Pictures)."""


def visible(text: str, keep: str = "") -> str:
    """The text on one line, safe to print; the characters in `keep` stay as they are.

    >>> visible("a" + chr(27) + "[31m" + chr(10))
    'a␛[31m⏎'
    """
    return UNSAFE.sub(lambda found: found[0] if found[0] in keep else picture(found[0]), text)


def picture(character: str) -> str:
    """What is printed in place of an unsafe character."""
    return PICTURES.get(character) or f"<U+{ord(character):04X}>"


def last_line(text: str, otherwise: str) -> str:
    """The last line of a text that is not blank, safe to print; what else to say where there is none.

    >>> last_line("one" + chr(10) + " two " + chr(10), "nothing"), last_line("", "nothing")
    ('two', 'nothing')
    """
    said = (line.strip() for line in reversed(text.split("\n")))
    return visible(next(filter(None, said), otherwise))


def counted(number: int, word: str) -> str:
    """A number of things, in words.

    >>> counted(1, "exchange"), counted(2, "exchange")
    ('1 exchange', '2 exchanges')
    """
    return f"{number} {word}{'' if number == 1 else 's'}"
