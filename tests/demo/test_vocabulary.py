from harness.demo.vocabulary import SPACE, byte_token, read_vocabulary


def test_every_beginning_of_a_word_is_a_token_so_that_the_tokenizer_can_build_it() -> None:
    tokens = set(read_vocabulary().tokens)
    words = read_vocabulary().words
    assert f"{SPACE}recorder" in words
    assert {word[:length] for word in words for length in range(2, len(word) + 1)} <= tokens


def test_all_tokens_differ_and_every_byte_has_one() -> None:
    tokens = read_vocabulary().tokens
    assert len(set(tokens)) == len(tokens)
    assert {byte_token(value) for value in range(256)} <= set(tokens)
    assert (byte_token("\n"), byte_token(255)) == ("<0x0A>", "<0xFF>")
