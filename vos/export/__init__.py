"""Features for other work: as arrays that other tools open, as pictures, as portable networks.

`open_features` reads what `vos export` wrote. The job is in ``job``, the stores in ``zarr_store``
and ``single_file``; ``geometry`` says where tokens lie on the frame.
"""

from vos.export.reader import Features, open_features

__all__ = ["Features", "open_features"]
