"""The part of the Graph API that the service calls, with Meta's answers and errors: a module for each resource."""
