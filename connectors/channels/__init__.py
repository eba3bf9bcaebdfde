"""Channels: where listings and posts go. One vendor, one file or package; none imports another."""
