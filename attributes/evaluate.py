"""Is it right? How often what a title names is the item's own: python -m attributes.evaluate."""

import re
from pathlib import Path

from attributes.labels import BadDataFolder, Garment, read_garments
from attributes.meta import named_categories, named_values
from attributes.report import Figure, evaluation_arguments, fail, write_figures
from attributes.vocabulary import Vocabulary, load_vocabulary


def evaluate(vocabulary: Vocabulary, garments: list[Garment]) -> dict[str, Figure]:
    """Return titles, naming, right and none, and how often named values agree with labels (see docs/evaluations.md)."""
    names = {n for c in vocabulary.categories.values() for n in (c.name, c.plural, *c.synonyms)}
    whole_word = re.compile(r"(?<!\w)(?:" + "|".join(re.escape(n) for n in sorted(names)) + r")(?:e?s)?(?!\w)")
    naming = right = none = 0
    agreed: dict[str, list[bool]] = {group: [] for group in vocabulary.groups}
    for garment in garments:
        ranked = named_categories(vocabulary, garment.title)
        none += not ranked
        if whole_word.search(garment.title.lower()):
            naming += 1
            right += bool(ranked) and ranked[0].category == garment.labels.category
        for said in named_values(vocabulary, garment.title, ranked[0].category if ranked else None):
            agreed[said.group].append(said.value in garment.labels.values.get(said.group, ()))
    everything = [one for group in agreed.values() for one in group]
    return {
        "titles": len(garments),
        "naming": naming,
        "right": right / max(naming, 1),
        "none": none / len(garments),
        "values": {"said": len(everything), "right": sum(everything) / max(len(everything), 1)},
        "groups": {name: {"said": len(a), "right": sum(a) / max(len(a), 1)} for name, a in agreed.items()},
    }


def main() -> None:
    """Read the command line, judge one split's titles, print and write the figures."""
    arguments = evaluation_arguments(__doc__ or "").parse_args()
    vocabulary = load_vocabulary()
    try:
        garments = read_garments(Path(arguments.data), vocabulary, arguments.split)
    except BadDataFolder as wrong:
        fail(str(wrong))
    write_figures(evaluate(vocabulary, garments), arguments.json)


if __name__ == "__main__":
    main()
