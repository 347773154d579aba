"""Count the models that come with vos, for `vos models`: writes vos/backbones/catalogue.json.

    python tools/count_models.py

To be run when a family or a shipped checkpoint is added or changed; a test says so.
"""

from __future__ import annotations

from dataclasses import asdict

from vos.backbones.catalogue import TABLE, measured_specs
from vos.cli.exit_codes import exit_cleanly
from vos.files import write_json


def main() -> None:
    write_json(TABLE, {spec: asdict(found) for spec, found in measured_specs().items()})
    print(TABLE)


if __name__ == "__main__":
    with exit_cleanly("count_models"):
        main()
