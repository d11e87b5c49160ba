"""What workers have shown: their skill by task type, their pace, and what they keep failing."""
