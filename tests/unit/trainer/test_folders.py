import errno
import shutil
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError

from trainer.folders import atomic_folder


@pytest.mark.parametrize("kind", [RuntimeError, SafetensorError])
@pytest.mark.parametrize(("free", "expected"), [(0, OSError), (2**40, None)])
def test_a_failed_write_on_a_full_disk_is_told_as_such(tmp_path, monkeypatch, kind, free, expected):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))
    with pytest.raises(expected or kind) as raised, atomic_folder(tmp_path / "made"):
        raise kind("iostream error")
    assert getattr(raised.value, "errno", None) == (errno.ENOSPC if expected else None)
    assert list(tmp_path.iterdir()) == []
