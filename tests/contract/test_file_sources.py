"""What every source of files promises, and what each promises beyond that."""

from importlib.metadata import EntryPoint

import pytest
from catalog_builders import GTIN, csv_of, rows_of

from connectors.sources.google_csv import GoogleCsv
from connectors.sources.ndjson import Ndjson
from liveshop.connect import (
    GROUP,
    BadFile,
    BadRow,
    Connectors,
    SourceProduct,
    SourceRow,
    UnknownConnector,
    WrongColumns,
)
from liveshop.connect.contract import FileSourceContract
from liveshop.connect.registry import BrokenConnector
from liveshop.kernel.money import Money


class TestGoogleCsv(FileSourceContract):
    connector = "google_csv"

    def header(self) -> bytes:
        return b"id,title,price\n"

    def row(self, source_id: str, title: str) -> bytes:
        return f'{source_id},"{title}",12.00 EUR'.encode()

    async def one(self, header: str, row: str) -> SourceProduct:
        (found,) = await rows_of(GoogleCsv(), csv_of(row, header=header))
        assert isinstance(found, SourceRow), found
        return found.product

    async def reason(self, header: str, row: str) -> str:
        (found,) = await rows_of(GoogleCsv(), csv_of(row, header=header))
        assert isinstance(found, BadRow), found
        return found.reason

    async def test_a_full_row(self) -> None:
        header = (
            "id,item_group_id,title,description,link,image_link,additional_image_link,"
            "availability,price,sale_price,gtin,mpn,brand,color,size,material,pattern,"
            "google_product_category,product_type,quantity,tax_class,condition"
        )
        row = (
            f'7-S,7,Shirt,"Soft.\n\nWashed & worn.",https://x.example/7,https://x.example/a.jpg,'
            f'"https://x.example/b.jpg,https://x.example/c.jpg",in stock,59.90 EUR,49.90 EUR,'
            f"{GTIN},MPN-7,Nord,Sand,S,Linen,,212,Shirts > Linen,12,reduced,new"
        )
        product = await self.one(header, row)
        assert (product.source_id, product.is_whole, product.title) == ("7", False, "Shirt")
        assert product.description_html == "<p>Soft.</p><p>Washed &amp; worn.</p>"
        assert product.category == "Shirts > Linen"
        assert product.option_names == ("Color", "Size", "Material")
        assert product.image_urls == tuple(f"https://x.example/{n}.jpg" for n in "abc")
        (variant,) = product.variants
        assert variant.values == ("Sand", "S", "Linen")
        assert (variant.price, variant.compare_at) == (Money(4990, "EUR"), Money(5990, "EUR"))
        assert (variant.gtin, variant.quantity, variant.tax_class) == (GTIN, 12, "reduced")

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    async def test_the_delimiter_is_known_from_the_first_line(self, delimiter: str) -> None:
        product = await self.one(
            delimiter.join(["ID", "g:title", "Sale Price", "Price"]),
            delimiter.join(["1", '"a, b; c"', "", "1200 JPY"]),
        )
        assert product.title == "a, b; c"
        assert product.variants[0].price == Money(1200, "JPY")

    async def test_wrong_columns_are_named_missing_and_found(self) -> None:
        with pytest.raises(WrongColumns) as caught:
            await rows_of(GoogleCsv(), b"sku;name;price\n1;Mug;12.00 EUR\n")
        assert caught.value.data == {"missing": ["id", "title"], "found": ["sku", "name", "price"]}
        for data in (b"\xff\xfei\x00d\x00", b"PK\x03\x04\xe9\n", b"\x1f\x8b\x08\x00\n", b"\x00\n"):
            with pytest.raises(BadFile):
                await rows_of(GoogleCsv(), data)

    async def test_a_quoted_field_may_span_lines_and_the_row_has_the_number_of_its_first(
        self,
    ) -> None:
        data = csv_of('1,"a\n""b"",\n\nc",1.00 EUR', "2,Mug,1.00 EUR", "3,Jug,free")
        first, second, third = await rows_of(GoogleCsv(), data, 3)
        assert isinstance(first, SourceRow)
        assert first.product.title == 'a\n"b",\n\nc'
        assert (first.line, second.line, third.line) == (2, 6, 7)

    async def test_a_quote_never_closed_spoils_only_its_row(self) -> None:
        for rest in (3, 900):
            good = [f"{n},Mug {n},1.00 EUR" for n in range(rest)]
            rows = await rows_of(GoogleCsv(), csv_of('x,"Mug,1.00 EUR', *good))
            assert isinstance(rows[0], BadRow)
            assert "quote" in rows[0].reason
            assert rows[0].line == 2
            assert sum(isinstance(row, SourceRow) for row in rows) == rest

    async def test_a_quote_closed_by_a_later_row_spoils_only_its_row(self) -> None:
        rows = await rows_of(
            GoogleCsv(), csv_of('x,"Mug,1.00 EUR', '1,"A mug",1.00 EUR', "2,Jug,1.00 EUR")
        )
        assert [isinstance(row, SourceRow) for row in rows] == [False, True, True]

    async def test_a_quote_inside_a_field_is_a_character(self) -> None:
        product = await self.one("id,title,price", '1,Screen 24" wide,1.00 EUR')
        assert product.title == 'Screen 24" wide'

    @pytest.mark.parametrize(
        ("text", "amount"),
        [
            ("49.90 EUR", 4990),
            ("EUR 49,90", 4990),
            ("1,299.00 EUR", 129900),
            ("49 EUR", 4900),
            ("1.299,00 EUR", 129900),
            ("1'299.5 eur", 129950),
            ("1,299,000 EUR", 129900000),
            ("0.5EUR", 50),
        ],
    )
    async def test_prices_are_read_as_people_write_them(self, text: str, amount: int) -> None:
        product = await self.one("id,title,price", f'1,Mug,"{text}"')
        assert product.variants[0].price == Money(amount, "EUR")

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("1,299 EUR", "two ways"),
            ("49.90", "currency"),
            ("EUR 1 USD", "currency"),
            ("49.9000 EUR", "decimals"),
            ("-5.00 EUR", "not a price"),
            ("", "not a price"),
            ("1,2,3.00 EUR", "not a price"),
            ("9" * 40 + " EUR", "too large"),
            ("٤٩ EUR", "not a"),
            ("1.5 JPY", "decimals"),
        ],
    )
    async def test_a_price_that_could_be_another_is_refused(self, text: str, words: str) -> None:
        assert words in await self.reason("id,title,price", f'1,Mug,"{text}"')

    @pytest.mark.parametrize(
        ("header", "row", "words"),
        [
            ("id,title,price", "1,Mug", "2 fields"),
            ("id,title,price", "1,Mug,1.00 EUR,more", "4 fields"),
            ("id,title,price", ",Mug,1.00 EUR", "id is empty"),
            ("id,title,price", "1,M\x00g,1.00 EUR", "NUL"),
            ("id,title,price", f"1,{'x' * 70_000},1.00 EUR", "title is longer"),
            ("id,title,price,quantity", "1,Mug,1.00 EUR,many", "quantity 'many'"),
            ("id,title,price,quantity", "1,Mug,1.00 EUR,-1", "quantity"),
            ("id,title,price,availability", "1,Mug,1.00 EUR,perhaps", "availability"),
            ("id,title,price,sale_price", "1,Mug,1.00 EUR,2.00 EUR", "sale_price"),
        ],
    )
    async def test_a_wrong_row_is_told_what_is_wrong(
        self, header: str, row: str, words: str
    ) -> None:
        assert words in await self.reason(header, row)

    async def test_availability_and_quantity_together_say_what_there_is(self) -> None:
        header = "id,title,price,availability,quantity"
        cases = {
            "out of stock,5": 0,
            "out_of_stock,": 0,
            "in_stock,5": 5,
            "in_stock,": None,
            "preorder,": None,
            ",": None,
        }
        for text, quantity in cases.items():
            product = await self.one(header, f"1,Mug,1.00 EUR,{text}")
            assert product.variants[0].quantity == quantity, text

    async def test_a_sale_with_a_period_is_left_to_promotions(self) -> None:
        product = await self.one(
            "id,title,price,sale_price,sale_price_effective_date",
            "1,Mug,12.00 EUR,9.00 EUR,2026-11-01T00:00Z/2026-11-30T00:00Z",
        )
        assert product.variants[0].price == Money(1200, "EUR")
        assert product.variants[0].compare_at is None

    async def test_a_repeated_picture_column_adds_up(self) -> None:
        product = await self.one(
            "id,title,price,additional_image_link,additional_image_link",
            "1,Mug,1.00 EUR,https://x.example/a.jpg,https://x.example/b.jpg",
        )
        assert product.image_urls == ("https://x.example/a.jpg", "https://x.example/b.jpg")


