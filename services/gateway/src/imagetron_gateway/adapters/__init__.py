"""The gateway's ports over real stores and in memory."""
