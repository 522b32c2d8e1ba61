"""Two contracts: our requests against Meta's document, which may lie beside the checkout; our answers against ours."""
