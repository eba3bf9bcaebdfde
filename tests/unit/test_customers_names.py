"""Names that would deceive are refused; names of people are not."""

import pytest

from liveshop.customers.model import default_name, vouched_from
from liveshop.customers.names import holds_link, is_fit_for_chat, is_legible, is_reserved
from liveshop.kernel.text import clean_line

SHOP = "Nord & Faden"


@pytest.mark.parametrize(
    "name",
    [
        "admin", "Admin", "ADMIN", "Adm1n", "Admln", "@dmin", "Ádmin", "a d m i n", "a.d.m.i.n",
        "admin123", "_admin_", "Administrator", "The Admin", "TheAdmin", "Anna (Admin)",
        "аdmin",  # Cyrillic а
        "Αdmin",  # Greek Α
        "ｈｏｓｔ",  # full width
        "𝐇𝐨𝐬𝐭", "Host", "H0ST", "host team", "HostTeam", "hostteam", "Moderator", "m0d",
        "Mod erator", "Support", "Official Support", "Verkäufer", "Verkaufer", "Moderatorin",
        "Liveshop", "Nord & Faden", "nord faden", "NordFaden", "nordfaden", "N0rd Faden",
        "Nord & Faden Team", "Guest 4821", "guest4821", "Customer 1234", "Guest #12", "Gast 1000",
    ],
)  # fmt: skip
def test_names_that_pass_for_the_shop_are_reserved(name: str) -> None:
    assert not is_fit_for_chat(clean_line(name, max_length=40), SHOP)
    assert is_reserved(clean_line(name, max_length=40), SHOP) or holds_link(name)


@pytest.mark.parametrize(
    "name",
    [
        "Anna", "Badminton", "Ghost", "Ghosting", "Modesta", "Modern Talking", "Stafford",
        "Tеst", "Jörg", "Søren", "Zoë", "Ελένη", "Анна", "李小龙", "محمد", "Nord", "Faden-Fan",
        "O'Neil", "Anna 🎉", "J. R.", "Dr. Anna", "Shopaholic", "Guesting", "Teamo", "Systemova",
    ],
)  # fmt: skip
def test_names_of_people_are_free(name: str) -> None:
    assert is_fit_for_chat(name, SHOP)


@pytest.mark.parametrize(
    "name", ["evil.example", "https://evil", "www evil", "a@b", "t.me/x", "buy at evil．com"]
)
def test_names_carry_no_links(name: str) -> None:
    assert holds_link(name)


@pytest.mark.parametrize("name", ["\u200d", "\u200e\u200f", "\ufe0f", "...", "🎉", "\u2800"])
def test_a_name_that_shows_as_nothing_is_illegible(name: str) -> None:
    assert not is_legible(name)


def test_a_shop_without_letters_reserves_nothing_by_accident() -> None:
    assert not is_reserved("Anna", "★★★")
    assert is_reserved("Host", "★★★")


@pytest.mark.parametrize(
    ("name", "reserved"),
    [
        ("mod" * 13 + "x", False),
        ("mod" * 13, True),
        ("m o d " * 6 + "x", True),
        ("the" * 13, False),
    ],
)
def test_the_longest_tricky_names_are_judged_without_much_search(name: str, reserved: bool) -> None:
    assert is_reserved(name, SHOP) is reserved


def test_default_names_follow_from_the_id() -> None:
    one = default_name("gst_01K00000000000000000000000")
    assert one == default_name("gst_01K00000000000000000000000")
    kind, number = one.split(" ")
    assert kind == "Guest"
    assert 1000 <= int(number) <= 9999
    assert default_name("cus_01K00000000000000000000000").startswith("Customer ")


def test_a_customer_stands_in_chat_by_first_name_only() -> None:
    assert vouched_from({"sub": "7", "name": "Anna Schmidt"}).display_name(SHOP) == "Anna"
    for claim in (None, 7, "", "Admin Schmidt", "\u0000", "evil.example", ["Anna"]):
        assert vouched_from({"sub": "7", "name": claim}).display_name(SHOP) is None


def test_strange_claims_are_left_out_not_refused() -> None:
    vouched = vouched_from(
        {"sub": "7", "name": "x" * 500, "email": "not one", "locale": "<script>", "more": {}}
    )
    assert (vouched.full_name, vouched.email, vouched.locale) == (None, None, None)
    vouched = vouched_from(
        {"sub": "7", "name": "An\u202ena", "email": "A@Shop.Example", "locale": "de-AT"}
    )
    assert (vouched.full_name, vouched.email, vouched.locale) == ("Anna", "a@shop.example", "de-AT")
