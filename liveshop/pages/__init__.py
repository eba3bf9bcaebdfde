"""The HTML pages: shows and the shells of studio and desk (`site`), buyers' orders (`orders`)."""

from liveshop.pages.site import Pages, endpoints, error_page

__all__ = ["Pages", "endpoints", "error_page"]
