"""The demo's fictional shop "Lindholm": what is sold, what it costs, where it lies, what is shown.

Plain data; `seed` code elsewhere turns it into products, stock and shows. The shop, its brands and
its prices are invented. GTINs start with 2: numbers every shop may use inside its own walls.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from liveshop.demo.art import COLOURS

SHOP_NAME = "Lindholm"
CURRENCY = "EUR"
HOST_NAME = "Maja Lindholm"

TaxClass = Literal["standard", "reduced", "zero"]


@dataclass(frozen=True, slots=True)
class DemoPicture:
    """Arguments of `art.draw`, and what the picture shows, for people who do not see it."""

    art_key: str
    colour: str
    angle: Literal["front", "detail"]
    alt: str


@dataclass(frozen=True, slots=True)
class DemoVariant:
    """One thing that can be bought; `values` are in the order of the product's options."""

    sku: str
    gtin: str
    values: tuple[str, ...]
    price: int  # minor units, tax included
    compare_at: int | None
    stock: tuple[int, int, int]  # on hand, in the order of `places.locations`
    picture_index: int
    tiers: tuple[tuple[int, int], ...] = ()  # (from so many units, price of each)
    parts: tuple[tuple[str, int], ...] = ()  # of a set: SKU and how many of it


@dataclass(frozen=True, slots=True)
class DemoProduct:
    """A product of the demo shop; `art_key` names how it is drawn."""

    source_id: str
    art_key: str
    title: str
    description_html: str
    brand: str
    category: str
    options: tuple[tuple[str, tuple[str, ...]], ...]
    tax_class: TaxClass
    pictures: tuple[DemoPicture, ...]
    variants: tuple[DemoVariant, ...]

    @property
    def shelf(self) -> str:
        """The last step of its category."""
        return self.category.rpartition(" > ")[2]


@dataclass(frozen=True, slots=True)
class DemoShow:
    """A show of the demo; it starts at the demo's start plus `starts_in`."""

    title: str
    description: str
    state: Literal["live", "scheduled"]
    starts_in: timedelta
    languages: tuple[str, ...]
    time_zone: str
    cover_index: int
    cover_alt: str
    lineup: tuple[str, ...]  # source ids


def gtin13(number: int) -> str:
    """Return a GTIN-13 of the in-house range with its check digit."""
    body = f"2{number:011d}"
    weighted = sum(int(digit) * (3 if i % 2 else 1) for i, digit in enumerate(body))
    return body + str(-weighted % 10)


@dataclass(frozen=True, slots=True)
class _Sold:
    """A variant before it has numbers: values, price, stock, and the colour it is drawn in."""

    values: tuple[str, ...]
    price: int
    stock: tuple[int, int]  # in the warehouse, and in the stores
    colour: str | None = None
    compare_at: int | None = None
    tiers: tuple[tuple[int, int], ...] = ()


