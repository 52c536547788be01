"""Which web site is there to try things with? A shop in Tokyo, with everything that is wrong with it.

Refuses to know who comes to it.
"""

from streams.simulator.web_site import Cause, Kind, Page, Shows, WebSite

_BROWSE = (("category", 3.0), ("product", 3.0), ("search", 1.0))
_FOOTER = (("help", 0.12), ("about", 0.12), ("announce", 0.05), ("contact", 0.04))
_KINDS: dict[str, Kind] = {
    "home": Kind(14.0, 0.16, (*_BROWSE, ("account", 3.2), ("story", 0.5), ("fun", 0.12), *_FOOTER)),
    "category": Kind(22.0, 0.1, (("product", 7.0), ("category", 1.2), ("search", 0.5), ("home", 0.4), *_FOOTER)),
    "product": Kind(
        42.0, 0.17, (("category", 3.0), ("product", 2.2), ("cart", 1.7), ("search", 0.4), *_FOOTER), sigma=1.1
    ),
    "search": Kind(15.0, 0.12, (("product", 5.0), ("category", 1.0), ("help", 0.3)), searches=True),
    "cart": Kind(24.0, 0.16, (("address", 5.0), ("product", 1.5), ("category", 0.8), *_FOOTER)),
    "address": Kind(48.0, 0.08, (("coupon", 1.6), ("payment", 5.0), ("cart", 0.5)), form=True, account=True),
    "coupon": Kind(30.0, 0.06, (("payment", 6.0), ("cart", 0.6)), form=True, account=True),
    "payment": Kind(50.0, 0.08, (("confirm", 7.0), ("cart", 0.4), ("help", 0.1)), form=True, account=True),
    "confirm": Kind(20.0, 0.08, (("thanks", 9.0), ("cart", 0.4)), account=True),
    "thanks": Kind(9.0, 0.6, (("home", 1.0), ("account", 0.8), ("product", 0.6))),
    "account": Kind(
        17.0, 0.12, (("status", 3.2), ("billing", 2.4), ("security", 1.1), ("returns", 1.2), ("cancel", 0.6),
        ("home", 0.8), ("points", 1.0), *_FOOTER), account=True,
    ),
    "status": Kind(22.0, 0.34, (("account", 2.0), ("home", 1.0), ("returns", 0.5), *_FOOTER), account=True),
    "billing": Kind(38.0, 0.26, (("billing", 2.2), ("account", 1.6), ("home", 0.4), *_FOOTER), account=True),
    "points": Kind(26.0, 0.3, (("account", 1.6), ("product", 1.0), ("billing", 0.4)), account=True),
    "security": Kind(40.0, 0.24, (("account", 2.0), ("home", 0.5), ("done", 1.5)), form=True, account=True),
    "returns": Kind(44.0, 0.2, (("returns", 1.4), ("account", 1.0), ("done", 1.6), ("help", 0.3)), form=True,
                    account=True),
    "cancel": Kind(46.0, 0.3, (("account", 1.4), ("done", 1.2), ("help", 0.2)), sigma=0.9, account=True),
    "done": Kind(8.0, 0.6, (("home", 1.0), ("account", 1.0))),
    "help": Kind(46.0, 0.3, (("help", 2.0), ("account", 0.7), ("home", 0.8), ("contact", 0.14), ("announce", 0.05))),
    "about": Kind(34.0, 0.35, (("home", 1.5), ("about", 1.0), ("announce", 0.12))),
    "story": Kind(95.0, 0.35, (("story", 1.0), ("product", 1.4), ("home", 0.8)), sigma=1.0),
    "fun": Kind(120.0, 0.4, (("fun", 0.6), ("home", 1.0), ("product", 0.6)), fun=True),
    "announce": Kind(18.0, 0.55, (("home", 1.0), ("about", 0.5), ("contact", 0.2))),
    "contact": Kind(22.0, 0.5, (("home", 1.0), ("help", 0.8), ("account", 0.4))),
    "login": Kind(16.0, 0.05, (("account", 1.0),), form=True),
}  # fmt: skip

