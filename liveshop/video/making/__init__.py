"""What is made of recordings: films, clips, pictures; each by a process of its own."""

from liveshop.video.making.maker import Maker, sweep
from liveshop.video.making.model import Kind, Made, MakingFailed, MakingHeldUp, Wanted

__all__ = ["Kind", "Made", "Maker", "MakingFailed", "MakingHeldUp", "Wanted", "sweep"]
