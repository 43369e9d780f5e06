"""Compile ahead, so that no shopper waits for a compiler: python -m search.warming [BITS]. script/setup does it once.

A tiny index is made and asked everything; numba keeps what it compiled beside the sources, for this processor.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from attributes.vocabulary import load_vocabulary
from search.features import Features
from search.index import Index
from search.layer import Entry, Schema
from search.query import Query
from search.ranking import Preference
from search.where import parse_where
from search.writer import IndexWriter

SERVED_BITS = 1280  # of the codes that ship


def compile_for(n_bits: int) -> None:
    """Load or compile every kernel that serving codes of `n_bits` needs."""
    schema = Schema(load_vocabulary(), n_bits, "warming")
    code, colour = np.zeros(schema.n_words, np.uint64), np.zeros(64, np.uint8)
    entries = [Entry(f"w{i}", code, colour, (i % 9, 24 + i % 100), i) for i in range(130)]
    with TemporaryDirectory() as folder:
        with IndexWriter(Path(folder), schema, flushed=100) as writer:
            writer.apply(entries[:120])
            writer.apply(entries[118:], ["w3"], relabels={"w1": (2, 30)})
        index = Index(Path(folder), schema)
        wishes = [Preference(2, 0.9), Preference(30, 0.5)]
        query = Query(Features(code, colour), wishes, limit=5)
        for expressions in ([], ["category=dress", "colour=black"], ["price>=0.1", "price<=0.2"], ["colour!=black"]):
            answer = index.search(query._replace(where=parse_where(expressions, schema.vocabulary)))
            assert len(answer.hits) == len(answer.skus)
        index.search(query._replace(nprobe=1))
        index.search(Query(limit=3, without=frozenset({"w4"})))


if __name__ == "__main__":
    compile_for(int(sys.argv[1]) if len(sys.argv) > 1 else SERVED_BITS)
