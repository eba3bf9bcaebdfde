"""Payment providers, one file each. A new one is a file here and a subclass of the contract."""
