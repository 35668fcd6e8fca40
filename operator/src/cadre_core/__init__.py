"""Pure heart of Cadre: resources in, snapshot or problems out. No I/O, no clock, no chance."""
