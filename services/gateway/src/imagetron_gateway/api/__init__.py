"""The HTTP surface: routers, request and response models, problems. No decisions about jobs."""
