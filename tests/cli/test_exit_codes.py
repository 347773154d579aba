"""What ends a command, in one line and with the exit code of its kind."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import torch

from vos.cli.exit_codes import exit_cleanly
from vos.scheduling.tasks import as_vos_error

OUT_OF_MEMORY = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has ..."),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 4000000000000 bytes. Error code 12"
    ),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=repr)
def test_out_of_memory_is_one_line_with_the_remedy(error, capsys) -> None:
    with pytest.raises(SystemExit) as ended, exit_cleanly():
        raise error
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert said.startswith("vos: out of memory") and said.count("\n") == 1
    assert "--device cpu" in said and "what was finished is kept" in said
    assert str(as_vos_error(error)).startswith("out of memory")


def test_the_size_that_could_not_be_had_is_told(capsys) -> None:
    with pytest.raises(SystemExit), exit_cleanly():
        np.empty(2**50)
    assert "(8.00 PiB could not be had)" in capsys.readouterr().err
    assert "20.00 GiB" in str(as_vos_error(OUT_OF_MEMORY[0]))


def test_errors_of_the_program_itself_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="a mistake"), exit_cleanly():
        raise RuntimeError("a mistake")
