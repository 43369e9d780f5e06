"""The words: vocabulary, label sequences and what sellers' titles name. Plain Python."""
