"""Google product feeds as XML: the contract of files, and what is XML's own."""

import html

import pytest
from catalog_builders import GTIN, pieces, rows_of

from connectors.sources.google_xml import GoogleXml
from liveshop.connect import BadFile, BadRow, SourceProduct, SourceRow
from liveshop.connect.contract import FileSourceContract
from liveshop.kernel.money import Money

NAMESPACE = 'xmlns:g="http://base.google.com/ns/1.0"'
HEAD = f'<?xml version="1.0"?>\n<rss version="2.0" {NAMESPACE}><channel><title>Shop</title>\n'
TAIL = "</channel></rss>"


def feed(*items: str, head: str = HEAD, tail: str = TAIL) -> bytes:
    return "\n".join([head.rstrip("\n"), *items, tail]).encode()


def item(inside: str = "", *, id_: str = "1", title: str = "Mug", price: str = "12.00 EUR") -> str:
    return (
        f"<item><g:id>{id_}</g:id><g:title>{title}</g:title><g:price>{price}</g:price>{inside}"
        "</item>"
    )


class TestGoogleXml(FileSourceContract):
    connector = "google_xml"

    def header(self) -> bytes:
        return HEAD.encode()

    def row(self, source_id: str, title: str) -> bytes:
        return item(id_=source_id, title=html.escape(title)).encode()

    def footer(self) -> bytes:
        return TAIL.encode()


async def one(data: bytes) -> SourceProduct:
    (found,) = await rows_of(GoogleXml(), data)
    assert isinstance(found, SourceRow), found
    return found.product


async def reason(data: bytes) -> str:
    (found,) = await rows_of(GoogleXml(), data)
    assert isinstance(found, BadRow), found
    return found.reason


async def refusal(data: bytes) -> str:
    with pytest.raises(BadFile) as caught:
        await rows_of(GoogleXml(), data)
    return caught.value.detail


async def test_a_full_item() -> None:
    product = await one(
        feed(
            f"""<item>
            <title>Plain title</title><link>https://x.example/7</link>
            <description><![CDATA[Soft.

Washed & worn.]]></description>
            <g:id>7-S</g:id><g:item_group_id>7</g:item_group_id><g:title>Shirt</g:title>
            <g:image_link>https://x.example/a.jpg</g:image_link>
            <g:additional_image_link>https://x.example/b,1.jpg</g:additional_image_link>
            <g:additional_image_link>https://x.example/c.jpg</g:additional_image_link>
            <g:availability>in stock</g:availability><g:quantity>12</g:quantity>
            <g:price>59.90 EUR</g:price><g:sale_price>49.90 EUR</g:sale_price>
            <g:shipping><g:country>DE</g:country><g:price>4.90 EUR</g:price></g:shipping>
            <g:gtin>{GTIN}</g:gtin><g:brand>Nord</g:brand><g:color>Sand</g:color>
            <g:size>S</g:size><g:product_type>Shirts &gt; Linen</g:product_type>
            </item>"""
        )
    )
    assert (product.source_id, product.is_whole, product.title) == ("7", False, "Shirt")
    assert product.description_html == "<p>Soft.</p><p>Washed &amp; worn.</p>"
    assert (product.category, product.url) == ("Shirts > Linen", "https://x.example/7")
    assert product.option_names == ("Color", "Size")
    assert product.image_urls == tuple(f"https://x.example/{n}.jpg" for n in ("a", "b,1", "c"))
    (variant,) = product.variants
    assert (variant.source_id, variant.values) == ("7-S", ("Sand", "S"))
    assert (variant.price, variant.compare_at) == (Money(4990, "EUR"), Money(5990, "EUR"))
    assert (variant.gtin, variant.quantity) == (GTIN, 12)


