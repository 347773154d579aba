"""Runs over videos: one or many, resumably, into folders."""
