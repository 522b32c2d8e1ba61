"""The contract test against Meta's OpenAPI document, which lies beside the checkout; without it nothing is checked."""
