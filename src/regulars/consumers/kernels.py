"""How the kernels of demand are compiled."""

from __future__ import annotations

from typing import Any

#: For a kernel that Python calls. Arrays come in tuples, and counting references to all of them at every step
#: would cost ten times the work itself; kernels allocate nothing and keep nothing, so there is nothing to
#: count (``_nrt``).
DOOR: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}
#: For what only kernels call: inlined, because handing a tuple of arrays on copies all of it.
INNER: dict[str, Any] = DOOR | {"inline": "always"}
