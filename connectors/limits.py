"""The vendors' limits, all in one dated table: how much, how often, how long, and who says so.

A connector takes its rows with `row("x.text")` where it is defined, so that a misspelt name fails
at once, and asks `kit.limit(row)` for the figure, which the operator's configuration may replace
by the same name. Where sources contradict each other the most careful figure stands here.

    x               text, long_text, posts_per_15_minutes, posts_per_day, media_per_15_minutes,
                    reads_per_15_minutes, images, image_bytes, gif_bytes, video_bytes, alt_text,
                    post_millicents, post_with_link_millicents, alt_text_millicents,
                    read_millicents, chat_text
    facebook        text, images, image_bytes, png_bytes, alt_text, calls_per_user_and_hour,
                    usage_percent, reels_per_day
    instagram       caption, hashtags, posts_per_day, image_bytes, images, alt_text,
                    image_width_least, image_width_most, container_hours
    meta_catalog    batch, request_bytes, batches_per_minute, title, description, image_bytes,
                    image_side_least, extra_images, id, brand, link
    pinterest       batch, title, description, link, item_title, item_description, item_link,
                    alt_text, image_bytes, images, hashtags, requests_per_second
    youtube         units_per_day, uploads_per_day, searches_per_day, write_units, list_units,
                    chat_read_units, chat_write_units, title, description, tags, hashtags,
                    thumbnail_bytes, chat_text
    google          title, description, id, extra_images, image_bytes, image_side_least,
                    updates_per_day, refresh_days, gtin, brand, link
    tiktok          requests_per_minute, posts_per_day, title, description, video_title, hashtags,
                    images, image_bytes
    bluesky         text, text_bytes, images, image_bytes, alt_text, writes_per_hour, tag,
                    points_per_hour
    twitch          messages_per_30_seconds, moderator_messages_per_30_seconds,
                    joins_per_10_seconds, points_per_minute, chat_text
    shopify         points_per_second, bucket, query_points, test_orders_per_minute, page, variants
"""

from collections.abc import Iterator, Mapping
from datetime import date

from liveshop.connect import Limit
from liveshop.connect.limits import Grade

_Figure = tuple[str, int, str, str, Grade]
"""Name without the vendor, figure, unit, source, grade."""

_X_RATES = "https://docs.x.com/x-api/fundamentals/rate-limits"
_X_MEDIA = "https://docs.x.com/x-api/media/quickstart/best-practices"
_X_PRICES = "https://docs.x.com/x-api/getting-started/pricing"
_X_COUNTING = "https://docs.x.com/fundamentals/counting-characters"
_X_SPEC = "X API v2 OpenAPI 2.167"
_META_RATES = "https://developers.facebook.com/docs/graph-api/overview/rate-limiting"
_META_PHOTO = "https://developers.facebook.com/docs/graph-api/reference/page/photos"
_META_BATCH = "https://developers.facebook.com/docs/marketing-api/catalog-batch"
_META_FIELDS = "https://developers.facebook.com/docs/commerce-platform/catalog/fields"
_META_FEED = "https://productfeedspec.com/platforms/meta-catalog"
_INSTAGRAM = "https://developers.facebook.com/docs/instagram-platform/content-publishing"
_IG_MEDIA = "https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-user/media"
_IG_ADS = "https://developers.facebook.com/docs/marketing-api/guides/instagramads"
_PINTEREST = "Pinterest API OpenAPI 5.23.0"
_PINTEREST_RATES = "https://developers.pinterest.com/docs/reference/rate-limits"
_YOUTUBE = "YouTube Data API v3 discovery document, revision 20261104"
_YOUTUBE_COSTS = "https://developers.google.com/youtube/v3/determine_quota_cost"
_YOUTUBE_VIDEOS = "https://developers.google.com/youtube/v3/docs/videos"
_YOUTUBE_THUMBNAILS = "https://developers.google.com/youtube/v3/docs/thumbnails/set"
_YOUTUBE_CHAT = "https://support.google.com/youtube/answer/2524549"
_YOUTUBE_HASHTAGS = "https://support.google.com/youtube/answer/6390658"
_GOOGLE = "https://support.google.com/merchants/answer/7052112"
_GOOGLE_API = "https://developers.google.com/merchant/api/guides/quotas-limits"
_TIKTOK = "https://developers.tiktok.com/doc/content-posting-api-reference-photo-post"
_TIKTOK_MEDIA = "https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide"
_TIKTOK_VIDEO = "https://developers.tiktok.com/doc/content-posting-api-reference-direct-post"
_BLUESKY_POST = "https://docs.bsky.app: lexicon app.bsky.feed.post"
_BLUESKY_IMAGES = "https://docs.bsky.app: lexicon app.bsky.embed.images"
_BLUESKY_RATES = "https://docs.bsky.app/docs/advanced-guides/rate-limits"
_BLUESKY_CLIENT = "the limit of the official app"
_TWITCH_IRC = "https://dev.twitch.tv/docs/chat/#rate-limits"
_TWITCH_HELIX = "https://dev.twitch.tv/docs/api/guide/#twitch-rate-limits"
_SHOPIFY = "https://shopify.dev/docs/api/usage/limits"
_SHOPIFY_ORDERS = "https://shopify.dev/docs/api/admin-graphql/latest/mutations/orderCreate"

