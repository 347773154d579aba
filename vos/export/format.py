"""Names that stores and readers of features agree on."""

FORMAT = "vos-features"
COLLECTION = f"{FORMAT}-collection"
ARRAY = "features"
