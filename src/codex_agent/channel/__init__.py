"""Owns Codex's app-server protocol, from the socket up: the one room that speaks it."""

from codex_agent.channel.client import Channel, ChannelClosed, Reply

__all__ = ["Channel", "ChannelClosed", "Reply"]
