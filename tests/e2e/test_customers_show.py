"""A show for customers on a storefront: strangers are told in words, customers watch and come back.

The storefront vouches for its customer after the player has been loaded, as pages of shops do.
"""

from collections.abc import AsyncIterator

import builders
import pytest
import pytest_asyncio
from e2e import other_demo
from e2e.conftest import Arrive
from e2e.house import House
from e2e.people import Person
from playwright.async_api import expect

from liveshop.kernel.clock import SystemClock

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    command = other_demo.command(
        "customers.algorithm=HS256", f"customers.key={builders.STOREFRONT_KEY}"
    )
    demo = House(tmp_path_factory.mktemp("signs-on") / "demo", command)
    await demo.start()
    yield demo
    await demo.stop()


async def new_show(shop: House, audience: str) -> str:
    show_id = await shop.new_show("An evening among friends", state="live")
    await admit(shop, show_id, audience)
    return show_id


async def admit(shop: House, show_id: str, audience: str) -> None:
    await shop.host("PATCH", f"/api/shows/{show_id}", {"audience": audience})


async def identify(person: Person) -> None:
    token = builders.storefront_jwt(SystemClock(), name="Ada Example")
    await person.page.evaluate("(jwt) => window.liveshop.identify(jwt)", token)


async def test_a_customer_comes_in_once_the_storefront_vouches_for_him(
    shop: House, arrive: Arrive
) -> None:
    show_id = await new_show(shop, "customers")
    person = await arrive()
    await person.visit(shop, show=show_id)
    await expect(person.see("show-error")).to_contain_text("This show is for customers")
    await expect(person.see("retry")).to_have_count(0)
    await identify(person)
    await expect(person.page.locator("ls-video")).to_be_visible()
    await expect(person.see("show-error")).to_have_count(0)
    await person.page.reload()
    await person.embed(show=show_id)
    await expect(person.page.locator("ls-video")).to_be_visible()


async def test_who_watches_when_it_closes_is_told_why(shop: House, arrive: Arrive) -> None:
    show_id = await new_show(shop, "everyone")
    guest, customer = await arrive("390"), await arrive()
    for person, language in ((guest, "de"), (customer, "en")):
        await person.visit(shop, show=show_id, lang=language)
        await expect(person.page.locator("ls-video")).to_be_visible()
    await identify(customer)
    await admit(shop, show_id, "customers")
    await expect(guest.see("show-error")).to_contain_text("Diese Show ist für Kundinnen")
    await expect(customer.page.locator("ls-video")).to_be_visible()
    await expect(customer.see("show-error")).to_have_count(0)
    await admit(shop, show_id, "everyone")
    await guest.page.reload()
    await guest.embed(show=show_id)
    await expect(guest.page.locator("ls-video")).to_be_visible()
