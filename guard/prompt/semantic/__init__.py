"""The semantic tier: what a prompt means, whatever its words."""

from guard.prompt.semantic.reader import HEADS, SemanticReader, open_semantic

__all__ = ["HEADS", "SemanticReader", "open_semantic"]
