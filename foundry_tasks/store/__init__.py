"""What the store holds, and what may go."""
