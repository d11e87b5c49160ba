"""Large payloads: where they are kept outside messages, and how they are offloaded."""
