"""Published methods, written as their authors describe them, beside which ours are measured."""
