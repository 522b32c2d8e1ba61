"""The fault rig: customers, two workers, somebody who kills them, and a judge who believes only what was seen."""
