"""End-to-end tests: the real application on a real port, from the socket to what Meta is asked and what an agent reads.

`tick.py` runs Tick with a scripted Graph API; `tick_with_simulator.py` runs it with the simulator in Meta's place. Each
module shares one running Tick for each variant (database and flow), and each test finds it empty. The files
`test_bad_*` are named after the catalogue of bad inputs, and so is each of their tests, by its number. `expected/` has
the outcome of each recorded webhook.
"""
