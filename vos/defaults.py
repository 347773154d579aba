"""What commands, functions and the page take unless they are told otherwise."""

DEFAULT_MODEL = "icon-resnet18"  # the checkpoint that `weights/` holds
