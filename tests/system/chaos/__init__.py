"""The chaos rig: forty customers and two workers, one of which is killed each second, and a judge of what was seen.

- rig.py runs a plan and gathers the evidence; workers.py holds and kills the workers, which fork_server.py forks.
- judge.py decides from the evidence alone what was lost, doubled, out of order, sent twice or stalled; test_judge.py
  shows that it notices each of these.
- test_kill.py is the test; `make chaos` plays it for longer.
"""
