"""What is made of recordings: films, clips, pictures; each by a process of its own."""

from liveshop.video.making.maker import Maker
from liveshop.video.making.model import Kind, Made, MakingFailed, Wanted

__all__ = ["Kind", "Made", "Maker", "MakingFailed", "Wanted"]
