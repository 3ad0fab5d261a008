"""Makes the models that ship with the project; nothing imports this folder."""
