"""What stores and readers agree on: the names in a store of features."""

FORMAT = "vos-features"
COLLECTION = f"{FORMAT}-collection"
ARRAY = "features"
