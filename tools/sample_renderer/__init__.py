"""Renders the sample: scenes of textured things that move, to frames, exact masks and tracks.

The masks and the pixels before compression are the same on every machine (``noise`` says why).
"""