async def test_atom_is_read_like_rss() -> None:
    product = await one(
        feed(
            "<entry><id>tag:x.example,2026:7</id><title>Mug</title>"
            '<link rel="self" href="https://x.example/feed"/>'
            '<link href="https://x.example/7"/><summary>Blue.</summary>'
            "<g:id>7</g:id><g:price>12.00 EUR</g:price></entry>",
            head=f'<feed xmlns="http://www.w3.org/2005/Atom" {NAMESPACE}><title>Shop</title>',
            tail="</feed>",
        )
    )
    assert (product.source_id, product.title) == ("7", "Mug")
    assert (product.url, product.description_html) == ("https://x.example/7", "<p>Blue.</p>")


async def test_the_namespace_may_have_any_prefix_or_be_left_out() -> None:
    for prefix, declared in (("ns0:", 'xmlns:ns0="https://base.google.com/ns/1.0"'), ("g:", "")):
        product = await one(
            feed(
                f"<item><{prefix}id>1</{prefix}id><title>Mug</title>"
                f"<{prefix}price>12.00 EUR</{prefix}price></item>",
                head=f"<rss {declared}><channel>",
            )
        )
        assert product.variants[0].price == Money(1200, "EUR")


async def test_what_other_namespaces_say_is_left_alone() -> None:
    product = await one(
        feed(
            item('<media:title>Other</media:title><c:price type="x">1.00 EUR</c:price>'),
        )
    )
    assert product.title == "Mug"
    assert product.variants[0].price == Money(1200, "EUR")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (item(price="free"), "not a price"),
        (item(price="49.90"), "currency"),
        (item(id_=""), "id is empty"),
        (item("<g:availability>perhaps</g:availability>"), "availability"),
        (item("<g:quantity>many</g:quantity>"), "quantity"),
        (item(title="M\x01g"), "XML forbids"),
        (item(title="x" * 70_000), "title is longer"),
    ],
)
async def test_a_wrong_item_is_told_what_is_wrong(given: str, words: str) -> None:
    assert words in await reason(feed(given))


async def test_a_wrong_item_names_its_product() -> None:
    (found,) = await rows_of(
        GoogleXml(), feed(item("<g:item_group_id>7</g:item_group_id>", id_="7-S", price="free"))
    )
    assert isinstance(found, BadRow)
    assert (found.line, found.source_id, found.product_id) == (3, "7-S", "7")


async def test_other_encodings_are_read_as_declared() -> None:
    text = feed(item(title="Größe")).decode()
    for declared, encoding in (
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("UTF-16", "utf-16"),
    ):
        data = text.replace('version="1.0"?', f'version="1.0" encoding="{declared}"?', 1)
        assert (await one(data.encode(encoding))).title == "Größe"
    odd = text.replace('version="1.0"?', 'version="1.0" encoding="zlib"?', 1)
    assert "zlib" in await refusal(odd.encode())


@pytest.mark.parametrize(
    "document_type",
    [
        '<!DOCTYPE rss [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE rss [<!ENTITY file SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE rss SYSTEM "http://127.0.0.1/x.dtd">',
    ],
)
async def test_a_document_type_is_refused(document_type: str) -> None:
    head = HEAD.replace("<rss", f"{document_type}<rss", 1)
    assert "DOCTYPE" in await refusal(feed(item(title="&file;"), head=head))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html><body>Sign in</body></html>", "begins with <html>"),
        (b'{"products": []}', "broken in line 1"),
        (b"PK\x03\x04", "broken in line 1"),
        (b"<rss>" + b"<a>" * 100, "nested too deeply"),
        (b'<rss><item title="' + b"x" * 3_000_000, "longer"),
        (b"<rss><!-- " + b"x" * 3_000_000, "longer"),
    ],
)
async def test_a_file_that_is_no_feed_is_refused(data: bytes, words: str) -> None:
    assert words in await refusal(data)


async def test_xml_that_breaks_gives_the_items_before_and_says_where() -> None:
    good = [item(id_=str(number)) for number in range(3)]
    data = feed(*good, item(title="A & B"), item(id_="9"))
    for size in (7, 65_536):
        rows: list[SourceRow | BadRow] = []
        with pytest.raises(BadFile, match="line 6"):
            async for row in GoogleXml().rows(pieces(data, size)):
                rows.append(row)  # noqa: PERF401  # what came before the error counts
        assert len(rows) == 3