class TestNdjson(FileSourceContract):
    connector = "ndjson"

    def row(self, source_id: str, title: str) -> bytes:
        return (
            f'{{"source_id": "{source_id}", "title": "{title}", "variants": '
            f'[{{"source_id": "{source_id}", "price": {{"amount": 1200, "currency": "EUR"}}}}]}}'
        ).encode()

    @pytest.mark.parametrize(
        ("line", "source_id", "words"),
        [
            (b"{", None, "not JSON"),
            (b"[]", None, "Expected `object`"),
            (b'{"source_id": "7", "title": 5, "variants": []}', "7", "$.title"),
            (b'{"source_id": "7", "titel": "Mug", "variants": []}', "7", "titel"),
            (b'{"source_id": "7", "title": "a\\ud800", "variants": []}', None, "not JSON"),
            (b'{"source_id": "7", "title": "Mug", "variants": [{"source_id": "7"}]}', "7", "price"),
        ],
    )
    async def test_a_wrong_line_is_told_what_is_wrong(
        self, line: bytes, source_id: str | None, words: str
    ) -> None:
        found, good = await rows_of(Ndjson(), line + b"\n" + self.row("8", "Mug"))
        assert isinstance(found, BadRow)
        assert (found.source_id, found.line) == (source_id, 1)
        assert words in found.reason
        assert isinstance(good, SourceRow)


def test_an_unknown_connector_is_told_from_a_broken_one() -> None:
    entries = [
        EntryPoint("google_csv", "connectors.sources.google_csv:GoogleCsv", GROUP),
        EntryPoint("broken", "connectors.sources.nothing:There", GROUP),
        EntryPoint("no_file", "decimal:Decimal", GROUP),
    ]
    connectors = Connectors(entries)
    assert connectors.names == ["broken", "google_csv", "no_file"]
    with pytest.raises(UnknownConnector, match="Installed: broken, google_csv"):
        connectors.file_source("shopify")
    with pytest.raises(BrokenConnector, match="nothing"):
        connectors.file_source("broken")
    with pytest.raises(UnknownConnector, match="does not read files"):
        connectors.file_source("no_file")
