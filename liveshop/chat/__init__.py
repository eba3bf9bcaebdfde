"""The chat of a show: messages, moderation, hearts."""

from liveshop.chat.service import ChatService

__all__ = ["ChatService"]
