"""What things cost, measured; nothing imports this folder."""
