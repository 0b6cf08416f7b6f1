"""A module that needs one which is not installed."""

import chat_database  # noqa: F401
