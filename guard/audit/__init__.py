"""The audit log: append, prove, review, export."""