_PRODUCTS = (
    "/products/rice-cooker-x1", "/products/kettle-k2", "/products/headphones-h900", "/products/speaker-mini",
    "/products/air-purifier-a5", "/products/coffee-mill", "/products/desk-lamp", "/products/projector-p4",
    "/商品/加湿器-h3", "/商品/こたつ布団", "/商品/炊飯器-五合", "/商品/電気毛布", "/商品/掃除機-v8", "/商品/扇風機",
    "/商品/土鍋", "/商品/急須",
)  # fmt: skip
_PAGES: tuple[Page, ...] = (
    Page("/", "home", 3.0), Page("/en", "home"),
    *(Page(f"/category/{name}", "category", 1.0 / (i + 1)) for i, name in enumerate(("kitchen", "audio", "sale"))),
    *(Page(f"/カテゴリ/{name}", "category", 0.8 / (i + 1)) for i, name in enumerate(("生活家電", "季節用品", "食器"))),
    *(Page(path, "product", 1.0 / (i % 8 + 2)) for i, path in enumerate(_PRODUCTS)),
    Page("/search", "search"), Page("/cart", "cart"), Page("/checkout/address", "address"),
    Page("/checkout/coupon", "coupon"), Page("/checkout/payment", "payment"), Page("/checkout/confirm", "confirm"),
    Page("/checkout/thank-you", "thanks"), Page("/login", "login"), Page("/account", "account"),
    Page("/account/orders", "status", 1.2), Page("/account/delivery-status", "status", 1.6),
    Page("/account/two-factor", "security", 1.0), Page("/account/profile", "security", 1.2),
    Page("/account/points", "points"), Page("/account/done", "done"),
    Page("/billing", "billing", 1.4), Page("/billing/fees", "billing", 1.0), Page("/billing/invoices", "billing", 1.0),
    Page("/returns", "returns", 1.0), Page("/returns/new", "returns", 1.2), Page("/解約/手続き", "cancel"),
    Page("/help", "help", 2.0), Page("/help/shipping", "help"), Page("/help/payment", "help", 0.8),
    Page("/help/coupons", "help", 0.5), Page("/help/two-factor", "help", 0.5), Page("/help/returns", "help", 0.8),
    Page("/よくある質問/料金", "help", 0.7), Page("/よくある質問/解約", "help", 0.4),
    Page("/about", "about"), Page("/terms", "about", 0.5), Page("/採用情報", "about", 0.5),
    Page("/blog/winter-cooking", "story"), Page("/blog/お茶の淹れ方", "story", 0.8), Page("/fun/tap-the-cat", "fun"),
    Page("/fun/くじ引き", "fun", 0.7),
    Page("/stores/hours", "announce", 1.0), Page("/company/phone-number", "announce", 1.2),
    Page("/営業時間", "announce", 0.8),
    Page("/contact", "contact", 1.2), Page("/お問い合わせ", "contact", 1.0),
)  # fmt: skip

