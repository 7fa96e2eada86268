"""The policies that ship, as package data."""
