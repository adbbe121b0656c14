from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from cds_pacs.testing.door import Door


@pytest.fixture
def open_door() -> Iterator[Callable[..., Door]]:
    """Open doors, and close them all in the end."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(Door(**changes))


@pytest.fixture
def door(open_door: Callable[..., Door]) -> Door:
    return open_door()
