"""Bytes to original text: encodings, HTML, DOCX, PDF, and what is refused."""

from __future__ import annotations

import io
import zipfile

import docx
import pypdf
import pytest

import corpus.formats
from corpus.decode import decode
from corpus.formats import SUFFIXES, extract
from errors import UnreadableDocumentError

SIMPLIFIED = "湖南自贸试验区五年来新设企业超过5.4万家，外贸额突破千亿元。\r\n这是第二行！\n"
TRADITIONAL = "湖南自貿試驗區五年來新設企業超過5.4萬家，外貿額突破千億元。\r\n這是第二行！\n"


def make_pdf(pages: list[list[str]]) -> bytes:
    """A minimal PDF: one font whose codes are UTF-16 and are mapped back one to one."""
    to_unicode = (
        b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <0000> <FFFF> "
        b"endcodespacerange 1 beginbfrange <0000> <FFFF> <0000> endbfrange endcmap end"
    )
    kids = " ".join(f"{6 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode(),
        b"<</Type/Font/Subtype/Type0/BaseFont/A/Encoding/Identity-H/DescendantFonts[4 0 R]"
        b"/ToUnicode 5 0 R>>",
        b"<</Type/Font/Subtype/CIDFontType2/BaseFont/A/DW 1000"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>",
        _stream(to_unicode),
    ]
    for i, lines in enumerate(pages):
        shown = "".join(
            f"1 0 0 1 72 {760 - 20 * n} Tm <{line.encode('utf-16-be').hex()}> Tj\n"
            for n, line in enumerate(lines)
        )
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {7 + 2 * i} 0 R"
            "/Resources<</Font<</F 3 0 R>>>>>>".encode()
        )
        objects.append(_stream(f"BT /F 12 Tf\n{shown}ET".encode()))
    body, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return (
        body
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\n"
        % (
            size,
            table,
            size,
        )
        + b"startxref\n%d\n%%%%EOF" % len(body)
    )


def _stream(content: bytes) -> bytes:
    return b"<</Length %d>>stream\n%s\nendstream" % (len(content), content)


def make_docx() -> bytes:
    document = docx.Document()
    document.add_heading("年度安全生产报告", level=0)
    document.add_heading("一、总体情况", level=1)
    document.add_paragraph("全年没有发生重大事故。")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        [cell for row in table.rows for cell in row.cells],
        ["片区", "企业数", "长沙", "392"],
        strict=True,
    ):
        cell.text = text
    document.add_paragraph("表后的一段话。")
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


# --- encodings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", SIMPLIFIED),
        ("utf-8-sig", SIMPLIFIED),
        ("utf-16", SIMPLIFIED),
        ("utf-16-le", SIMPLIFIED),
        ("utf-16-be", SIMPLIFIED),
        ("gb18030", SIMPLIFIED),
        ("gb18030", TRADITIONAL),
        ("big5", TRADITIONAL),
    ],
)
def test_text_in_a_chinese_encoding_is_decoded_with_its_line_ends(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "gb18030", "big5"])
def test_twenty_characters_are_enough_to_tell_the_encoding(encoding: str) -> None:
    text = (
        "政府工作報告指出，今年主要目標已經完成。"
        if encoding == "big5"
        else "政府工作报告指出，今年主要目标已经完成。"
    )
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            "日本の経済は来年も成長を続ける見込みだ。".encode("shift_jis") * 3, id="Japanese"
        ),
        pytest.param(
            "서울시는 시민들의 안전을 위하여 새로운 교통 대책을 마련한다. ".encode("euc-kr") * 9,
            id="Korean",
        ),
        pytest.param("Экономика страны будет расти. ".encode("cp1251") * 3, id="Cyrillic"),
        pytest.param("Le café est très chaud à côté. ".encode("latin-1") * 3, id="French"),
        pytest.param(bytes(range(256)) * 4, id="all bytes"),
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(200)) * 9, id="picture"),
        pytest.param("中\0文".encode(), id="NUL in UTF-8"),
        pytest.param("正文".encode() + b"\x01\x02\x03\x04\x05\x06", id="control characters"),
        pytest.param(b"\xff\xfe" + b"\x00\xd8" * 4, id="surrogates after a byte-order mark"),
    ],
)
def test_bytes_that_cannot_be_told_are_refused_rather_than_shown_as_other_characters(
    data: bytes,
) -> None:
    with pytest.raises(UnreadableDocumentError):
        decode(data)


def test_utf8_cut_inside_a_character_is_read_with_a_warning() -> None:
    decoded = decode((SIMPLIFIED * 20).encode() + "区".encode()[:2])
    assert decoded.text.startswith(SIMPLIFIED)
    assert decoded.warnings == ("有 1 处字节损坏，显示为 \ufffd",)


def test_a_single_control_character_is_kept_and_reported() -> None:
    decoded = decode("第一行\x08第二行".encode())
    assert decoded.text == "第一行\x08第二行"
    assert decoded.warnings == ("含有 1 个控制字符",)


# --- HTML ---------------------------------------------------------------------------------------

PAGE = """<!doctype html><html><head><meta charset="{charset}"><title>自贸区五年_某新闻网</title>
<meta name="author" content="张笛">
<meta property="article:published_time" content="2025-09-24T08:00">
<style>p {{color: red}}</style></head><body><nav><a href="/">首页</a></nav>
<article><h1>自贸区五年报告</h1><p>第一段，<b>重点</b>内容。<br>换行之后。</p><script>alert(1)</script>
<h2>制度创新</h2><p>源文件里的
换行不是空格。 5G
AI 之间是。</p><!-- 注释 --><p hidden>看不见</p>
<table><tr><th>片区</th><th>企业</th></tr><tr><td>长沙</td><td>392</td></tr></table>
<figure><img src="a.jpg"><figcaption>城陵矶港</figcaption></figure></article>
<footer>版权所有</footer></body></html>"""


