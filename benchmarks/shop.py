"""The shape of a public filtered benchmark (105,100 products, keyword filters), through the shop: python -m benchmarks.shop.

A shop of its own in a temporary folder, its real web server, and clients in processes of their own on the same machine, asking
`/api/v1/products/SKU/similar/` with filters; then the same questions in-process.
"""

import argparse
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from attributes.report import Figure, positive, write_figures

N_ITEMS = 105_100
LIMIT = 25
CHUNK = 5000


def make_shop(n: int) -> list[str]:
    """Fill the database and the index of the shop of HABERDASH_VAR; returns the addresses that clients ask."""
    import django

    django.setup()
    from django.core.management import call_command

    from benchmarks.products import draw, ids_of
    from search.writer import IndexWriter
    from webapp.catalog import engine as door
    from webapp.catalog.models import Label, Product, Source

    call_command("migrate", interactive=False, verbosity=0)
    index = door.engine().index
    table = draw(index.schema, n, 1).table
    skus, said = table.names.tolist(), index.schema.vocabulary.labels
    for low in range(0, n, CHUNK):
        part = range(low, min(low + CHUNK, n))
        Product.objects.bulk_create(
            Product(sku=skus[i], title=f"Product {i}", price=int(table.numbers[0, i]) / 100, photo="products/none.jpg",
                    seen_with=index.schema.features, code=table.codes[i].tobytes(), colour=table.colours[i].tobytes())
            for i in part
        )  # fmt: skip
        keys = dict(Product.objects.filter(sku__in=[skus[i] for i in part]).values_list("sku", "pk"))
        Label.objects.bulk_create(
            Label(product_id=keys[skus[i]], group=said[x][0], value=said[x][1], source=Source.IMPORTED)
            for i in part for x in ids_of(table.labels[i])
        )  # fmt: skip
    with IndexWriter(index.folder, index.schema) as writer:
        writer.apply(table)
    drawn = random.Random(7)
    asked = []
    for i in drawn.sample(range(n), 2000):
        own = [said[x] for x in ids_of(table.labels[i])]
        filters = [own[0], *drawn.sample(own[1:], min(1, len(own) - 1))]
        where = "&".join(f"where={quote(f'{group}={value}')}" for group, value in filters)
        asked.append(f"/api/v1/products/{skus[i]}/similar/?limit={LIMIT}&{where}")
    return asked


def client(port: int, seconds: float, seed: int) -> None:
    """Ask one after the other and print the milliseconds of each."""
    asked = json.loads(sys.stdin.read())
    random.Random(seed).shuffle(asked)
    connection, laps, end = http.client.HTTPConnection("127.0.0.1", port), [], time.monotonic() + seconds
    for path in asked * 1000:
        started = time.monotonic()
        if started > end:
            break
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}: {body[:200]!r}")
        laps.append((time.monotonic() - started) * 1000)
    print(json.dumps(laps))


def through_http(asked: Sequence[str], n_clients: int, workers: int, seconds: float) -> dict[str, Figure]:
    """Requests a second and latencies of the shop's own web server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "webapp/gunicorn.py", "--workers", str(workers),
         "--bind", f"127.0.0.1:{port}", "webapp.wsgi"]
    )  # fmt: skip
    try:
        _wait_for(port, asked[0])
        command = [sys.executable, "-m", "benchmarks.shop", "--client", str(port), "--seconds", str(seconds)]
        clients = [
            subprocess.Popen([*command, "--seed", str(i)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for i in range(n_clients)
        ]
        for one in clients:
            assert one.stdin is not None
            one.stdin.write(json.dumps(asked))
            one.stdin.close()
        laps = [lap for one in clients for lap in json.loads(one.stdout.read() if one.stdout else "[]")]
    finally:
        server.terminate()
        server.wait()
    return {
        "server": f"gunicorn, {workers} workers of 4 threads", "clients": n_clients, "requests_per_s": len(laps) / seconds,
        "p50_ms": float(np.percentile(laps, 50)), "p95_ms": float(np.percentile(laps, 95)),
    }  # fmt: skip


def _wait_for(port: int, path: str) -> None:
    for _ in range(300):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server did not answer")


def in_process(asked: Sequence[str]) -> dict[str, Figure]:
    """The same questions to the index itself: searches a second with the facets of a page, and without."""
    from urllib.parse import parse_qs, urlsplit

    from search.query import Query
    from search.where import parse_where
    from webapp.catalog import engine as door

    index, laps = door.engine().index, {True: [0.0], False: [0.0]}
    for with_facets, taken in laps.items():
        taken.clear()
        for path in asked:
            split = urlsplit(path)
            sku, where = split.path.split("/")[4], parse_where(parse_qs(split.query)["where"], index.schema.vocabulary)
            started = time.perf_counter()
            answer = index.similar(sku, Query(where=where, limit=LIMIT, facets=with_facets))
            assert len(answer.hits) + len(answer.relaxed) == LIMIT
            taken.append((time.perf_counter() - started) * 1000)
    return {
        name: {"searches_per_s": 1000 / float(np.mean(laps[key])), "p50_ms": float(np.percentile(laps[key], 50)),
               "p95_ms": float(np.percentile(laps[key], 95))}
        for name, key in (("with_facets", True), ("without_facets", False))
    }  # fmt: skip


def main() -> None:
    """Make the shop, ask it, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=positive, default=N_ITEMS)
    parser.add_argument("--clients", type=positive, default=8)
    parser.add_argument("--workers", type=positive, default=2)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--client", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.client is not None:
        client(given.client, given.seconds, given.seed)
        return
    with tempfile.TemporaryDirectory(prefix="haberdash-shop-") as folder:
        os.environ |= {
            "HABERDASH_VAR": folder, "HABERDASH_SEARCH_RATE": "", "DJANGO_SETTINGS_MODULE": "webapp.settings",
            "DATABASE_URL": f"sqlite:///{folder}/shop.sqlite3",
        }  # fmt: skip
        asked = make_shop(given.items)
        figures: dict[str, Figure] = {
            "items": given.items, "http": through_http(asked, given.clients, given.workers, given.seconds),
            "in_process": in_process(asked),
        }  # fmt: skip
    write_figures(figures, given.json)


if __name__ == "__main__":
    main()