def _product(
    number: int,
    art_key: str,
    title: str,
    description_html: str,
    category: str,
    option_names: tuple[str, ...],
    sold: tuple[_Sold, ...],
    *,
    shown: str,
    detail: str,
    brand: str = SHOP_NAME,
    tax_class: TaxClass = "standard",
) -> DemoProduct:
    """Give a product its ids and pictures; `shown` and `detail` describe what is to be seen."""
    colours = COLOURS[art_key]
    pictures = tuple(
        DemoPicture(art_key, colour, "front", f"{shown}, {colour}" if len(colours) > 1 else shown)
        for colour in colours
    )
    close = DemoPicture(art_key, colours[0], "detail", detail)
    variants = tuple(
        DemoVariant(
            sku="-".join(["LH", art_key[:3].upper(), *(_code(value) for value in one.values)]),
            gtin=gtin13(40_100_000 + number * 100 + index),
            values=one.values,
            price=one.price,
            compare_at=one.compare_at,
            stock=(one.stock[0], one.stock[1] - one.stock[1] // 2, one.stock[1] // 2),
            picture_index=colours.index(one.colour) if one.colour else 0,
            tiers=one.tiers,
        )
        for index, one in enumerate(sold)
    )
    options = tuple(
        (name, tuple(dict.fromkeys(one.values[i] for one in sold)))
        for i, name in enumerate(option_names)
    )
    return DemoProduct(
        source_id=f"lindholm-{number:03d}",
        art_key=art_key,
        title=title,
        description_html=description_html,
        brand=brand,
        category=category,
        options=options,
        tax_class=tax_class,
        pictures=(*pictures, close),
        variants=variants,
    )


def _code(value: str) -> str:
    """Return a value as it stands in a SKU: its letters and digits, six at most."""
    return "".join(c for c in value.upper() if c.isascii() and c.isalnum())[:6]


def _sweater_sizes() -> tuple[_Sold, ...]:
    # on hand per size S, M, L, XL; the last Rust in XL is gone, Forest in M is down to three
    stock = {
        "Oatmeal": ((9, 2), (14, 3), (11, 2), (5, 1)),
        "Forest": ((6, 1), (2, 1), (8, 2), (4, 0)),
        "Rust": ((7, 2), (10, 2), (6, 1), (0, 0)),
    }
    return tuple(
        _Sold((size, colour), 14900, stock[colour][i], colour)
        for colour in COLOURS["sweater"]
        for i, size in enumerate(("S", "M", "L", "XL"))
    )


#: the twelve products in the order in which the film shows them
PRODUCTS: tuple[DemoProduct, ...] = (
    _product(
        1,
        "mug",
        "Fjord stoneware mug",
        "<p>A generous mug for slow mornings, thrown in stoneware and dipped by hand so that the "
        "raw clay shows at the foot. The handle leaves room for four fingers.</p><ul><li>350 ml, "
        "9.5 cm high</li><li>Stoneware, lead-free glaze</li><li>Dishwasher and microwave safe</li>"
        "</ul>",
        "Home > Tableware > Mugs",
        ("Glaze",),
        (
            _Sold(("Oat",), 2800, (46, 8), "Oat", tiers=((4, 2600), (6, 2400))),
            _Sold(("Moss",), 2800, (31, 6), "Moss", tiers=((4, 2600), (6, 2400))),
            _Sold(("Ink",), 2800, (2, 1), "Ink"),
        ),
        shown="Stoneware mug with a raw clay foot",
        detail="Three mugs in oat, moss and ink",
    ),
    _product(
        2,
        "blanket",
        "Heath herringbone throw",
        "<p>A dense, soft throw woven in herringbone from undyed lambswool, with a striped border "
        "and a short twisted fringe. Warm enough for the balcony in November.</p><ul><li>100% "
        "lambswool, 520 g/m²</li><li>Air out, wash by hand at 30 °C if needed</li></ul>",
        "Home > Textiles > Throws",
        ("Size",),
        (
            _Sold(("130 × 180 cm",), 11900, (18, 4), compare_at=13900),
            _Sold(("150 × 210 cm",), 14900, (12, 2), compare_at=16900),
        ),
        shown="Folded herringbone throw with striped border and fringe",
        detail="Fringe and weave of the throw, close up",
    ),
    _product(
        3,
        "vase",
        "Kiesel bottle vase",
        "<p>A matt bottle vase with three turned rings on its shoulder. The narrow neck holds a "
        "few twigs upright without any foam.</p><ul><li>Stoneware, glazed inside and watertight"
        "</li><li>Wipe clean, rinse with warm water</li><li>Twigs not included</li></ul>",
        "Home > Decoration > Vases",
        ("Size",),
        (_Sold(("Small, 18 cm",), 3900, (24, 5)), _Sold(("Large, 27 cm",), 5900, (13, 3))),
        shown="Clay-coloured bottle vase with eucalyptus",
        detail="The vase beside a candle",
    ),
    _product(
        4,
        "sweater",
        "Skagen cable sweater",
        "<p>Three cables on a plain ground, knitted in one piece up to the armholes from a round, "
        "springy yarn. Cut straight with room for a shirt underneath.</p><ul><li>80% merino wool, "
        "20% recycled polyamide</li><li>Wool cycle at 30 °C, dry flat</li><li>Fits true to size"
        "</li></ul>",
        "Wear > Knitwear > Sweaters",
        ("Size", "Colour"),
        _sweater_sizes(),
        shown="Cable-knit sweater on a stand",
        detail="Cables and ribbed hem, close up",
    ),
    _product(
        5,
        "candle",
        "Stille scented candle",
        "<p>Rapeseed and beeswax in a ceramic vessel that goes on as a small pot when the candle "
        "is gone. Burns evenly for about forty hours; the oak lid puts it out.</p><ul><li>220 g, "
        "cotton wick</li><li>Trim the wick to 5 mm before lighting</li></ul>",
        "Home > Decoration > Candles",
        ("Scent",),
        (
            _Sold(("Cedar & Smoke",), 3400, (28, 4), "Cedar & Smoke"),
            _Sold(("Fig Leaf",), 3400, (22, 6), "Fig Leaf"),
            _Sold(("Beeswax",), 3200, (35, 5), "Beeswax"),
        ),
        shown="Burning candle in a ceramic vessel with oak lid",
        detail="Three candles in their vessels",
    ),
    _product(
        6,
        "plates",
        "Strand plate set with bowl",
        "<p>Four dinner plates in four quiet colours and one bowl to go with them. The rims stay "
        "unglazed, so every piece shows the clay it is made of.</p><ul><li>4 plates of 27 cm, "
        "1 bowl of 15 cm</li><li>Stoneware, dishwasher safe</li></ul>",
        "Home > Tableware > Plates",
        (),
        (_Sold((), 12800, (11, 2), compare_at=14800),),
        shown="Stack of four stoneware plates with a blue bowl on top",
        detail="Plates and bowl with a teapot behind",
    ),
    _product(
        7,
        "beanie",
        "Watch cap",
        "<p>A deep fold, a round crown and nothing else. Ribbed from thick lambswool that keeps "
        "its shape and does not itch.</p><ul><li>100% lambswool</li><li>One size, 54 to 61 cm</li>"
        "<li>Wash by hand, dry flat</li></ul>",
        "Wear > Accessories > Hats",
        ("Colour",),
        (
            _Sold(("Rust",), 3900, (26, 6), "Rust"),
            _Sold(("Forest",), 3900, (19, 4), "Forest"),
            _Sold(("Charcoal",), 3900, (3, 0), "Charcoal"),
        ),
        shown="Ribbed wool beanie on an oak block",
        detail="Three beanies in their colours",
    ),
    _product(
        8,
        "lamp",
        "Opal table lamp",
        "<p>A mouth-blown opal dome on a brushed brass stem, standing on turned oak. The light is "
        "soft enough for the table and bright enough to read by.</p><ul><li>Height 48 cm, shade "
        "Ø 32 cm</li><li>E27 bulb, dimmable, included</li><li>Textile cable, 1.8 m</li></ul>",
        "Home > Lighting > Table lamps",
        (),
        (_Sold((), 18900, (7, 2)),),
        shown="Table lamp with glowing opal dome, brass stem and oak foot",
        detail="The lamp beside a moss-green mug",
    ),
    _product(
        9,
        "board",
        "Eik serving board",
        "<p>Cut from one plank of European oak, oiled twice and finished with a leather loop. For "
        "bread, cheese, and carrying both to the table.</p><ul><li>42 × 24 cm, 2 cm thick</li>"
        "<li>Food-safe linseed oil</li><li>Rinse, dry upright, oil now and then</li></ul>",
        "Home > Kitchen > Boards",
        (),
        (_Sold((), 4900, (21, 5)),),
        shown="Two oak serving boards, the front one with a leather loop",
        detail="Oak grain and leather loop, close up",
    ),
    _product(
        10,
        "apron",
        "Werk linen apron",
        "<p>A full-length apron in washed linen with brass studs, long ties and one honest pocket. "
        "It softens with every wash.</p><ul><li>100% European linen, 280 g/m²</li><li>Machine wash "
        "at 40 °C</li><li>One size, adjustable neck</li></ul>",
        "Home > Kitchen > Aprons",
        ("Colour",),
        (_Sold(("Slate",), 5400, (17, 3), "Slate"), _Sold(("Flax",), 5400, (15, 4), "Flax")),
        shown="Linen apron on a stand",
        detail="Pocket and stitching, close up",
    ),
    _product(
        11,
        "teapot",
        "Fjord teapot",
        "<p>A round pot with a spout that does not drip and a brass bow wrapped where the hand "
        "holds it. Belongs to the Fjord mugs.</p><ul><li>1.1 litres, strainer of stainless steel"
        "</li><li>Stoneware and brass</li><li>Wash by hand</li></ul>",
        "Home > Tableware > Teapots",
        ("Glaze",),
        (_Sold(("Ink",), 8900, (9, 2), "Ink", 9900), _Sold(("Oat",), 8900, (12, 3), "Oat")),
        shown="Round teapot with brass bow",
        detail="Teapot with an oat mug",
    ),
    _product(
        12,
        "tote",
        "Markt canvas tote",
        "<p>Heavy canvas, bridle-leather handles riveted in brass, and a flat bottom that stands "
        "by itself. Carries a week's market and a laptop.</p><ul><li>38 × 40 × 14 cm, 18 litres"
        "</li><li>Cotton canvas, vegetable-tanned leather</li><li>Spot clean</li></ul>",
        "Wear > Bags > Totes",
        ("Colour",),
        (_Sold(("Natural",), 7900, (20, 5), "Natural"), _Sold(("Ink",), 7900, (14, 3), "Ink")),
        shown="Canvas tote with leather handles",
        detail="Handles and leather patch, close up",
    ),
)

#: what is sold as one and lies on the shelf in parts; the film has no chapter for it
SETS: tuple[DemoProduct, ...] = (
    DemoProduct(
        source_id="lindholm-013",
        art_key="teapot",
        title="Tea for two",
        description_html="<p>The Fjord teapot in oat with two mugs of the same glaze, for less "
        "than one by one.</p><ul><li>1 teapot of 1.1 litres</li><li>2 mugs of 350 ml</li></ul>",
        brand=SHOP_NAME,
        category="Home > Tableware > Sets",
        options=(),
        tax_class="standard",
        pictures=(
            DemoPicture("teapot", "Oat", "front", "Round teapot with brass bow, Oat"),
            DemoPicture("mug", "Oat", "front", "Stoneware mug with a raw clay foot, Oat"),
        ),
        variants=(
            DemoVariant(
                sku="LH-SET-TEA",
                gtin=gtin13(40_101_300),
                values=(),
                price=12900,
                compare_at=None,
                stock=(0, 0, 0),
                picture_index=0,
                parts=(("LH-TEA-OAT", 1), ("LH-MUG-OAT", 2)),
            ),
        ),
    ),
)

SHOWS: tuple[DemoShow, ...] = (
    DemoShow(
        title="Winter table: stoneware, wool and warm light",
        description="An hour at the long table of our atelier. We set it for a winter evening, "
        "from the first mug of tea to the last candle, and show every piece up close: how it is "
        "made, how it feels, how to care for it. Ask anything in the chat.",
        state="live",
        starts_in=timedelta(minutes=-4),
        languages=("en", "de"),
        time_zone="Europe/Berlin",
        cover_index=0,
        cover_alt="A set winter table with lamp, teapot, plates, vase and oak boards",
        lineup=tuple(product.source_id for product in (*PRODUCTS, *SETS)),
    ),
    DemoShow(
        title="Cold days: knitwear and things to carry",
        description="Sweaters, watch caps and the tote that goes everywhere. We compare sizes, "
        "show all colours by daylight and tell you which yarn does not itch.",
        state="scheduled",
        starts_in=timedelta(days=3, hours=2),
        languages=("en", "de"),
        time_zone="Europe/Berlin",
        cover_index=1,
        cover_alt="A sweater on a stand, a tote, a beanie and a folded throw on a table",
        lineup=tuple(f"lindholm-{number:03d}" for number in (4, 7, 12, 2, 10)),
    ),
)
