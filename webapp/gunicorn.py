"""How the production server runs the shop (gunicorn reads the names below)."""

from typing import Any

workers = 2  # photos that come to one at the same time share its models' batches
threads = 16  # cheap requests do not wait behind the photos, of which HABERDASH_PHOTO_QUEUE are let in
worker_class = "gthread"
timeout = 60
graceful_timeout = 10
keepalive = 5
max_requests = 20_000
max_requests_jitter = 2_000
accesslog = None
errorlog = "-"
loglevel = "warning"


def post_worker_init(worker: Any) -> None:
    """Open the models and load the compiled loops before the first visitor comes."""
    from search.warming import compile_for
    from webapp.catalog.engine import engine

    compile_for(engine().index.schema.n_bits)
    engine().index.snapshot()
