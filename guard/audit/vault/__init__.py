"""What is personal: encrypted, held, revealed on the record, erased."""
