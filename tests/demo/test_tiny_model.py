from pathlib import Path

import numpy as np

from harness.demo.tiny_model import FOLLOWS, Shape, Weights, write_model
from harness.demo.vocabulary import SPACE, read_vocabulary


def test_the_same_shape_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    shapes = [Shape(), Shape(), Shape(seed=1)]
    paths = [tmp_path / f"{number}.gguf" for number, _ in enumerate(shapes)]
    for path, shape in zip(paths, shapes, strict=True):
        write_model(path, shape)
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again != other
    assert len(first) < 1_000_000


def test_without_its_blocks_the_model_knows_what_follows_a_word() -> None:
    words = read_vocabulary()
    weights = Weights(Shape(), words)
    place = {token: number for number, token in enumerate(words.tokens)}
    logits = weights.output() @ weights.embeddings()[place[f"{SPACE}takes"]]
    best = np.argsort(logits)[-2:]
    assert {words.tokens[number] for number in best} > {f"{SPACE}the"}
    assert logits[best[-1]] >= FOLLOWS - 0.001
    assert abs(logits[place[f"{SPACE}clock"]]) < 0.001
