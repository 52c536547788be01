"""Is a URL the page that people would say it is, and does nobody's name get into its key?"""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import MAX_NAME
from streams.decode import is_clean
from streams.page_keys import MOST_SEGMENTS, PageRule, PageRules, host_of, page_key, redacted

SHOP = PageRules(
    hosts=("www.example.com", "help.example.com"),
    rules=(
        PageRule("/product/*", "/product/{name}"),
        PageRule("/docs/**", "/docs"),
        PageRule("/カテゴリ/*/一覧", "/カテゴリ/{name}/一覧"),
    ),
)

TABLE = [
    # what says nothing is dropped
    ("https://www.example.com/", "/"),
    ("https://www.example.com", "/"),
    ("", "/"),
    ("/", "/"),
    ("/help/", "/help"),
    ("/help?topic=1&mail=a@b.example", "/help"),
    ("/help#answer-5", "/help"),
    ("/help?next=/a/b#c?d", "/help"),
    ("HTTPS://WWW.EXAMPLE.COM/Help/FAQ", "/help/faq"),
    ("https://user:secret@www.example.com:8443/help", "/help"),
    ("//www.example.com/help", "/help"),
    ("https://www.example.com?x=/y", "/"),
    ("https://[2001:db8::1]:8443/help", "/help"),
    ("/help;jsessionid=A9F3C2D1", "/help"),
    ("/a//b///c", "/a/b/c"),
    ("/./a/./b", "/a/b"),
    ("/index.html", "/index.html"),
    ("app/settings", "/app/settings"),
    ("/app/#/orders", "/app"),
    # ids
    ("/orders/12345", "/orders/{id}"),
    ("/orders/7", "/orders/{id}"),
    ("/orders/-7", "/orders/{id}"),
    ("/orders/1,234.50", "/orders/{id}"),
    ("/orders/550e8400-e29b-41d4-a716-446655440000", "/orders/{id}"),
    ("/orders/550E8400E29B41D4A716446655440000", "/orders/{id}"),
    ("/orders/%7B550e8400-e29b-41d4-a716-446655440000%7D", "/orders/{id}"),
    ("/commit/deadbeef", "/commit/{id}"),
    ("/commit/9fceb02d0ae598e95dc970b74767f19372d61af8", "/commit/{id}"),
    ("/s/dGhpc2lzYXRlc3QxMjM", "/s/{id}"),
    ("/s/eyJhbGciOiJIUzI1NiJ9", "/s/{id}"),
    ("/orders/ABC-12345/status", "/orders/{id}/status"),
    ("/orders/ord_20260131_0007", "/orders/{id}"),
    ("/orders/INV-2026-0012", "/orders/{id}"),
    ("/orders/A1B2C3", "/orders/{id}"),
    ("/orders/xyz999", "/orders/{id}"),
    ("/files/report-12345.pdf", "/files/{id}.pdf"),
    ("/files/12345.PDF", "/files/{id}.pdf"),
    ("/shoes/red-shoes-48213", "/shoes/{id}"),
    ("/%31%32%33%34%35", "/{id}"),
    ("/orders/%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94", "/orders/{id}"),
    ("/orders/٣٤٥٦", "/orders/{id}"),
    # people
    ("/u/tanaka@example.com", "/u/{email}"),
    ("/u/tanaka%40example.com", "/u/{email}"),
    ("/u/tanaka%2540example.com/edit", "/u/{email}/edit"),
    ("/u/tanaka＠example.com", "/u/{email}"),
    ("/@tanaka/posts", "/{user}/posts"),
    ("/call/03-1234-5678", "/call/{phone}"),
    ("/call/+81-3-1234-5678", "/call/{phone}"),
    ("/call/+81312345678", "/call/{phone}"),
    ("/call/09012345678", "/call/{phone}"),
    ("/call/(03)%201234-5678", "/call/{phone}"),
    ("/login/user=tanaka", "/login/{value}"),
    # dates
    ("/diary/2026-01-31", "/diary/{date}"),
    ("/diary/20260131", "/diary/{date}"),
    ("/diary/2026-01", "/diary/{date}"),
    ("/diary/2026.1.31", "/diary/{date}"),
    ("/diary/2026年1月31日", "/diary/{date}"),
    ("/slots/2026-01-31T09:30:00Z", "/slots/{date}"),
    # words stay
    ("/iphone-15-pro", "/iphone-15-pro"),
    ("/covid19", "/covid19"),
    ("/step-2", "/step-2"),
    ("/top10", "/top10"),
    ("/v2/start", "/v2/start"),
    ("/mp3-to-mp4", "/mp3-to-mp4"),
    ("/blog/summer-sale-2026", "/blog/summer-sale-2026"),
    ("/how-to-return-a-product-that-does-not-fit", "/how-to-return-a-product-that-does-not-fit"),
    # Japanese
    ("/ヘルプ/返品", "/ヘルプ/返品"),
    ("/%E3%83%98%E3%83%AB%E3%83%97/%E8%BF%94%E5%93%81/", "/ヘルプ/返品"),
    ("/ﾍﾙﾌﾟ", "/ヘルプ"),
    ("/契約/１２３４５６/解約", "/契約/{id}/解約"),
    ("/ご利用　ガイド", "/ご利用-ガイド"),
    # hostile
    ("/a/../../../etc/passwd", "/etc/passwd"),
    ("/a/%2e%2e/b", "/b"),
    ("/a\\..\\b", "/b"),
    ("/a/\u202egpj.exe", "/a/gpj.exe"),
    ("/a/\u200bb\u2066c", "/a/bc"),
    ("/a\x00\x07b\r\nc", "/abc"),
    ("/a%00b%0d%0ac", "/abc"),
    ("/%", "/%"),
    ("/%zz/x", "/%zz/x"),
    ("/%ff%fe", "/\ufffd\ufffd"),
    ("/%25252525252540", "/{user}"),
    ("/\ud800x", "/x"),
    ("/a%3Fmail=a@b.example", "/a"),
    ("javascript:alert(1)", "/javascript:alert(1)"),
    ("mailto:tanaka@example.com", "/{email}"),
    ("/" + "x" * 10_000, "/{id}"),
    ("/" + "とても長い" * 100, "/{long}"),
    ("/" + "a/" * 5_000, "/" + "a/" * MOST_SEGMENTS + "{more}"),
    ("/a/" + "@" * 5_000, "/a/{user}"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "page"), TABLE, ids=range(len(TABLE)))
