"""What the measuring scripts share: campaigns through the command line, comparisons of their rows, and output."""
