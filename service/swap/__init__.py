"""Which version answers: noticed, loaded, made ready, changed over; how it answers is in answers."""
