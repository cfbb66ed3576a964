"""What several scorers read of a response: the part that counts, final answers, numbers, items, words, JSON."""
