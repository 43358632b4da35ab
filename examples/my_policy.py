"""A policy of your own: the week's best saving, to people who shopped in the last fortnight, once a week."""
