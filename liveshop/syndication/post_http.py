"""Posts over HTTP, for the merchant's desk; and the share cards that channels fetch."""

from aiohttp import web

from liveshop.catalog.model import MediaUnavailable, UnknownMedia
from liveshop.kernel.errors import Invalid
from liveshop.shows.model import UnknownShow
from liveshop.syndication import model, wire
from liveshop.syndication.post_model import BadPost, ChannelAway, ChannelRefuses
from liveshop.syndication.post_pictures import PostPictures
from liveshop.syndication.posts import PostService
from liveshop.web import PUBLIC, Call, Endpoint, permission

_READ = permission("channels:read")
_WRITE = permission("channels:write")
_TAG = "channels"
_FOR_EVER = "public, max-age=31536000, immutable"
_SUBJECTS = (model.UnknownConnection, model.WrongRole, UnknownShow)
_WORDS = (BadPost, model.BadTemplate, model.TooLong, Invalid)
_CHANNEL = (ChannelRefuses, ChannelAway)


def endpoints(posts: PostService, pictures: PostPictures) -> list[Endpoint]:
    async def preview_post(call: Call) -> wire.PostPreview:
        return await posts.preview(call.body)

    async def create_post(call: Call) -> wire.Post:
        return await posts.create(call.body)

    async def plan_show_posts(call: Call) -> wire.Posts:
        given: wire.ShowPostsInput = call.body
        planned = await posts.plan_show(
            call.params["show_id"],
            given.connection_ids,
            given.kinds,
            reminder_minutes=given.reminder_minutes,
            is_paid_partnership=given.is_paid_partnership,
        )
        return wire.Posts(posts=planned, next=None)

    async def list_posts(call: Call) -> wire.Posts:
        return await posts.list_posts(call.query)

    async def get_post(call: Call) -> wire.Post:
        return await posts.post(call.params["post_id"])

    async def cancel_post(call: Call) -> wire.Post:
        return await posts.cancel(call.params["post_id"])

    async def remove_post(call: Call) -> wire.Post:
        return await posts.remove(call.params["post_id"])

    async def get_card(call: Call) -> web.FileResponse:
        path = await pictures.card(call.params["card"])
        return web.FileResponse(
            path, headers={"Cache-Control": _FOR_EVER, "Content-Type": "image/jpeg"}
        )

    return [
        Endpoint(
            "POST",
            "/api/posts/preview",
            preview_post,
            _READ,
            "Exactly what would be sent",
            _TAG,
            body=wire.PostInput,
            answer=wire.PostPreview,
            errors=(*_SUBJECTS, *_WORDS, *_CHANNEL, MediaUnavailable),
        ),
        Endpoint(
            "POST",
            "/api/posts",
            create_post,
            _WRITE,
            "Send a post now, later, or when its show comes to it",
            _TAG,
            body=wire.PostInput,
            answer=wire.Post,
            status=201,
            errors=(*_SUBJECTS, *_WORDS, *_CHANNEL, MediaUnavailable),
        ),
        Endpoint(
            "POST",
            "/api/shows/{show_id}/posts",
            plan_show_posts,
            _WRITE,
            "The posts a show has by itself, one of each kind on each connection",
            _TAG,
            body=wire.ShowPostsInput,
            answer=wire.Posts,
            errors=_SUBJECTS,
        ),
        Endpoint(
            "GET",
            "/api/posts",
            list_posts,
            _READ,
            "Posts, newest first",
            _TAG,
            query=wire.PostQuery,
            answer=wire.Posts,
        ),
        Endpoint(
            "GET",
            "/api/posts/{post_id}",
            get_post,
            _READ,
            "One post, and what became of it",
            _TAG,
            answer=wire.Post,
            errors=(model.UnknownPost,),
        ),
        Endpoint(
            "POST",
            "/api/posts/{post_id}/cancel",
            cancel_post,
            _WRITE,
            "Do not send a post that waits",
            _TAG,
            answer=wire.Post,
            errors=(model.UnknownPost, model.PostSent),
        ),
        Endpoint(
            "DELETE",
            "/api/posts/{post_id}",
            remove_post,
            _WRITE,
            "Take a post off its channel",
            _TAG,
            answer=wire.Post,
            errors=(model.UnknownPost, model.PostSent, *_CHANNEL),
        ),
        Endpoint(
            "GET",
            "/media/cards/{card}",
            get_card,
            PUBLIC,
            "The share card of a show",
            _TAG,
            raw=True,
            produces=("image/jpeg",),
            any_origin=True,
            errors=(UnknownMedia,),
        ),
    ]
