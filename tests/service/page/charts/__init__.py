"""Charts of the page: the record of new models, and replays."""
