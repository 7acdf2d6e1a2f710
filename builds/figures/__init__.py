"""What is counted of builds, so that no page reads millions of them, and what pages say by those counts."""
