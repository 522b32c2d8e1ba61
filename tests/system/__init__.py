"""Tests of whole programs, seen only from outside: over HTTP, in a browser, or by what a process leaves behind.

- end_to_end: Tick in this process with a scripted Graph API or the simulator; bad input, outages, lost answers.
- chaos: the rig, which kills workers while customers write, and its judge.
- browser: `tick demo` as a process, two customers in a real browser, and the screenshot for the README.
"""