_TABLE: Mapping[tuple[str, date], tuple[_Figure, ...]] = {
    ("x", date(2026, 8, 22)): (
        ("text", 280, "x_weighted", _X_COUNTING, "specification"),
        ("long_text", 25_000, "x_weighted", _X_COUNTING, "secondary"),  # subscribers only
        ("posts_per_15_minutes", 100, "posts per user", _X_RATES, "specification"),
        ("posts_per_day", 10_000, "posts per app", _X_RATES, "specification"),
        ("media_per_15_minutes", 500, "uploads per user", _X_RATES, "specification"),
        ("reads_per_15_minutes", 75, "calls of /2/users/me per user", _X_RATES, "specification"),
        ("images", 4, "images per post", _X_SPEC, "specification"),
        ("image_bytes", 5_000_000, "bytes", _X_MEDIA, "specification"),
        ("gif_bytes", 15_000_000, "bytes", _X_MEDIA, "specification"),
        ("video_bytes", 512_000_000, "bytes", _X_MEDIA, "specification"),
        ("alt_text", 1000, "characters", _X_SPEC, "specification"),
        ("post_millicents", 1500, "thousandths of a US cent", _X_PRICES, "specification"),
        (
            "post_with_link_millicents",
            20_000,
            "thousandths of a US cent",
            _X_PRICES,
            "specification",
        ),
        ("alt_text_millicents", 500, "thousandths of a US cent", _X_PRICES, "specification"),
        ("read_millicents", 500, "thousandths of a US cent", _X_PRICES, "specification"),
        ("chat_text", 140, "characters", _X_SPEC, "specification"),
    ),
    ("facebook", date(2026, 8, 1)): (
        # Not published by Meta; what people found by trying.
        ("text", 63_206, "characters", "not published; found by trying", "secondary"),
        ("images", 10, "images per post", _META_PHOTO, "secondary"),
        ("image_bytes", 4_000_000, "bytes", _META_PHOTO, "specification"),
        ("png_bytes", 1_000_000, "bytes", _META_PHOTO, "specification"),
        ("alt_text", 1000, "characters", "not published; kept as on X", "secondary"),
        ("calls_per_user_and_hour", 200, "calls per app", _META_RATES, "specification"),
        ("usage_percent", 100, "percent in any usage header", _META_RATES, "specification"),
        ("reels_per_day", 30, "reels per page", "not published by Meta", "secondary"),
    ),
    ("instagram", date(2026, 8, 1)): (
        ("caption", 2200, "characters", _IG_ADS, "specification"),
        # 30 in older documentation, 5 in what people report lately.
        ("hashtags", 5, "hashtags per post", "reported since 2025-12; older: 30", "secondary"),
        # 25, 50 and 100 in different places; read `content_publishing_limit` at run time.
        ("posts_per_day", 25, "posts per account", _INSTAGRAM, "specification"),
        ("image_bytes", 8_000_000, "bytes", _IG_MEDIA, "specification"),
        ("images", 10, "images per carousel", _INSTAGRAM, "specification"),
        ("alt_text", 1000, "characters", "not published; kept as on X", "secondary"),
        ("image_width_least", 320, "pixels", _IG_MEDIA, "specification"),
        ("image_width_most", 1440, "pixels", _IG_MEDIA, "specification"),
        ("container_hours", 24, "hours", _INSTAGRAM, "specification"),
    ),
    ("meta_catalog", date(2026, 8, 1)): (
        ("batch", 5000, "requests per call", _META_BATCH, "specification"),
        ("request_bytes", 28_000_000, "bytes per call", _META_BATCH, "specification"),
        # 8 + 8·log2(impressions + visits); a catalog that nobody sees gets the 8.
        ("batches_per_minute", 8, "calls per catalog", _META_BATCH, "specification"),
        ("title", 200, "characters", _META_FEED, "secondary"),
        ("description", 9999, "characters", _META_FEED, "secondary"),
        ("image_bytes", 8_000_000, "bytes", _META_FEED, "secondary"),
        ("image_side_least", 500, "pixels", _META_FIELDS, "specification"),
        ("extra_images", 20, "images per item", _META_FIELDS, "specification"),
        ("id", 100, "characters", _META_FEED, "secondary"),
        ("brand", 100, "characters", _META_FEED, "secondary"),
        ("link", 2000, "characters", _META_FIELDS, "secondary"),
    ),
    ("pinterest", date(2025, 12, 11)): (
        ("batch", 1000, "items per call", _PINTEREST, "specification"),
        ("title", 100, "characters", _PINTEREST, "specification"),
        ("description", 800, "characters", _PINTEREST, "specification"),
        ("link", 2048, "characters", _PINTEREST, "specification"),
        ("item_title", 500, "characters", _PINTEREST, "specification"),
        ("item_description", 10_000, "characters", _PINTEREST, "specification"),
        ("item_link", 511, "characters", _PINTEREST, "specification"),
        ("alt_text", 500, "characters", _PINTEREST, "specification"),
        ("image_bytes", 20_000_000, "bytes", "not in the specification", "secondary"),
        ("images", 5, "images per carousel", _PINTEREST, "specification"),
        ("hashtags", 20, "hashtags per pin", "recommended; not enforced", "secondary"),
        ("requests_per_second", 100, "calls per user", _PINTEREST_RATES, "specification"),
    ),
    ("youtube", date(2026, 11, 4)): (
        ("units_per_day", 10_000, "units", _YOUTUBE_COSTS, "specification"),
        ("uploads_per_day", 100, "calls of videos.insert", _YOUTUBE_COSTS, "specification"),
        ("searches_per_day", 100, "calls of search.list", _YOUTUBE_COSTS, "specification"),
        ("write_units", 50, "units per call", _YOUTUBE_COSTS, "specification"),
        ("list_units", 1, "units per call", _YOUTUBE_COSTS, "specification"),
        ("chat_read_units", 5, "units per call", _YOUTUBE, "specification"),
        ("chat_write_units", 20, "units per call", _YOUTUBE, "specification"),
        ("title", 100, "characters", _YOUTUBE_VIDEOS, "specification"),
        ("description", 5000, "bytes", _YOUTUBE_VIDEOS, "specification"),
        ("tags", 500, "characters", _YOUTUBE_VIDEOS, "specification"),
        ("hashtags", 15, "hashtags, or else all are ignored", _YOUTUBE_HASHTAGS, "secondary"),
        # The discovery document says 50 MB, older pages 2.
        ("thumbnail_bytes", 2_000_000, "bytes", _YOUTUBE_THUMBNAILS, "specification"),
        ("chat_text", 200, "characters", _YOUTUBE_CHAT, "secondary"),
    ),
    ("google", date(2026, 11, 6)): (
        ("title", 150, "characters", _GOOGLE, "specification"),
        ("description", 5000, "characters", _GOOGLE, "specification"),
        ("id", 50, "characters", _GOOGLE, "specification"),
        ("extra_images", 10, "images per product", _GOOGLE, "specification"),
        ("image_bytes", 16_000_000, "bytes", _GOOGLE, "specification"),
        ("image_side_least", 250, "pixels", _GOOGLE, "specification"),  # clothes; others 100
        ("updates_per_day", 2, "updates per product", _GOOGLE_API, "specification"),
        ("refresh_days", 30, "days", _GOOGLE_API, "specification"),
        ("gtin", 50, "digits", _GOOGLE, "specification"),
        ("brand", 70, "characters", _GOOGLE, "specification"),
        ("link", 2000, "characters", _GOOGLE, "specification"),
    ),
    ("tiktok", date(2026, 11, 2)): (
        ("requests_per_minute", 6, "calls per user token", _TIKTOK, "specification"),
        ("posts_per_day", 15, "posts per account", "not published; 15 to 25", "secondary"),
        ("title", 90, "utf16", _TIKTOK, "specification"),
        ("description", 4000, "utf16", _TIKTOK, "specification"),
        ("video_title", 2200, "utf16", _TIKTOK_VIDEO, "secondary"),
        ("hashtags", 5, "hashtags per post", "reported; not published", "secondary"),
        ("images", 35, "images per post", _TIKTOK, "specification"),
        ("image_bytes", 20_000_000, "bytes", _TIKTOK_MEDIA, "specification"),
    ),
    ("bluesky", date(2026, 11, 1)): (
        ("text", 300, "graphemes", _BLUESKY_POST, "tested"),
        ("text_bytes", 3000, "bytes", _BLUESKY_POST, "specification"),
        ("images", 4, "images per post", _BLUESKY_IMAGES, "specification"),
        # 2,000,000 in the newest lexicon; servers with the older one refuse more than this.
        ("image_bytes", 1_000_000, "bytes", _BLUESKY_IMAGES, "specification"),
        ("alt_text", 2000, "graphemes", _BLUESKY_CLIENT, "secondary"),
        ("writes_per_hour", 1666, "records made per account", _BLUESKY_RATES, "secondary"),
        ("points_per_hour", 5000, "points; making a record is 3", _BLUESKY_RATES, "secondary"),
        ("tag", 64, "graphemes", _BLUESKY_POST, "specification"),
    ),
    ("twitch", date(2026, 8, 1)): (
        ("messages_per_30_seconds", 20, "messages", _TWITCH_IRC, "secondary"),
        ("moderator_messages_per_30_seconds", 100, "messages", _TWITCH_IRC, "secondary"),
        ("joins_per_10_seconds", 20, "joins", _TWITCH_IRC, "secondary"),
        ("points_per_minute", 800, "points", _TWITCH_HELIX, "specification"),
        ("chat_text", 500, "characters", "Twitch Helix: POST /chat/messages", "specification"),
    ),
    ("shopify", date(2026, 10, 1)): (
        # The Standard plan; Advanced has 200, Plus 1000, Enterprise 2000. What the shop really
        # has stands in `extensions.cost.throttleStatus` of every answer.
        ("points_per_second", 100, "cost points", _SHOPIFY, "specification"),
        ("bucket", 2000, "cost points", _SHOPIFY, "secondary"),
        ("query_points", 1000, "cost points per request", _SHOPIFY, "specification"),
        (
            "test_orders_per_minute",
            5,
            "orders of a development shop",
            _SHOPIFY_ORDERS,
            "specification",
        ),
        ("page", 250, "entries per page", _SHOPIFY, "specification"),
        ("variants", 2048, "variants per product", _SHOPIFY, "specification"),
    ),
}


def _rows() -> Iterator[Limit]:
    for (vendor, as_of), figures in _TABLE.items():
        for name, value, unit, source, grade in figures:
            yield Limit(f"{vendor}.{name}", value, unit, as_of, source, grade)


ROWS: tuple[Limit, ...] = tuple(_rows())
"""Every row, by vendor."""

_BY_NAME = {one.name: one for one in ROWS}


def row(name: str) -> Limit:
    """The row of that name, such as `x.text`. Raises KeyError."""
    return _BY_NAME[name]
