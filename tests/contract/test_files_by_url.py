"""Files as sources: each format by URL keeps the contract of sources, and what only files do."""

import gzip
import html
import json
import os
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fakes.files import FakeFiles, make_app
from fakes.serving import serve

from connectors.sources.google_csv import GoogleCsv
from connectors.sources.google_xml import GoogleXml
from connectors.sources.ndjson import Ndjson
from liveshop.connect import (
    BadRow,
    FileAddress,
    FileByUrl,
    Kit,
    NeedsAttention,
    RetryLater,
    SourceRow,
)
from liveshop.connect.contract import (
    DictMemory,
    FarProduct,
    Fault,
    NoTokens,
    SourceContract,
    SourceFarSide,
    open_connector,
)
from liveshop.kernel.clock import ManualClock
from liveshop.kernel.money import Money
from liveshop.web import outgoing


@dataclass(frozen=True, slots=True)
class Line:
    id: str
    title: str
    price: str
    quantity: int


class FarFile(SourceFarSide):
    """A file, written anew with each change."""

    def __init__(self, fake: FakeFiles, url: str, write: Callable[[list[Line]], bytes]) -> None:
        self._fake = fake
        self._url = url
        self._write = write
        self._lines: dict[str, Line] = {}
        self._numbers = 0
        self._save()

    @property
    def config(self) -> Mapping[str, object]:
        return {
            "address": f"{self._url}/feed?key=secret-in-the-address",
            "username": "liveshop",
            "password": "contract-token-file-password",
        }

    @property
    def faults(self) -> Collection[Fault]:
        return (
            "expired",
            "revoked",
            "forbidden",
            "too_many",
            "too_many_until",
            "unavailable",
            "half_sent",
        )

    async def fault(self, kind: Fault) -> None:
        assert kind != "lost_answer"
        self._fake.faults.add(kind)

    async def heal(self) -> None:
        self._fake.faults.clear()

    async def add_product(self, *, title: str, price: Money, quantity: int) -> FarProduct:
        self._numbers += 1
        id_ = f"p{self._numbers}"
        self._lines[id_] = Line(id_, title, _price(price), quantity)
        self._save()
        return FarProduct(id_, id_)

    async def change_product(
        self,
        product: FarProduct,
        *,
        title: str | None = None,
        price: Money | None = None,
        quantity: int | None = None,
    ) -> None:
        line = self._lines[product.product_id]
        line = replace(line, title=line.title if title is None else title)
        line = replace(line, price=line.price if price is None else _price(price))
        line = replace(line, quantity=line.quantity if quantity is None else quantity)
        self._lines[product.product_id] = line
        self._save()

    async def remove_product(self, product: FarProduct) -> None:
        del self._lines[product.product_id]
        self._save()

    async def spoil_product(self, product: FarProduct) -> None:
        line = self._lines[product.product_id]
        self._lines[product.product_id] = replace(line, price="free")
        self._save()

    def _save(self) -> None:
        self._fake.content = self._write(list(self._lines.values()))


def _price(money: Money) -> str:
    return f"{money.amount // 100}.{money.amount % 100:02} {money.currency}"


def as_csv(lines: list[Line]) -> bytes:
    rows = [
        f'{one.id},"{one.title.replace(chr(34), chr(34) * 2)}",{one.price},{one.quantity}'
        for one in lines
    ]
    return "\n".join(["id,title,price,quantity", *rows, ""]).encode()


def as_xml(lines: list[Line]) -> bytes:
    items = [
        f"<item><g:id>{one.id}</g:id><title>{html.escape(one.title)}</title>"
        f"<g:price>{one.price}</g:price><g:quantity>{one.quantity}</g:quantity></item>"
        for one in lines
    ]
    return "\n".join(
        [
            '<?xml version="1.0"?><rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">',
            "<channel><title>Shop</title>",
            *items,
            "</channel></rss>",
        ]
    ).encode()


