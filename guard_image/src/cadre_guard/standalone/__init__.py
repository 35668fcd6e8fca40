"""The guard on its own: in front of any client of a model API, without controller, chart or desktop."""
