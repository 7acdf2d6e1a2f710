"""What we try, who builds it, and what came out."""
