"""Default model of the command line, the Python interface and the page."""

DEFAULT_MODEL = "icon-resnet18"  # the checkpoint that `weights/` holds
