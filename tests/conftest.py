"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# A busy machine makes single examples slow; a property holds or fails whatever the clock says.
settings.register_profile("muster", deadline=None, print_blob=True)
settings.load_profile("muster")
