"""The market: calendar, weather, stock, the day, the run, its arms and one consumer's diary."""
