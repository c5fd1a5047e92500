"""Nothing from outside becomes markup."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.pages.markup import element, together


class Read(HTMLParser):
    """The elements and the text of a page, as a browser has them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@given(text=st.text())
def test_text_stays_text_wherever_it_stands(text: str) -> None:
    read = Read(element("p", text, element("b", text), title=text))
    assert read.names == ["p", "b"]
    assert [name for name, _ in read.attributes] == ["title"]


def test_what_was_made_here_is_not_escaped_again() -> None:
    assert element("p", together("a<b", element("b", "&"))) == "<p>a&lt;b<b>&amp;</b></p>"


def test_a_lone_surrogate_and_control_characters_are_no_part_of_a_page() -> None:
    element("p", "\ud800\x00\x1b[31m").encode()
    assert "\x1b" not in element("p", "\x1b", title="\x1b")


def test_what_no_html_may_hold_is_replaced_and_all_else_kept() -> None:
    for odd in "\x00\x1b\x7f\x80\x9f\ufffe\uffff\ufdd0\U0001ffff":
        assert element("p", odd, title=odd) == '<p title="\N{REPLACEMENT CHARACTER}">\N{REPLACEMENT CHARACTER}</p>'
    kept = "a\n\tb \xa0\xad\u200d\ue000 \N{GRINNING FACE}"
    assert element("p", kept) == f"<p>{kept}</p>"


def test_attributes_that_are_none_are_left_out() -> None:
    assert element("line", x1=0.04, class_="rule", stroke_width=None) == '<line x1="0" class="rule"/>'
