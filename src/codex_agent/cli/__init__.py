"""The command line: each command parses its words, calls one verb and renders the answer."""