def test_a_url_is_the_page(url: str, page: str) -> None:
    assert page_key(url) == page


@pytest.mark.parametrize(("url", "page"), TABLE, ids=range(len(TABLE)))
def test_the_key_of_a_key_is_that_key(url: str, page: str) -> None:
    assert page_key(page) == page


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://www.example.com/Product/Red-Table-17?x", "www.example.com/product/{name}"),
        ("https://www.example.com/product/12345", "www.example.com/product/{name}"),
        ("https://www.example.com/product", "www.example.com/product"),
        ("https://www.example.com/product/a/b", "www.example.com/product/a/b"),
        ("https://help.example.com/docs", "help.example.com/docs"),
        ("https://help.example.com/docs/a/12345/c", "help.example.com/docs"),
        ("https://help.example.com/カテゴリ/家具/一覧", "help.example.com/カテゴリ/{name}/一覧"),
        ("https://HELP.example.com./", "help.example.com/"),
        ("www.example.com/product/{name}", "www.example.com/product/{name}"),
    ],
)
def test_the_rules_of_a_site_say_what_else_is_one_page_and_hosts_are_told_apart(url: str, page: str) -> None:
    assert page_key(url, SHOP) == page


def test_with_one_host_it_says_nothing() -> None:
    assert page_key("https://www.example.com/a", PageRules(hosts=("www.example.com",))) == "/a"


@given(st.one_of(st.text(), st.lists(st.text(alphabet="aZ09%/.@-?#;={}あ\u202e\x00 ")).map("/".join)))
def test_whatever_a_url_is_its_key_is_bounded_clean_and_its_own(url: str) -> None:
    key = page_key(url)
    assert 0 < len(key) <= MAX_NAME
    assert is_clean(key)
    assert "@" not in key
    assert "?" not in key
    assert page_key(key) == key


@given(st.text(max_size=30), st.sampled_from(SHOP.hosts))
def test_a_key_with_a_host_is_its_own_too(path: str, host: str) -> None:
    key = page_key(f"https://{host}/{path}", PageRules(hosts=SHOP.hosts))
    assert page_key(key, PageRules(hosts=SHOP.hosts)) == key
    assert key.startswith(f"{host}/")


@pytest.mark.parametrize(
    "url",
    ["/" + "a@" * 5_000, "/" + "%25" * 5_000, "/" + "-1" * 5_000, "/" + "(0" * 5_000, "/" + "2026-" * 2_000,
     "/" + "é" * 10_000, "/" + "../" * 5_000, "/" + "a.b" * 3_000, "/0" + " " * 5_000, "/" + "%EF%BC%85" * 2_000],
    ids=range(10),
)  # fmt: skip
def test_a_hostile_url_costs_no_more_than_milliseconds(url: str) -> None:
    began = time.process_time()
    page_key(url)
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Shop.Example.com:8443/x", "shop.example.com"),
        ("https://a@evil.example@shop.example.com/x", "shop.example.com"),
        ("https://shop.example.com\\@evil.example/x", "shop.example.com"),
        ("https://[::1]:80/x", "[::1]"),
        ("/x", ""),
        ("data:text/html,x", ""),
        ("about:blank", ""),
    ],
)
def test_the_host_of_a_url(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("返品 方法", "返品 方法"),
        ("order 12345 Tanaka@Example.com", "order # {email}"),
        ("０３-1234-5678", "#-#-#"),
        ("  a\n\x00b  ", "a b"),
        ("x" * 300, "x" * 100),
    ],
)
def test_what_people_type_is_kept_without_numbers_and_addresses(typed: str, kept: str) -> None:
    assert redacted(typed, 100) == kept
