"""How the tests run: Hypothesis without deadlines, because the first call of a kernel compiles it."""

import os

from hypothesis import settings

settings.register_profile("regulars", deadline=None)
settings.register_profile("soak", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "regulars"))
