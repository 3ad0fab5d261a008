"""Normalised text, words, bigrams, learnt terms, and where jieba may keep its cache."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
import pytest

from index import words
from index.words import (
    WordTokenizer,
    learn_terms,
    normalize,
    private_cache_folder,
    simplified,
)


@pytest.fixture(scope="module")
def tokenizer() -> WordTokenizer:
    return WordTokenizer()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("２０２５年", "2025年", id="full-width digits"),
        pytest.param("ＡＩ和5G", "ai和5g", id="letters"),
        pytest.param("產業發展與資訊", "产业发展与资讯", id="traditional characters"),
        pytest.param("乾淨的頭髮", "干净的头发", id="characters that depend on the word"),
        pytest.param("６％", "6%", id="per cent"),
        pytest.param("1,234,567元", "1234567元", id="thousands"),
        pytest.param("3，200家", "3，200家", id="a Chinese comma joins no numbers"),
        pytest.param("1,23", "1,23", id="not thousands"),
        pytest.param("三万五千", "三万五千", id="Chinese numerals are left alone"),
        pytest.param("", "", id="nothing"),
        pytest.param("a\ud83db", "a?b", id="half a surrogate pair"),
        pytest.param("a\0後", "a\0后", id="a null character"),
    ],
)
def test_texts_are_compared_in_one_form(text: str, expected: str) -> None:
    assert normalize(text) == expected


def test_normalising_twice_changes_nothing() -> None:
    once = normalize("《臺灣產業》ＡＢＣ １，０００ ①㎡")
    assert normalize(once) == once


def test_words_are_cut_for_search(tokenizer: WordTokenizer) -> None:
    cut = tokenizer.words("中华人民共和国的再制造产业")
    assert {"中华人民共和国", "人民", "共和国", "产业"} <= set(cut)


def test_traditional_and_full_width_text_gives_the_same_tokens(tokenizer: WordTokenizer) -> None:
    traditional, simplified = "產業發展規劃２０２５", "产业发展规划2025"
    assert tokenizer.words(traditional) == tokenizer.words(simplified)
    assert tokenizer.bigrams(traditional) == tokenizer.bigrams(simplified)


def test_function_words_question_words_and_punctuation_are_dropped(
    tokenizer: WordTokenizer,
) -> None:
    assert tokenizer.words("的，了！在？是… 和\n《》") == []
    assert tokenizer.words("多少？什么？哪里") == []
    assert tokenizer.words("😀🎉") == []


@pytest.mark.parametrize("word", ["安全", "规定", "促进", "发展", "问题", "主要"])
def test_content_words_stay(tokenizer: WordTokenizer, word: str) -> None:
    assert tokenizer.words(word) == [word]


def test_stop_words_are_in_the_form_they_are_compared_in() -> None:
    for word in words.STOP_WORDS | words.QUESTION_WORDS:
        assert normalize(word) == word


def test_numbers_stay_whole_among_words(tokenizer: WordTokenizer) -> None:
    assert {"3.5%", "5g", "149"} <= set(tokenizer.words("增长3.5%，5G基站149座"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("产值3.5亿元，增长6%", ["产值", "3.5", "亿元", "增长", "6%"], id="mixed"),
        pytest.param("再制造业", ["再制", "制造", "造业"], id="one run"),
        pytest.param("A股", ["a", "股"], id="a single character"),
        pytest.param("COVID-19 v1.2.3", ["covid", "19", "v1.2.3"], id="Latin"),
        pytest.param("𠮷野家", ["𠮷野", "野家"], id="beyond the basic plane"),
        pytest.param("！？", [], id="punctuation"),
    ],
)
def test_bigrams(tokenizer: WordTokenizer, text: str, expected: list[str]) -> None:
    assert tokenizer.bigrams(text) == expected


def test_titles_are_learnt_at_once_and_quotations_when_repeated() -> None:
    texts = ["《鲲鹏纪要》说“灵犀湾”很好，他说“走吧”。", "“灵犀湾”在东边。"]
    assert learn_terms(texts) == ["灵犀湾", "鲲鹏纪要"]


def test_the_start_of_a_company_name_shows_by_repetition() -> None:
    texts = ["由桃源锦集团投资", "在桃源锦集团工作，向桃源锦集团学习", "另一家蓝星公司"]
    assert learn_terms(texts) == ["桃源锦集团"]


def test_learnt_terms_do_not_depend_on_the_order_of_texts_and_are_bounded() -> None:
    texts = [f"《书{i}》" for i in range(words.MAX_TERMS + 9)]
    terms = learn_terms(texts)
    assert len(terms) == words.MAX_TERMS
    assert terms == learn_terms(reversed(texts))


def test_learnt_terms_are_cut_as_words_by_their_own_tokenizer_only() -> None:
    term = "灵犀鲲湾"
    assert term in WordTokenizer([term]).words("我们去灵犀鲲湾看海")
    assert term not in WordTokenizer().words("我们去灵犀鲲湾看海")


def test_a_tokenizer_can_be_shared_between_threads() -> None:
    tokenizer = WordTokenizer(["灵犀鲲湾"])
    texts = [f"第{i}家企业在灵犀鲲湾投资{i}.5亿元" for i in range(100)]
    alone = [WordTokenizer(["灵犀鲲湾"]).words(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(tokenizer.words, texts)) == alone


def test_the_cache_folder_belongs_to_the_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "a" / "b"))
    folder = private_cache_folder()
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_cache_folder_that_others_can_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path))
    tmp_path.chmod(mode)
    assert private_cache_folder() is None


def test_a_link_in_place_of_the_cache_folder_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "link"))
    assert private_cache_folder() is None


_SCRIPT = "from index.words import WordTokenizer; print(WordTokenizer().words('产业园区')[0])"


@pytest.mark.parametrize("cache", ["folder", "file"])
def test_words_are_cut_silently_with_and_without_a_cache(tmp_path: Path, cache: str) -> None:
    place = tmp_path / "cache"
    if cache == "file":
        place.write_text("no folder can be made here")
    shared = tmp_path / "shared"
    shared.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SCRIPT],
        env={"XDG_CACHE_HOME": str(place), "TMPDIR": str(shared), "PYTHONIOENCODING": "utf-8"},
        cwd=Path(words.__file__).parent.parent,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert (done.stdout, done.stderr) == ("产业\n", "")
    assert list(shared.iterdir()) == []
    assert place.is_file() or list(place.glob("wenju/jieba-*.cache"))


def test_a_run_without_any_stop_takes_time_in_proportion() -> None:
    tokenizer = WordTokenizer()
    tokenizer.words("预热")
    started = time.perf_counter()
    assert tokenizer.words("中" * 100_000)
    assert time.perf_counter() - started < 20  # 2.5 s in pieces; in one, 40,000 took 15 s


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("臺灣的產業", "台湾的产业", id="characters"),
        pytest.param("ＡＢ 12，乾淨", "ＡＢ 12，干净", id="width and case stay"),
        pytest.param("壞\ud800字", "坏?字", id="half a surrogate pair"),
    ],
)
def test_simplified_text_keeps_its_length(text: str, expected: str) -> None:
    assert simplified(text) == expected
    assert len(simplified(text)) == len(text)
