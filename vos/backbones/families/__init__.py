"""The families: a file each, found by the registry. A new file here is a new family."""
