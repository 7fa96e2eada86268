"""What people decide about records: reviews and appeals."""
