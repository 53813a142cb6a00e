"""What operators and monitors see: the statistics page, its CSV, and the status command."""