def test_html_becomes_one_line_a_block_without_scripts_and_navigation() -> None:
    page = extract(PAGE.format(charset="utf-8").encode(), ".html")
    assert page.text.split("\n") == [
        "自贸区五年报告",
        "第一段，重点内容。",
        "换行之后。",
        "制度创新",
        "源文件里的换行不是空格。 5G AI 之间是。",
        "片区\t企业",
        "长沙\t392",
        "城陵矶港",
    ]


def test_html_names_its_title_author_date_and_the_role_of_lines() -> None:
    page = extract(PAGE.format(charset="utf-8").encode(), ".html")
    assert (page.title, page.author, page.date) == ("自贸区五年报告", "张笛", "2025-09-24T08:00")
    roles = {span.cut(page.text): kind for span, kind in page.marks}
    assert roles == {"自贸区五年报告": "heading", "制度创新": "heading", "城陵矶港": "caption"}


def test_html_in_the_encoding_it_declares() -> None:
    assert "第一段" in extract(PAGE.format(charset="gb2312").encode("gb18030"), ".htm").text


def test_html_without_a_headline_takes_its_title_without_the_name_of_the_site() -> None:
    page = "<title>五年报告_某新闻网</title><div>第一段。</div>"
    assert extract(page.encode(), ".html").title == "五年报告"


def test_deeply_nested_and_broken_html_is_read() -> None:
    assert "深处" in extract(("<div>" * 3000 + "深处<p>没有结束").encode(), ".html").text


# --- DOCX ---------------------------------------------------------------------------------------


def test_docx_gives_paragraphs_and_tables_in_order_with_their_roles() -> None:
    document = extract(make_docx(), ".docx")
    assert document.text.split("\n") == [
        "年度安全生产报告",
        "一、总体情况",
        "全年没有发生重大事故。",
        "片区\t企业数",
        "长沙\t392",
        "表后的一段话。",
    ]
    assert [kind for _, kind in document.marks] == ["title", "heading"]


def test_a_merged_cell_is_read_once() -> None:
    document = docx.Document()
    table = document.add_table(rows=1, cols=3)
    table.cell(0, 0).merge(table.cell(0, 2)).text = "合并"
    file = io.BytesIO()
    document.save(file)
    assert extract(file.getvalue(), ".docx").text.strip() == "合并"


def test_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus.formats, "_MAX_UNPACKED_BYTES", 1024 * 1024)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(2 * 1024 * 1024))
    with pytest.raises(UnreadableDocumentError) as caught:
        extract(file.getvalue(), ".docx")
    assert caught.value.user_message == "文件解压后过大"


# --- PDF ----------------------------------------------------------------------------------------


def test_pdf_text_comes_line_by_line() -> None:
    pdf = make_pdf([["湖南自贸试验区", "新设企业超5.4万家。"], ["第二页的内容。"]])
    assert extract(pdf, ".pdf").text == "湖南自贸试验区\n新设企业超5.4万家。\n第二页的内容。"


def test_page_numbers_and_running_heads_of_a_pdf_are_left_out() -> None:
    pages = [
        ["内部资料", f"第{word}页的正文。", f"- {n} -"] for n, word in enumerate("甲乙丙丁", 1)
    ]
    assert extract(make_pdf(pages), ".pdf").text == "\n".join(
        f"第{w}页的正文。" for w in "甲乙丙丁"
    )


def _encrypted(password: str) -> bytes:
    writer = pypdf.PdfWriter(io.BytesIO(make_pdf([["内容"]])))
    writer.encrypt(password, "owner", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


def test_a_pdf_that_opens_without_a_password_is_read() -> None:
    assert extract(_encrypted(""), ".pdf").text == "内容"


@pytest.mark.parametrize(
    ("data", "suffix", "reason"),
    [
        pytest.param(_encrypted("secret"), ".pdf", "已加密", id="encrypted PDF"),
        pytest.param(make_pdf([[], []]), ".pdf", "只有图片", id="PDF of pictures"),
        pytest.param(make_pdf([["\ue001\ue002\ue003"]]), ".pdf", "字体", id="PDF without a map"),
        pytest.param(make_pdf([["内容"]])[:200], ".pdf", "损坏", id="PDF cut off"),
        pytest.param(b"not a pdf at all", ".pdf", "损坏", id="no PDF"),
        pytest.param(b"PK\x03\x04 broken", ".docx", "损坏", id="no DOCX"),
        pytest.param(make_docx()[:3000], ".docx", "损坏", id="DOCX cut off"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 rest", ".docx", "加密", id="old DOC"),
        pytest.param(b" \n\t\r\n", ".txt", "没有文字", id="white space"),
        pytest.param(b"<html><script>1</script></html>", ".html", "没有文字", id="HTML of scripts"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(
    data: bytes, suffix: str, reason: str
) -> None:
    with pytest.raises(UnreadableDocumentError) as caught:
        extract(data, suffix)
    assert reason in caught.value.user_message


def test_every_promised_format_has_an_extractor() -> None:
    assert {".txt", ".md", ".html", ".htm", ".docx", ".pdf"} <= SUFFIXES
