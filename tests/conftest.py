"""What every test shares: the event loop, and Hypothesis profiles by how much time there is."""

import asyncio
import os
import sys

from hypothesis import HealthCheck, settings

if sys.version_info < (3, 14):  # where policies are gone the default loop has to do
    from tests.support.loops import TidyPolicy

    asyncio.set_event_loop_policy(TidyPolicy())

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "nightly", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
