"""Masks through videos, into files."""