def as_ndjson(lines: list[Line]) -> bytes:
    def price(text: str) -> object:
        amount, _, currency = text.partition(" ")
        return {"amount": int(amount.replace(".", "")), "currency": currency} if currency else text

    return b"".join(
        json.dumps(
            {
                "source_id": one.id,
                "title": one.title,
                "variants": [
                    {"source_id": one.id, "price": price(one.price), "quantity": one.quantity}
                ],
            }
        ).encode()
        + b"\n"
        for one in lines
    )


class FileContract(SourceContract):
    @abstractmethod
    def write(self, lines: list[Line]) -> bytes: ...

    @asynccontextmanager
    async def far_side(self) -> AsyncIterator[FarFile]:
        app, fake = make_app()
        fake.password = "contract-token-file-password"
        async with serve(app) as url:
            yield FarFile(fake, url, self.write)


class TestGoogleCsvByUrl(FileContract):
    connector = "google_csv"

    def write(self, lines: list[Line]) -> bytes:
        return as_csv(lines)


class TestGoogleXmlByUrl(FileContract):
    connector = "google_xml"

    def write(self, lines: list[Line]) -> bytes:
        return as_xml(lines)


class TestNdjsonByUrl(FileContract):
    connector = "ndjson"

    def write(self, lines: list[Line]) -> bytes:
        return as_ndjson(lines)


# What only files do


@dataclass
class Place:
    fake: FakeFiles
    url: str

    @asynccontextmanager
    async def opened(
        self, connector: object = None, path: str = "/feed", **config: object
    ) -> AsyncIterator[FileByUrl]:
        given = {"address": f"{self.url}{path}", **config}
        async with open_connector(connector or GoogleCsv(), given) as source:  # type: ignore[arg-type]
            yield source


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    app, fake = make_app()
    fake.content = as_csv(mugs(3))
    async with serve(app) as url:
        yield Place(fake, url)


def mugs(count: int, price: str = "12.00 EUR") -> list[Line]:
    return [Line(str(number), f"Mug {number}", price, number) for number in range(count)]


async def ids(source: FileByUrl) -> list[str]:
    return [
        row.product.source_id
        async for page in source.products()
        for row in page.rows
        if isinstance(row, SourceRow)
    ]


async def mark_of(source: FileByUrl) -> str:
    pages = [page async for page in source.products()]
    assert pages[-1].mark is not None
    return pages[-1].mark


@pytest.mark.parametrize("has_etag", [True, False])
async def test_a_file_that_is_the_same_changes_nothing(place: Place, has_etag: bool) -> None:
    place.fake.has_etag = has_etag
    async with place.opened() as source:
        mark = await mark_of(source)
    async with place.opened() as source:  # after a restart
        pages = [page async for page in source.changes(mark)]
        assert [len(page.rows) for page in pages] == [0]
        assert place.fake.sent == (1 if has_etag else 2)
        place.fake.content = as_csv(mugs(3, "13.00 EUR"))
        pages = [page async for page in source.changes(mark)]
        assert sum(len(page.rows) for page in pages) == 3
        mark = pages[-1].mark or ""
        assert [page.rows async for page in source.changes(mark)] == [()]


async def test_one_copy_answers_all_questions(place: Place) -> None:
    async with place.opened() as source:
        await ids(source)
        assert [one async for some in source.product_ids() for one in some] == ["0", "1", "2"]
        assert await source.quantities(["1", "2", "9"]) == {"1": 1, "2": 2}
    assert place.fake.sent == 1
    assert place.fake.asked == 3


async def test_a_run_goes_on_at_its_cursor_while_the_file_is_the_same(place: Place) -> None:
    place.fake.content = as_csv(mugs(600))
    async with place.opened() as source:
        pages = [page async for page in source.products()]
        assert [len(page.rows) for page in pages] == [250, 250, 100]
        rest = [page async for page in source.products(pages[0].cursor)]
        assert [len(page.rows) for page in rest] == [250, 100]
        place.fake.content = as_csv(mugs(601))
        anew = [page async for page in source.products(pages[0].cursor)]
        assert sum(len(page.rows) for page in anew) == 601


