"""Evidence that somebody chose, sent to a whole stack: none of it may get a challenger promoted.

Each attack comes by both doors, over HTTP and in a file, and each test is named here:

- duplicates: `test_periods.py::test_labels_of_chance_sent_five_times_under_other_ids[http, file]`
- selection: `test_periods.py::test_labels_of_wrong_answers_and_few_right_ones[http, file]`
- times of the future: `test_periods.py::test_wrong_labels_with_times_of_the_future[http, file]`
- return after a rollback: `test_taken_back.py[http, file]`
- dropped or renamed field: `test_gone_fields.py[dropped, renamed][http, file]`
- deleted alias, version or model: `test_deleted_production.py[alias, version, model][http, file]`
- a fifth flipped by one source, whom others contradict or nobody does:
  `test_periods.py::test_a_fifth_flipped_by_one_source_that_...[http, file]`; both doors in one world:
  `test_label_sources.py`

`test_chosen_evidence.py` mixes duplicates, future times and rows of one group over HTTP.
"""
