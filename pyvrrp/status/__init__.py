"""What is told to others: statistics, the status document, and keepalived's log lines, all made from events."""
