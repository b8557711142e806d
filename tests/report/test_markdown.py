"""The summary for a pull request: verdict first, and nothing of others that acts."""

from pathlib import Path

from harness.report.compare import comparison
from harness.report.markdown import markdown
from harness.report.read import read_exchanges, read_run
from tests.plugins.results import made_failure, made_result
from tests.plugins.stored import stored_card, stored_run

EVIL = "a|b `c` <img src=x onerror=alert(1)> @someone [x](http://y)"


def test_a_run_is_told_from_its_verdict_on(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    slo = {"asked": "ttft:p99<50ms", "figure": "ttft_ms", "got": 100.0, "unit": "ms", "met": False}
    stored_run(path, [made_result(0), made_failure(1, error="429")], {"slos": (slo,)}, name="nightly")
    lines = markdown(read_run(path)).splitlines()
    assert lines[0] == "**✅ VALID** `nightly` · 8 at once · `http://127.0.0.1:1` · `tiny`"
    assert "| TTFT | 100 | 100 | 100 | 100 | 1 |" in lines
    assert "| `ttft:p99<50ms` | 100 ms | **not met** |" in lines
    assert any(line.endswith("1 failed: http `429` 1") for line in lines)


def test_reasons_of_an_invalid_run_stand_below_its_verdict(tmp_path: Path) -> None:
    stored_run(tmp_path / "a.db", [made_result(0)], {"verdict": "invalid", "reasons": ("lost <3>",)})
    lines = markdown(read_run(tmp_path / "a.db")).splitlines()
    assert lines[0].startswith("**❌ INVALID**")
    assert lines[2] == "- lost \\<3\\>"


def test_text_of_others_stays_text(tmp_path: Path) -> None:
    stored_run(tmp_path / "a.db", [made_result(0, model=EVIL), made_failure(1, error=EVIL)], name=EVIL)
    told = markdown(read_run(tmp_path / "a.db"))
    safe = "`a|b 'c' <img src=x onerror=alert(1)> @someone [x](http://y)`"
    assert told.count(EVIL[5:8]) == 0
    assert told.count(safe) == 3
    assert told.replace(safe, "").count("<") == 0


def test_tokens_a_joule_are_told_where_the_energy_is_known(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    run_id = stored_run(path, [made_result(0)])
    stored_card(path, run_id, ({"at_ms": 100 * k - 50, "energy_mj": 1000 * k} for k in range(4)))
    assert " · 2.00 tokens a joule · no failures" in markdown(read_run(path, run_id))


def test_two_runs_are_told_with_their_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    stored_run(path, [made_result(0)])
    stored_run(path, [made_result(0, first_token=50)])
    told = markdown(comparison(read_run(path, 1), read_run(path, 2)))
    assert "| TTFT p50 | 100 ms | 50.0 ms | \N{MINUS SIGN}50.0 % 🟢 |" in told


def test_a_recording_is_told_by_model() -> None:
    told = markdown(read_exchanges(Path(__file__).parents[2] / "recordings" / "tiny-llama.db"))
    assert told.startswith("25 exchanges in `tiny-llama.db`\n")
    assert "| `tiny-llama` openai.chat | 11 |" in told