_ORDERS, _BILLING, _CANCEL, _RETURNS = "注文・配送", "Billing", "解約のご相談", "返品・交換 (チャット)"
_TECHNICAL, _FEES, _SALES_CHAT, _FORM = (
    "Technical support",
    "料金・お支払い",
    "Sales (chat)",
    "メールフォーム",
)
_CAUSES: tuple[Cause, ...] = (
    Cause(
        page="/checkout/coupon", what="the form refuses valid coupons", stuck=0.3, contact=0.42, reason="クーポン",
        channels=(("chat", _RETURNS, 3.0), ("voice", _ORDERS, 2.0)), help_page="/help/coupons",
        shows=Shows(form_errors=1.6, rage=0.3, dead=0.3, loops=0.2),
    ),
    Cause(
        page="/billing/fees", what="the table of fees confuses", stuck=0.26, contact=0.4, reason="料金",
        channels=(("voice", _FEES, 4.0), ("chat", _SALES_CHAT, 1.0)), help_page="/よくある質問/料金",
        shows=Shows(dwell=2.4, loops=0.45, quick=0.2, searches=0.3),
    ),
    Cause(
        page="/checkout/address", what="the address form knows no new buildings", stuck=0.065, contact=0.5,
        reason="住所変更", channels=(("voice", _ORDERS, 4.0), ("form", _FORM, 1.0)), help_page="/help/shipping",
        shows=Shows(form_errors=2.4, errors=0.2, loops=0.1),
    ),
    Cause(
        page="/account/delivery-status", what="the status is days old", stuck=0.22, contact=0.48, reason="配送状況",
        channels=(("voice", _ORDERS, 4.0), ("chat", _RETURNS, 1.5)), help_page="/help/shipping",
        shows=Shows(loops=0.75, quick=0.6, dwell=1.0, searches=0.1),
    ),
    Cause(
        page="/account/two-factor", what="the code never comes", stuck=0.24, contact=0.5, reason="password",
        channels=(("voice", _TECHNICAL, 1.0),), help_page="/help/two-factor",
        shows=Shows(errors=1.0, dead=0.5, form_errors=0.5, rage=0.2),
    ),
    Cause(
        page="/billing/invoices", what="the download does nothing", stuck=0.2, contact=0.4, reason="invoice",
        channels=(("voice", _BILLING, 3.0), ("form", _FORM, 1.0)), help_page="/help/payment",
        shows=Shows(dead=1.6, rage=0.45, errors=0.2),
    ),
    Cause(
        page="/解約/手続き", what="nobody understands the conditions", stuck=0.4, contact=0.45, reason="解約",
        channels=(("voice", _CANCEL, 5.0), ("chat", _RETURNS, 1.0)), help_page="/よくある質問/解約",
        shows=Shows(dwell=1.7, loops=0.08),
    ),
    Cause(
        page="/returns/new", what="the label cannot be found", stuck=0.17, contact=0.38, reason="返品",
        channels=(("chat", _RETURNS, 3.0), ("voice", _ORDERS, 1.0)), help_page="/help/returns",
        shows=Shows(searches=0.8, dead=0.3, loops=0.3),
    ),
    Cause(
        page="/account/points", what="points are shown late", stuck=0.06, contact=0.25, reason="ポイント",
        channels=(("voice", _BILLING, 1.0), ("form", _FORM, 1.0)), help_page="/help",
        shows=Shows(dwell=1.2, loops=0.15),
    ),
)  # fmt: skip


def default_web_site() -> WebSite:
    """A shop in Tokyo, Japanese and English: 65 pages, of which nine have a hidden cause and three only announce.

    Its queues are those of `streams.simulator.default_site(8)`, and one of forms.

    >>> len(default_web_site().pages), len(default_web_site().causes)
    (65, 9)
    """
    return WebSite(
        zone="Asia/Tokyo",
        kinds=_KINDS,
        pages=_PAGES,
        causes=_CAUSES,
        announcing=tuple(page.path for page in _PAGES if page.kind == "announce"),
        contact=tuple(page.path for page in _PAGES if page.kind == "contact"),
        help=tuple(page.path for page in _PAGES if page.kind == "help"),
        login="/login",
        search="/search",
        progress={"": "/account/done", "address": "/checkout/thank-you", "coupon": "/checkout/thank-you"},
        contact_policy=("/contact*", "/お問い合わせ*"),
        help_policy=("/help*", "/よくある質問/*"),
        progress_policy=("*/thank-you*", "*/done"),
        base_channels=(
            ("voice", _ORDERS, 3.0), ("voice", _BILLING, 1.5), ("voice", _TECHNICAL, 1.5), ("chat", _SALES_CHAT, 1.5),
            ("voice", "新規お申し込み", 1.0), ("form", _FORM, 1.0),
        ),
        base_reasons=("配送状況", "請求内容", "不具合", "order status", "修理", "その他"),
    )  # fmt: skip
