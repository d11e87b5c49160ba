"""NATS: the addresses of servers, and connections to them; the only folder that imports nats-py."""