async def test_a_file_replaced_while_it_is_read_is_read_to_its_end(place: Place) -> None:
    place.fake.content = as_csv(mugs(600))
    async with place.opened() as source:
        count = 0
        async for page in source.products():
            count += len(page.rows)
            place.fake.content = as_csv(mugs(2))
            await source.quantities(["0"])
        assert count == 600
        assert await ids(source) == ["0", "1"]


@pytest.mark.parametrize("connector", [GoogleCsv(), GoogleXml(), Ndjson()])
async def test_half_a_file_withdraws_nothing(place: Place, connector: object) -> None:
    place.fake.content = {"google_csv": as_csv, "google_xml": as_xml, "ndjson": as_ndjson}[
        connector.name  # type: ignore[attr-defined]
    ](mugs(600))
    place.fake.faults = {"half_sent"}
    async with place.opened(connector) as source:
        with pytest.raises(RetryLater, match="nothing was changed"):
            await ids(source)
        with pytest.raises(RetryLater):
            _ = [some async for some in source.product_ids()]


async def test_xml_that_was_cut_off_before_it_was_sent_withdraws_nothing(place: Place) -> None:
    place.fake.content = as_xml(mugs(600))[:40_000]
    async with place.opened(GoogleXml()) as source:
        with pytest.raises(RetryLater, match="broken in line"):
            _ = [some async for some in source.product_ids()]


async def test_a_file_without_products_withdraws_nothing(place: Place) -> None:
    for content in (b"", as_csv([])):
        place.fake.content = content
        async with place.opened() as source:
            assert await ids(source) == []
            with pytest.raises(RetryLater, match="holds no products"):
                _ = [some async for some in source.product_ids()]


async def test_a_product_whose_row_cannot_be_read_is_still_there(place: Place) -> None:
    place.fake.content = (
        b"id,item_group_id,title,price\n1-S,1,Shirt,free\n1-M,1,Shirt,free\n2,,Mug,free\n"
    )
    async with place.opened() as source:
        assert [one async for some in source.product_ids() for one in some] == ["1", "2"]
        (page,) = [page async for page in source.products()]
        assert all(isinstance(row, BadRow) for row in page.rows)
        (missing,) = await source.diagnose()
        assert "Line 2" in missing


async def test_packed_files_are_unpacked(place: Place) -> None:
    plain = as_csv(mugs(3))
    several = gzip.compress(plain[:30]) + gzip.compress(plain[30:])
    for content, is_encoded in ((gzip.compress(plain), False), (several, False), (plain, True)):
        place.fake.content, place.fake.is_encoded = content, is_encoded
        async with place.opened() as source:
            assert await ids(source) == ["0", "1", "2"]


async def test_a_packed_file_that_breaks_off_changes_nothing(place: Place) -> None:
    place.fake.content = gzip.compress(as_csv(mugs(3)))[:-9]
    async with place.opened() as source:
        with pytest.raises(RetryLater, match="cannot be unpacked"):
            await ids(source)


async def test_a_file_larger_than_allowed_is_refused_however_small_it_is_packed(
    place: Place,
) -> None:
    large = as_csv(mugs(1)) + b"x" * 3_000_000
    for content, is_encoded in ((large, False), (gzip.compress(large), False), (large, True)):
        place.fake.content, place.fake.is_encoded = content, is_encoded
        async with place.opened(max_megabytes=1) as source:
            with pytest.raises(NeedsAttention, match="1 megabytes"):
                await ids(source)


async def test_redirects_are_followed_without_the_password_leaving_the_host(place: Place) -> None:
    app, other = make_app()
    other.content = as_csv(mugs(2))
    async with serve(app) as elsewhere:
        place.fake.redirects = {"/here": "/feed", "/away": f"{elsewhere}/feed"}
        place.fake.password = "pw"
        auth = {"username": "ada", "password": "pw"}
        async with place.opened(path="/here", **auth) as source:
            assert len(await ids(source)) == 3
        async with place.opened(path="/away", **auth) as source:
            assert len(await ids(source)) == 2
    assert None not in place.fake.authorisations
    assert other.authorisations == [None]


