"""The MCP door: the verbs of this program as tools, resources and prompts of a Model Context Protocol server."""
