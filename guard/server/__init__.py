"""HTTP: the C2PA Soft Binding Resolution API over the manifest repository.

Needs the ``server`` extra (FastAPI, uvicorn); nothing outside this room imports it.
"""
