"""The shop without HTTP: models, rules, indexing, and the one door to the models that see."""
