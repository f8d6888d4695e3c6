"""False alarms of a drift check, and its power, at many sizes and numbers of columns."""
