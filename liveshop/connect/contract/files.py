"""What every source of files promises: rows however the bytes come, and a bad one is one row."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import ClassVar
from unittest import SkipTest

from liveshop.connect.connector import Role
from liveshop.connect.contract.suite import Contract
from liveshop.connect.model import BadFile, BadRow, FileSource, SourceRow


class FileSourceContract(Contract):
    """Inherit it, set `connector`, and say how the format writes a product."""

    role: ClassVar[Role] = "file_source"
    is_by_line: ClassVar[bool] = True
    """False for formats in which a line says nothing, such as XML: what is promised of lines is
    skipped."""

    @abstractmethod
    def row(self, source_id: str, title: str) -> bytes:
        """One product in one line, without a line end."""
        ...

    def header(self) -> bytes:
        """What stands before the first row, with its line end."""
        return b""

    def footer(self) -> bytes:
        """What stands after the last row."""
        return b""

    async def source(self) -> FileSource:
        connector = await self.installed()
        assert isinstance(connector, FileSource), "the connector is no FileSource"
        return connector

    def file(self, *rows: bytes) -> bytes:
        return self.header() + b"\n".join(rows) + b"\n" + self.footer()

    async def rows(self, data: bytes, size: int = 65_536) -> list[SourceRow | BadRow]:
        """Read in pieces of so many bytes."""
        return [row async for row in (await self.source()).rows(_pieces(data, size))]

    async def test_the_rows_are_the_same_however_the_bytes_are_cut(self) -> None:
        data = self.file(*(self.row(str(n), f"Größe {n} 👕") for n in range(5)))
        whole = await self.rows(data)
        assert [row.product.title for row in whole if isinstance(row, SourceRow)] == [
            f"Größe {n} 👕" for n in range(5)
        ]
        for size in (1, 2, 3, 7, 64):
            assert await self.rows(data, size) == whole

    async def test_windows_line_ends_a_byte_order_mark_and_empty_lines_do_no_harm(self) -> None:
        data = self.file(self.row("1", "Mug"), b"", b"   ", self.row("2", "Bowl"))
        rows = await self.rows(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"))
        assert [row.product.title for row in rows if isinstance(row, SourceRow)] == ["Mug", "Bowl"]
        assert len(rows) == 2

    async def test_the_last_line_needs_no_end(self) -> None:
        assert len(await self.rows(self.file(self.row("1", "Mug")).rstrip())) == 1

    async def test_broken_utf8_in_a_row_spoils_only_that_row(self) -> None:
        self._skip_unless_by_line()
        bad = self.row("2", "Caf#").replace(b"#", b"\xe9")
        data = self.file(self.row("1", "Mug"), bad, self.row("3", "Bowl"))
        first, second, third = await self.rows(data)
        assert isinstance(first, SourceRow)
        assert isinstance(third, SourceRow)
        assert isinstance(second, BadRow)
        assert "UTF-8" in second.reason
        assert second.line == first.line + 1

    async def test_a_line_without_end_is_refused_without_being_kept(self) -> None:
        self._skip_unless_by_line()
        huge = self.row("2", "x" * 3_000_000)
        data = self.file(self.row("1", "Mug"), huge, self.row("3", "Bowl"))
        first, second, third = await self.rows(data)
        assert isinstance(second, BadRow)
        assert "longer" in second.reason
        assert isinstance(third, SourceRow)
        assert third.line == first.line + 2

    async def test_an_empty_file_is_said_to_be_empty(self) -> None:
        for data in (b"", b"\n", b"\xef\xbb\xbf"):
            assert "empty" in await self._refusal(data)

    async def test_a_source_can_read_two_files(self) -> None:
        data = self.file(self.row("1", "Mug"))
        assert await self.rows(data) == await self.rows(data)

    def _skip_unless_by_line(self) -> None:
        if not self.is_by_line:
            raise SkipTest("the format does not go by lines")

    async def _refusal(self, data: bytes) -> str:
        try:
            await self.rows(data)
        except BadFile as error:
            return str(error)
        raise AssertionError("the file was read without a word")


async def _pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
