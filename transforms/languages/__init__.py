"""The one table of languages; parsers; whether a file parses."""
