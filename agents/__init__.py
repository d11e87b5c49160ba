"""The agents: the pure kernel, the shells that drive it, and the links they talk over."""
