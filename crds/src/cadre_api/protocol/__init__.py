"""The wire between controller, guard and command line: one set of models, so both ends cannot drift apart."""
