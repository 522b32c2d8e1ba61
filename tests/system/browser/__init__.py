"""`tick demo` in a real browser: a stranger's first half hour, and the screenshot of the README (`make screenshot`)."""