async def test_a_private_address_is_refused_where_the_server_does_not_allow_it(
    place: Place, clock: ManualClock
) -> None:
    async with outgoing.session(
        private_allowed=False, timeout_seconds=5, user_agent="test"
    ) as session:
        kit = Kit(clock=clock, http=session, tokens=NoTokens(), memory=DictMemory())
        for host in ("127.0.0.1", "localhost"):
            address = place.url.replace("127.0.0.1", host)
            async with GoogleCsv().open(FileAddress(address=address), kit) as source:
                with pytest.raises(NeedsAttention, match="private"):
                    await ids(source)
    assert place.fake.asked == 0


async def test_redirects_that_lead_nowhere_are_told(place: Place) -> None:
    place.fake.redirects = {"/loop": "/loop", "/file": "file:///etc/passwd", "/odd": "http://[::"}
    for path, words in (("/loop", "more than 5"), ("/file", "none"), ("/odd", "none")):
        async with place.opened(path=path) as source:
            with pytest.raises(NeedsAttention, match=words):
                await ids(source)


async def test_a_file_that_is_not_there_or_is_none_asks_for_attention(place: Place) -> None:
    place.fake.faults = {"gone"}
    async with place.opened() as source:
        with pytest.raises(NeedsAttention, match="404"):
            await ids(source)
    place.fake.faults.clear()
    place.fake.content = b"<html>Sign in</html>"
    for connector in (GoogleCsv(), GoogleXml()):
        async with place.opened(connector) as source:
            with pytest.raises(NeedsAttention):
                await ids(source)


async def test_no_error_holds_the_address(place: Place) -> None:
    for fault in ("gone", "unavailable", "half_sent", "revoked"):
        place.fake.faults = {fault}  # type: ignore[arg-type]
        async with place.opened(path="/feed?token=s3cret") as source:
            with pytest.raises((NeedsAttention, RetryLater)) as told:
                await ids(source)
            assert "s3cret" not in f"{told.value!r} {told.value.__cause__!r}"
    async with open_connector(GoogleCsv(), {"address": "http://127.0.0.1:1/x?t=s3cret"}) as source:
        with pytest.raises(RetryLater) as told:
            await ids(source)
    assert "s3cret" not in f"{told.value!r} {told.value.__cause__!r}"


# Files on this machine


async def test_a_file_on_this_machine_is_read_again_when_it_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "products.csv.gz"
    path.write_bytes(gzip.compress(as_csv(mugs(3))))
    async with open_connector(GoogleCsv(), {"address": str(path)}) as source:
        mark = await mark_of(source)
    async with open_connector(GoogleCsv(), {"address": str(path)}) as source:
        assert [page.rows async for page in source.changes(mark)] == [()]
        os.utime(path, ns=(1, 1))  # touched, not changed
        assert [page.rows async for page in source.changes(mark)] == [()]
        path.write_bytes(gzip.compress(as_csv(mugs(4))))
        assert sum([len(page.rows) async for page in source.changes(mark)]) == 4


async def test_only_files_of_products_are_read_from_this_machine(tmp_path: Path) -> None:
    secret = tmp_path / "liveshop.toml"
    secret.write_text("id,title,price\nsecret,secret,1.00 EUR\n", encoding="utf-8")
    missing = tmp_path / "missing.csv"
    for address, words in (
        (str(secret), "must begin with"),
        ("/etc/passwd", "must begin with"),
        ("products.csv", "must begin with"),
        ("file:///etc/products.csv", "must begin with"),
        (str(missing), "No such file"),
    ):
        async with open_connector(GoogleCsv(), {"address": address}) as source:
            with pytest.raises(NeedsAttention, match=words) as told:
                await ids(source)
            assert "secret" not in str(told.value)


async def test_no_copy_is_left_behind(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with place.opened() as source:
        for count in (3, 4, 5):
            place.fake.content = as_csv(mugs(count))
            await ids(source)
        place.fake.faults = {"half_sent"}
        place.fake.content = as_csv(mugs(6))
        with pytest.raises(RetryLater):
            await ids(source)
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
