"""Live cameras: a link to each, its clock, its newest frame, its motion gate, and the ledger of when it was watched."""
